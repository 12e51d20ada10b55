"""Asks a language model behind an OpenAI-compatible API for an opinion: one request, never repeated, read under caps.

The model is told numbers only. What it answers is read by `opinion` and is nothing but data. The API's key is here
and in no other process (docs/scans.md).
"""

import asyncio
import ipaddress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import httpx
import orjson

from kernel.decimals import plain
from kernel.secret import Secret
from market_service.scan.job import AnalystKind, Content, Opinion, Snapshot
from market_service.scan.opinion import OpinionError, read_opinion
from market_service.scan.ports import AnalystError, Usage

CONNECT_TIMEOUT_SECONDS: Final = 3.0
BODY_CAP_BYTES: Final = 64 * 1024
CONTENT_MAX_CHARS: Final = 8_000
ANSWER_TOKENS_MAX: Final = 400
CONNECTIONS_MAX: Final = 16
TOKENS_MAX: Final = 100_000_000
MILLION: Final = Decimal(1_000_000)
COST_DIGITS: Final = Decimal("1e-12")
OK: Final = 200

_ROLE: Final = (
    "You judge one market from the measures given. Answer with one JSON object and nothing else. Fields: "
    '"side": "BUY", "SELL" or "HOLD"; "confidence": a whole number from 0 to 100; '
    '"quote_amount": for BUY only, a decimal string; "amount": for SELL only, a decimal string; '
    '"rationale": at most 500 plain characters. No other field.'
)


@dataclass(frozen=True, slots=True)
class Prices:
    """What a million tokens cost; None: unknown, and then so is the cost."""

    input: Decimal
    output: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which model, where, and with what key. `url` is the API's base, "https://api.example.com/v1"."""

    url: str
    model: str
    key: Secret
    timeout_seconds: float
    prices: Prices | None


class ModelAnalyst:
    """A language model. Close it."""

    kind: Final = AnalystKind.MODEL

    def __init__(self, settings: ModelSettings) -> None:
        """Open nothing yet.

        Raises:
            ValueError: the URL is neither https nor on loopback.
        """
        self._settings = settings
        self._key = settings.key
        self._http = httpx.AsyncClient(
            base_url=checked_url(settings.url),
            headers={"accept": "application/json", "accept-encoding": "identity", "user-agent": "interlock"},
            timeout=httpx.Timeout(settings.timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )

    def use_key(self, key: Secret) -> None:
        """Send this key from now on."""
        self._key = key

    async def judge(self, content: Content, snapshot: Snapshot) -> tuple[Opinion, Usage]:
        """Ask once.

        Raises:
            AnalystError: no connection (not sent), no answer in time, one too large, or one that is no opinion.
        """
        body = await self._post(_question(self._settings.model, content, snapshot))
        answer = _object(body)
        usage = _usage(answer, self._settings)
        try:
            return read_opinion(_written(answer), content), usage
        except OpinionError as error:
            raise AnalystError(f"ANSWER_{error.code}", sent=True, usage=usage) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _post(self, question: bytes) -> bytes:
        """Send once; httpx sends nothing again by itself, and no connection is used twice."""
        headers = {"authorization": f"Bearer {self._key.reveal()}", "content-type": "application/json"}
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                async with self._http.stream("POST", "chat/completions", content=question, headers=headers) as answer:
                    return await self._body(answer)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise AnalystError("MODEL_UNREACHABLE", sent=False) from None
        except TimeoutError:
            raise AnalystError("MODEL_TOO_SLOW", sent=True, usage=self._unknown()) from None
        except httpx.HTTPError:
            raise AnalystError("MODEL_ANSWER_LOST", sent=True, usage=self._unknown()) from None

    async def _body(self, answer: httpx.Response) -> bytes:
        if answer.status_code != OK:
            raise AnalystError(f"MODEL_HTTP_{answer.status_code}", sent=True, usage=self._unknown())
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise AnalystError("MODEL_ANSWER_PACKED", sent=True, usage=self._unknown())
        body = bytearray()
        async for chunk in answer.aiter_raw():
            body += chunk
            if len(body) > BODY_CAP_BYTES:
                raise AnalystError("MODEL_ANSWER_TOO_LARGE", sent=True, usage=self._unknown())
        return bytes(body)

    def _unknown(self) -> Usage:
        return Usage(model=self._settings.model)


def checked_url(url: str) -> str:
    """Return the base URL with its closing slash.

    Raises:
        ValueError: it is neither https nor http to a loopback address, or carries a user, a query or a fragment.
    """
    parsed = httpx.URL(url)
    plain_is_fine = parsed.scheme == "http" and _is_loopback(parsed.host)
    if (
        not parsed.host
        or parsed.userinfo
        or parsed.query
        or parsed.fragment
        or not (parsed.scheme == "https" or plain_is_fine)
    ):
        message = "expected https://host/path, or http:// on a loopback address"
        raise ValueError(message)
    return f"{url.rstrip('/')}/"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _question(model: str, content: Content, snapshot: Snapshot) -> bytes:
    measures = {
        "market": snapshot.market,
        "price": plain(snapshot.price),
        "volatility_5m_over_4h": _told(snapshot.volatility),
        "move_1h": _told(snapshot.move_1h),
        "move_4h": _told(snapshot.move_4h),
        "volume_z": _told(snapshot.volume_z),
        "most_quote_amount_of_a_buy": _told(content.buy_quote_amount),
        "most_amount_of_a_sell": _told(content.sell_amount),
    }
    messages = [
        {"role": "system", "content": _ROLE},
        {"role": "user", "content": orjson.dumps(measures).decode()},
    ]
    return orjson.dumps(
        {
            "model": model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": ANSWER_TOKENS_MAX,
            "response_format": {"type": "json_object"},
        }
    )


def _told(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise AnalystError("MODEL_ANSWER_UNREADABLE", sent=True) from None
    if not isinstance(found, dict):
        raise AnalystError("MODEL_ANSWER_UNREADABLE", sent=True)
    return found


def _written(answer: dict[str, Any]) -> str:
    match answer.get("choices"):
        case [{"message": {"content": str(text)}, "finish_reason": "stop"}] if len(text) <= CONTENT_MAX_CHARS:
            return text
    raise OpinionError("SHAPE")


def _usage(answer: dict[str, Any], settings: ModelSettings) -> Usage:
    """Read what the server says of tokens. It is told to the budget and decides nothing; nonsense counts as nothing."""
    found = answer.get("usage")
    spent = found if isinstance(found, dict) else {}
    tokens_in, tokens_out = _tokens(spent.get("prompt_tokens")), _tokens(spent.get("completion_tokens"))
    if settings.prices is None:
        return Usage(settings.model, tokens_in, tokens_out)
    cost = (tokens_in * settings.prices.input + tokens_out * settings.prices.output) / MILLION
    try:
        return Usage(settings.model, tokens_in, tokens_out, cost.quantize(COST_DIGITS), settings.prices.currency)
    except InvalidOperation:
        return Usage(settings.model, tokens_in, tokens_out)


def _tokens(found: object) -> int:
    return found if type(found) is int and 0 <= found <= TOKENS_MAX else 0
