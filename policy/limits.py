"""The kinds of limit a policy can state: how each is written, read strictly, bounded and shown.

A rule declares its fields as ``Annotated[type, kind]``; `policy/reading.py` reads them, `policy/policy.py` writes the
canonical form, in which every scalar is a string that the same kind reads back.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Protocol

from policy.number import EXACT, show_duration, show_shortest

DECIMAL_PATTERN: Final = re.compile(r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,12})?", re.ASCII)
_WHOLE_PATTERN: Final = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_DURATION_PATTERN: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
MAX_REASON_CHARACTERS: Final = 200


class Kind(Protocol):
    """One way of writing a scalar. `read` raises ValueError; `allowed` says what would have been right."""

    @property
    def allowed(self) -> str:
        """What may be written, for people."""
        ...

    def read(self, text: str) -> Any:  # noqa: ANN401 - each kind has its own type
        """Return the value."""
        ...

    def show(self, value: Any) -> str:  # noqa: ANN401
        """Return the one canonical spelling of a value."""
        ...


@dataclass(frozen=True, slots=True)
class Money:
    """A decimal in the quote currency: up to 12 digits before and 12 after the point, never negative."""

    above_zero: bool = False

    @property
    def allowed(self) -> str:
        """What may be written."""
        return f'a decimal such as "25" or "0.5"{", above 0" if self.above_zero else ""}'

    def read(self, text: str) -> Decimal:
        """Return the number, without trailing zeros."""
        if not DECIMAL_PATTERN.fullmatch(text):
            raise ValueError
        number = Decimal(show_shortest(Decimal(text)))
        if self.above_zero and not number:
            raise ValueError
        return number

    def show(self, value: Decimal) -> str:
        """Return it without trailing zeros."""
        return show_shortest(value)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number between two bounds, inclusive."""

    low: int
    high: int

    @property
    def allowed(self) -> str:
        """What may be written."""
        return f"a whole number from {self.low} to {self.high}"

    def read(self, text: str) -> int:
        """Return the number."""
        if not _WHOLE_PATTERN.fullmatch(text) or not self.low <= int(text) <= self.high:
            raise ValueError
        return int(text)

    def show(self, value: int) -> str:
        """Return its digits."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Duration:
    """A number with one unit (s, m, h, d) between two bounds, inclusive."""

    low: timedelta
    high: timedelta

    @property
    def allowed(self) -> str:
        """What may be written."""
        bounds = f"{show_duration(self.low)} to {show_duration(self.high)}"
        return f"a duration such as 30s, 30m, 2h or 1d, from {bounds}"

    def read(self, text: str) -> timedelta:
        """Return the duration."""
        found = _DURATION_PATTERN.fullmatch(text)
        if not found:
            raise ValueError
        duration = timedelta(**{_UNITS[found[2]]: int(found[1])})
        if not self.low <= duration <= self.high:
            raise ValueError
        return duration

    def show(self, value: timedelta) -> str:
        """Return it in seconds."""
        return show_duration(value)


@dataclass(frozen=True, slots=True)
class Percent:
    """A percentage such as ``1%`` or ``0.5%``, above 0 and at most `high`; the value is the fraction."""

    high: Decimal

    @property
    def allowed(self) -> str:
        """What may be written."""
        return f"a percentage such as 1% or 0.5%, above 0% and at most {show_shortest(self.high)}%"

    def read(self, text: str) -> Decimal:
        """Return the fraction: ``1%`` is 0.01."""
        number = text.removesuffix("%")
        if number == text or not DECIMAL_PATTERN.fullmatch(number) or not 0 < Decimal(number) <= self.high:
            raise ValueError
        return Decimal(show_shortest(EXACT.scaleb(Decimal(number), Decimal(-2))))

    def show(self, value: Decimal) -> str:
        """Return it as a percentage."""
        return f"{show_shortest(EXACT.scaleb(value, Decimal(2)))}%"


@dataclass(frozen=True, slots=True)
class Flag:
    """``true`` or ``false``, in these letters only."""

    @property
    def allowed(self) -> str:
        """What may be written."""
        return "true or false"

    def read(self, text: str) -> bool:
        """Return the truth value."""
        if text not in {"true", "false"}:
            raise ValueError
        return text == "true"

    def show(self, value: bool) -> str:  # noqa: FBT001 - the value is the flag
        """Return the word."""
        return "true" if value else "false"


@dataclass(frozen=True, slots=True)
class Choice:
    """One word of a closed list."""

    words: type[StrEnum]

    @property
    def allowed(self) -> str:
        """What may be written."""
        return "one of " + ", ".join(self.words)

    def read(self, text: str) -> StrEnum:
        """Return the word."""
        return self.words(text)

    def show(self, value: StrEnum) -> str:
        """Return the word."""
        return value.value


@dataclass(frozen=True, slots=True)
class Text:
    """A text that matches a pattern from end to end; `allowed` says it in words."""

    pattern: str
    allowed: str

    def read(self, text: str) -> str:
        """Return the text."""
        if not re.fullmatch(self.pattern, text, re.ASCII):
            raise ValueError
        return text

    def show(self, value: str) -> str:
        """Return the text."""
        return value


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of distinct scalars; their order has no meaning, so it is sorted."""

    item: Kind
    low: int
    high: int

    @property
    def allowed(self) -> str:
        """What may be written."""
        return f"a list of {self.low} to {self.high} different entries, each {self.item.allowed}"


MARKET: Final = Text(r"[A-Z0-9]{1,20}-[A-Z0-9]{2,10}", "a market such as BTC-EUR")
CURRENCY: Final = Text(r"[A-Z0-9]{2,10}", "a currency such as EUR")
NAME: Final = Text(r"[a-z][a-z0-9_-]{0,62}", "a name in lower case letters, digits, _ and -, at most 63 long")
USER: Final = Text(
    r"[a-z0-9][a-z0-9._-]{0,62}", 'a user id in lower case, at most 63 long (a policy for everybody says "*" alone)'
)
REASON: Final = Text(
    rf"(?=.*\S)[^\x00-\x1f\x7f]{{1,{MAX_REASON_CHARACTERS}}}",
    f"a reason in words, at most {MAX_REASON_CHARACTERS} characters",
)
