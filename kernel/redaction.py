"""What may not reach a log or an answer, and how it is masked; `kernel.logs` passes every value through here.

Three nets, because each has holes the next one covers: a field's name says it is secret; a text has the shape of
a secret (a header, a DSN with a password, an assignment); a text contains the value of a secret this process read.
"""

import base64
import re
import traceback
from collections.abc import Collection, Iterator
from functools import lru_cache
from itertools import islice
from typing import Final
from urllib.parse import quote

from kernel.secret import MASK, Secret

MAX_TEXT_CHARS: Final = 2_000
MAX_CHAINED_EXCEPTIONS: Final = 8
MAX_FRAMES: Final = 20
MAX_DEPTH: Final = 6
MAX_ITEMS: Final = 100
MAX_KNOWN_NAMES: Final = 1_024
MIN_HIDDEN_CHARS: Final = 6
"""Shorter values are not looked for inside other texts: masking every "1" would hide the log, not the secret."""

SECRET_NAME: Final = re.compile(
    r"authorization|cookie|password|passwd|secret|signature|api[-_]?key|private[-_]?key|token(?!s)|access[-_]?key|\bdsn\b",
    re.IGNORECASE,
)
WORDLESS_MODULES: Final = frozenset(
    {"aiohttp", "asyncpg", "httpcore", "httpx", "psycopg", "psycopg_pool", "sqlalchemy", "ssl", "urllib3"}
)
"""Libraries whose exception texts carry URLs, headers, DSNs, statements or rows: only the type's name is kept."""

_SHAPES: Final = re.compile(
    r"(?P<dsn>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@]+(?=@)"
    r"|(?P<header>\b(?:authorization|proxy-authorization|cookie|set-cookie|[a-z]+-access-[a-z]+)"
    r"['\"]?\s*[:=,]\s*['\"]?)(?:(?:basic|bearer)\s+)?[^\s'\",;&)}\]]+"
    r"|(?P<assignment>\b[a-z_-]*(?:password|passwd|secret|signature|api[-_]?key|token)['\"]?\s*[:=]\s*['\"]?)"
    r"[^\s'\",;&)}\]]+",
    re.IGNORECASE,
)
_MARKED: Final = re.compile(r"[:=,]")
"""Every shape above has one of these; most texts have none, and a search for one is ten times cheaper."""
_hidden: Final[dict[str, None]] = {}


def hide(secret: Secret) -> None:
    """Mask this value, and its base64, hex and URL forms, in every later line, wherever it turns up."""
    value = secret.reveal()
    if len(value) < MIN_HIDDEN_CHARS:
        return
    raw = value.encode()
    for form in (value, base64.b64encode(raw).decode().rstrip("="), raw.hex(), quote(value, safe="")):
        _hidden[form] = None


def redact(text: str) -> str:
    """Return `text` with everything masked that looks like, or is, a secret; cut at 2,000 characters."""
    masked = _SHAPES.sub(_keep_the_name, text) if _MARKED.search(text) else text
    for value in _hidden:
        if value in masked:
            masked = masked.replace(value, MASK)
    return masked if len(masked) <= MAX_TEXT_CHARS else masked[:MAX_TEXT_CHARS] + "…"


def safe_value(name: str, value: object, depth: int = MAX_DEPTH) -> object:
    """Return what may be logged for the field `name`: JSON's own types kept, all else as redacted text."""
    if isinstance(value, Secret) or _is_secret(name):
        return MASK
    if isinstance(value, str):
        return redact(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict | list | tuple | set | frozenset):
        return _safe_collection(name, value, depth - 1) if depth else "…"
    return exception_text(value) if isinstance(value, BaseException) else redact(_text(value))


def exception_text(error: BaseException) -> str:
    """Return type and text, or the type alone where the text is a library's that quotes its input."""
    kind = type(error)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    if kind.__module__.partition(".")[0] in WORDLESS_MODULES or isinstance(error, UnicodeError):
        return name
    text = redact(_text(error))
    return f"{name}: {text}" if text else name


def exception_trace(error: BaseException) -> list[str]:
    """Return the chain of exceptions, innermost last, each with its last 20 frames; no source, no local value."""
    lines: list[str] = []
    for link in _chain(error):
        lines.append(exception_text(link))
        frames = traceback.extract_tb(link.__traceback__)[-MAX_FRAMES:]
        lines.extend(f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
    return lines


def _safe_collection(name: str, value: Collection[object], depth: int) -> object:
    if isinstance(value, dict):
        shown = islice(value.items(), MAX_ITEMS)
        return {_text(key): safe_value(_text(key), item, depth) for key, item in shown}
    return [safe_value(name, item, depth) for item in islice(value, MAX_ITEMS)]


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - a log line must never break what it tells about
        return f"{type(value).__name__} that cannot be shown ({type(error).__name__})"


@lru_cache(MAX_KNOWN_NAMES)
def _is_secret(name: str) -> bool:
    return SECRET_NAME.search(name) is not None


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting = [error]
    for _ in range(MAX_CHAINED_EXCEPTIONS):
        if not waiting:
            return
        link = waiting.pop(0)
        yield link
        if isinstance(link, BaseExceptionGroup):
            waiting.extend(link.exceptions)
        before = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        if before is not None:
            waiting.append(before)


def _keep_the_name(match: re.Match[str]) -> str:
    return f"{match['dsn'] or match['header'] or match['assignment']}{MASK}"
