"""Reads a service's settings from environment variables, strictly, and tells everything that is wrong at once.

    env = Environment()
    settings = Settings(
        address=env.address("TRADE_ADDRESS", default="127.0.0.1:50052"),
        replicas=env.integer("REPLICAS", low=1, high=64, default=1),
        policies=env.directory("POLICY_DIR"),
    )
    env.finish()          # raises SettingsError naming every wrong variable

A variable that is wrong or missing gives a placeholder until `finish`; nothing may be used before it. No message
repeats the value of a secret.
"""

import ipaddress
import os
import re
import ssl
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, TypeVar

from kernel.redaction import hide, redact
from kernel.secret import MAX_SECRET_BYTES, Secret, SecretFileError, read_secret_file

MAX_SHOWN_CHARS: Final = 64
PRIVATE_NETWORK: Final = "private-network"
MAX_PORT: Final = 65_535
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,18})", re.ASCII)
_DURATION: Final = re.compile(r"(0|[1-9][0-9]{0,8})(ms|s|m|h|d)", re.ASCII)
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", re.ASCII)
"""With the underscore that container networks allow."""
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}

Value = TypeVar("Value")


class SettingsError(Exception):
    """The environment does not describe a service that may run; one line per variable."""


class Environment:
    """One reading of the environment; see the module's text for its use."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        """Take the variables; those of the process by default."""
        self._variables = os.environ if variables is None else variables
        self._problems: list[str] = []

    def text(self, name: str, *, default: str | None = None, choices: Collection[str] = ()) -> str:
        """Read a text, one of `choices` if any are given. Empty counts as absent; without a default it is required."""
        found = self._found(name, default, "one of " + ", ".join(choices) if choices else "a text")
        if found and choices and found not in choices:
            self._wrong(name, found, "one of " + ", ".join(choices))
        return found

    def optional(self, name: str) -> str | None:
        """Read a text that may be absent; empty counts as absent."""
        return self._variables.get(name) or None

    def integer(self, name: str, *, low: int, high: int, default: int | None = None) -> int:
        """Read a whole number within `low` and `high`, both included."""
        expected = f"a whole number from {low} to {high}"
        found = self._found(name, None if default is None else str(default), expected)
        number = int(found) if _INTEGER.fullmatch(found) else None
        if number is not None and low <= number <= high:
            return number
        return self._placeholder(name, found, expected, low)

    def flag(self, name: str, *, default: bool) -> bool:
        """Read "true" or "false", and no other spelling."""
        return self.text(name, default="true" if default else "false", choices=("true", "false")) == "true"

    def duration(self, name: str, *, low: float, high: float, default: str | None = None) -> float:
        """Read a duration such as "500ms", "5s", "10m", "1h", "2d"; returns seconds within `low` and `high`."""
        expected = f"a duration from {low:g} s to {high:g} s, such as 500ms, 5s, 10m"
        found = self._found(name, default, expected)
        match = _DURATION.fullmatch(found)
        seconds = int(match[1]) * _SECONDS[match[2]] if match else None
        if seconds is not None and low <= seconds <= high:
            return seconds
        return self._placeholder(name, found, expected, low)

    def address(self, name: str, *, default: str | None = None) -> str:
        """Read "host:port", the host a name, an IPv4 address or an IPv6 one in brackets."""
        expected = "host:port, such as 127.0.0.1:50051 or [::1]:50051"
        found = self._found(name, default, expected)
        host, _, port = found.rpartition(":")
        if _is_host(host) and _INTEGER.fullmatch(port) and 0 <= int(port) <= MAX_PORT:
            return found
        return self._placeholder(name, found, expected, found)

    def directory(self, name: str, *, default: str | None = None) -> Path:
        """Read the path of a directory that exists."""
        found = self._found(name, default, "a directory")
        path = Path(found)
        if found and not path.is_dir():
            self._wrong(name, found, "a directory that exists")
        return path

    def authorities(self, name: str) -> Path | None:
        """Read the path of a file of PEM certificates to trust; it may be absent."""
        found = self.optional(name)
        if found is None:
            return None
        try:
            ssl.create_default_context(cafile=found)
        except OSError:  # no file, not readable, or no certificate in it
            self._wrong(name, found, "a file of PEM certificates that this process may read")
        return Path(found)

    def secret(self, name: str, *, loopback: bool) -> Secret:
        """Read the file that `name`_FILE names, or on loopback only the variable `name` itself.

        The value is masked in every later log line. Both given, or neither, is a problem.
        """
        file, value = self.optional(f"{name}_FILE"), self.optional(name)
        if file and value:
            self._problems.append(f"{name} and {name}_FILE: both are set; expected one, the file")
        elif file:
            return self._secret_of_file(f"{name}_FILE", Path(file))
        elif value and not loopback:
            self._problems.append(f"{name}: a secret in a plain variable; expected {name}_FILE, a file of mode 0400")
        elif value:
            return self._secret_of_variable(name, value)
        else:
            self._problems.append(f"{name}_FILE: absent; expected the path of a file of mode 0400")
        return Secret("")

    def database_url(self, name: str, *, loopback: bool, plaintext: bool) -> Secret:
        """Read a database's URL as a secret: it and the password in it are masked from now on.

        `plaintext` says that the network to the database may be trusted; see `private_network`.
        """
        from kernel.dsn import dsn_problem, password_of  # noqa: PLC0415 - only who has a database has its driver

        url = self.secret(name, loopback=loopback)
        if url.reveal():
            if problem := dsn_problem(url, plaintext=plaintext):
                self.problem(name, problem)
            if password := password_of(url):
                hide(password)
        return url

    def private_network(self, name: str) -> bool:
        """Say whether the operator vouches for the network: "private-network", or "no"."""
        return self.text(name, default="no", choices=("no", PRIVATE_NETWORK)) == PRIVATE_NETWORK

    def forbid(self, *names: str, because: str) -> None:
        """Note a problem for each of these variables that is set at all, even to nothing."""
        self._problems.extend(
            f"{name}: is set; expected to be absent: {because}" for name in names if name in self._variables
        )

    def problem(self, name: str, expected: str) -> None:
        """Note a problem that only the caller can see, such as two settings that do not fit each other."""
        self._problems.append(f"{name}: expected {expected}")

    def finish(self) -> None:
        """Pass when every variable was right.

        Raises:
            SettingsError: one line per problem: the variable, what was found, what is expected.
        """
        if self._problems:
            raise SettingsError("settings refused:\n  " + "\n  ".join(self._problems))

    def _found(self, name: str, default: str | None, expected: str) -> str:
        found = self._variables.get(name) or default
        if found is None:
            self._problems.append(f"{name}: absent; expected {expected}")
        return found or ""

    def _wrong(self, name: str, found: str, expected: str) -> None:
        self._problems.append(f"{name}: found {_shown(found)}; expected {expected}")

    def _placeholder(self, name: str, found: str, expected: str, value: Value) -> Value:
        if found:
            self._wrong(name, found, expected)
        return value

    def _secret_of_file(self, name: str, path: Path) -> Secret:
        try:
            secret = read_secret_file(path)
        except SecretFileError as error:
            self._problems.append(f"{name}: {error}")
            return Secret("")
        hide(secret)
        return secret

    def _secret_of_variable(self, name: str, value: str) -> Secret:
        if not value.isascii() or len(value) > MAX_SECRET_BYTES:
            self._problems.append(f"{name}: expected at most {MAX_SECRET_BYTES} ASCII characters")
            return Secret("")
        secret = Secret(value.strip())
        hide(secret)
        return secret


def is_loopback(address: str) -> bool:
    """Say whether "host:port" names this machine by a loopback IP address; a host name never counts."""
    try:
        return ipaddress.ip_address(_host(address)).is_loopback
    except ValueError:
        return False


def _host(address: str) -> str:
    host = address.rpartition(":")[0]
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _is_host(host: str) -> bool:
    if host.startswith("[") and host.endswith("]"):
        try:
            return ipaddress.ip_address(host[1:-1]).version == 6  # noqa: PLR2004 - IPv6 is what brackets are for
        except ValueError:
            return False
    return _HOST_NAME.fullmatch(host) is not None


def _shown(found: str) -> str:
    text = redact(found)
    return repr(text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS] + "…")
