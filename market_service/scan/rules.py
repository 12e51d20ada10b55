"""The analyst that needs no model: the same snapshot always gives the same opinion. The default of a job."""

from decimal import Decimal
from typing import Final

from kernel.decimals import plain
from market_service.scan.job import AnalystKind, Content, Opinion, Side, Snapshot
from market_service.scan.ports import AnalystError, Usage

LEAST_MOVE: Final = Decimal("0.01")
LEAST_VOLUME_Z: Final = Decimal(2)
CONFIDENCES: Final = (50, 75, 100)


class RulesAnalyst:
    """Follows the last hour.

    A rise of 1 % or more within an hour is a BUY, a fall of as much a SELL, less is a HOLD. Confidence is 50; 75 when
    either the four hours point the same way or the volume stands out by two deviations; 100 when both do.
    """

    kind: Final = AnalystKind.RULES

    async def judge(self, content: Content, snapshot: Snapshot) -> tuple[Opinion, Usage]:
        """Form an opinion; it costs nothing."""
        return judged(content, snapshot), Usage()


def judged(content: Content, snapshot: Snapshot) -> Opinion:
    """Form the opinion.

    Raises:
        AnalystError: the last hour is unknown.
    """
    move = snapshot.move_1h
    if move is None:
        raise AnalystError("TOO_FEW_CANDLES", sent=False)
    side = Side.HOLD if abs(move) < LEAST_MOVE else Side.BUY if move > 0 else Side.SELL
    amount = {Side.BUY: content.buy_quote_amount, Side.SELL: content.sell_amount, Side.HOLD: None}[side]
    if amount is None:
        return Opinion(Side.HOLD, 0, None, _why(snapshot))
    agrees = snapshot.move_4h is not None and snapshot.move_4h * move > 0
    stands_out = snapshot.volume_z is not None and snapshot.volume_z >= LEAST_VOLUME_Z
    return Opinion(side, CONFIDENCES[agrees + stands_out], amount, _why(snapshot))


def _why(snapshot: Snapshot) -> str:
    measures = {"1h": snapshot.move_1h, "4h": snapshot.move_4h, "volume z": snapshot.volume_z}
    told = (f"{name} {'unknown' if value is None else plain(value)}" for name, value in measures.items())
    return f"price {plain(snapshot.price)}, " + ", ".join(told)
