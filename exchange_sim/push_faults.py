"""Carries out the faults of what the exchange tells its sockets: numbers, books, frames and sockets that go wrong.

A rule strikes one event for all who hear it. The exchange's own book stays right: only what is told is wrong, but for
the nonces, which are the market's from then on.
"""

from __future__ import annotations

from exchange_sim.event_view import decimals_of, padded
from exchange_sim.faults import ON_EVENTS, Fault, Faults
from exchange_sim.fixed import PRICE_DIGITS
from exchange_sim.socket_session import FOR_EVER_S, Session
from exchange_sim.subscriptions import BOOK
from exchange_sim.venue import Venue

MS_PER_S = 1_000
# A restarted engine counts from here; the sockets stay open.
NONCE_AFTER_RESET = 1
FALSE_SIZE = "1"
ON_BOOKS = frozenset({"nonce_gap", "nonce_reset", "crossed_book"})


class PushFaults:
    """The fault rules as far as they strike what is told."""

    def __init__(self, faults: Faults) -> None:
        """Share the rules and counts of the requests' faults."""
        self._faults = faults

    @property
    def rules(self) -> bool:
        """Whether any rule is for events."""
        return self._faults.strikes_events

    def distort(self, venue: Venue, event: dict[str, object]) -> None:
        """Make a book event skip a nonce, count from the start, or bid as much as is asked."""
        for fault in self._faults.striking_event(BOOK, venue.rules.market, ON_BOOKS):
            if fault.fault == "nonce_gap":
                venue.nonce += 1
            elif fault.fault == "nonce_reset":
                venue.nonce = NONCE_AFTER_RESET
            else:
                _cross(venue, event)
        event["nonce"] = venue.nonce

    def delays_ms(self, channel: str, market: str, hearers: list[Session]) -> list[int]:
        """Carry out the faults that an event meets, and tell how late each of its copies leaves: none when dropped."""
        delays_ms = [0]
        for fault in self._faults.striking_event(channel, market, ON_EVENTS - ON_BOOKS):
            if fault.fault == "drop_frame":
                return []
            if fault.fault == "late_frame":
                delays_ms[0] = fault.ms
            elif fault.fault == "duplicate_frame":
                delays_ms.append(fault.ms)
            else:
                _strike_sockets(fault, hearers)
        return delays_ms


def _cross(venue: Venue, event: dict[str, object]) -> None:
    ask, bids = venue.book.asks.best(), event["bids"]
    if ask is not None and isinstance(bids, list):
        bids.append([padded(ask.price, PRICE_DIGITS, decimals_of(venue.rules.tick_text)), FALSE_SIZE])


def _strike_sockets(fault: Fault, hearers: list[Session]) -> None:
    """Cases: nothing leaves for a while or for ever; closed; reset."""
    for session in hearers:
        if fault.fault == "stalled_socket":
            session.stall(fault.ms / MS_PER_S if fault.ms else FOR_EVER_S)
        elif fault.how == "reset":
            session.reset()
        else:
            session.close()
