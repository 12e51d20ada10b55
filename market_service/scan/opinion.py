"""Reads what a model wrote. It is data: five fields, each of one form, and nothing else passes. Pure.

An answer that is anything else is no opinion: not one to mend, to cut, or to take in part.
"""

import json
import unicodedata
from decimal import Decimal
from typing import Any, Final, NoReturn

from kernel.decimals import parse_decimal
from market_service.scan.job import Content, Opinion, Side

RATIONALE_MAX_CHARS: Final = 500
CONFIDENCE_MAX: Final = 100
FIELDS: Final = frozenset({"side", "confidence", "quote_amount", "amount", "rationale"})
HIDDEN: Final = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})
"""Unicode categories of characters that a reader does not see, or that turn the line around."""


class OpinionError(ValueError):
    """The text is no opinion; `code` says what is wrong and repeats nothing of it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def read_opinion(text: str, content: Content) -> Opinion:
    """Read an opinion, within the amounts of the job.

    BUY has `quote_amount`, SELL has `amount`, HOLD neither; amounts are decimal strings above zero and at most the
    job's. `confidence` is a whole number from 0 to 100. `rationale` is visible text, at most 500 characters.

    Raises:
        OpinionError: anything else, such as a further field.
    """
    found = _object(text)
    if found.keys() - FIELDS:
        raise OpinionError("FIELD_UNKNOWN")
    side = _side(found.get("side"))
    return Opinion(side, _confidence(found.get("confidence")), _amount(found, side, content), _rationale(found))


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_float=_refused, parse_constant=_refused)
    except OpinionError:
        raise
    except (ValueError, RecursionError):
        raise OpinionError("NOT_JSON") from None
    if not isinstance(found, dict):
        raise OpinionError("NOT_AN_OBJECT")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise OpinionError("FIELD_TWICE")
    return dict(pairs)


def _refused(_: str) -> NoReturn:
    raise OpinionError("NUMBER_NOT_WHOLE")


def _side(found: object) -> Side:
    if not isinstance(found, str) or found not in set(Side):
        raise OpinionError("SIDE")
    return Side(found)


def _confidence(found: object) -> int:
    # bool is an int to Python: true is no confidence.
    if type(found) is not int or not 0 <= found <= CONFIDENCE_MAX:
        raise OpinionError("CONFIDENCE")
    return found


def _amount(found: dict[str, Any], side: Side, content: Content) -> Decimal | None:
    wanted = {Side.BUY: "quote_amount", Side.SELL: "amount", Side.HOLD: None}[side]
    if {"quote_amount", "amount"} & found.keys() != ({wanted} if wanted else set()):
        raise OpinionError("AMOUNT")
    if wanted is None:
        return None
    most = content.buy_quote_amount if side is Side.BUY else content.sell_amount
    if most is None:
        raise OpinionError("SIDE_NOT_OFFERED")
    amount = _positive(found[wanted])
    if amount > most:
        raise OpinionError("AMOUNT_OVER_JOB")
    return amount


def _positive(found: object) -> Decimal:
    try:
        amount = parse_decimal(found) if isinstance(found, str) else Decimal(0)
    except ValueError:
        raise OpinionError("AMOUNT") from None
    if amount <= 0:
        raise OpinionError("AMOUNT")
    return amount


def _rationale(found: dict[str, Any]) -> str:
    text = found.get("rationale")
    if not isinstance(text, str) or len(text) > RATIONALE_MAX_CHARS:
        raise OpinionError("RATIONALE")
    if any(unicodedata.category(each) in HIDDEN for each in text):
        raise OpinionError("RATIONALE_HIDDEN")
    return text
