"""Weight points per clock minute, one bucket per account and one per unsigned address, and the bans for excess.

https://docs.bitvavo.com/docs/rate-limits/: 1,000 points a minute; a signed excess blocks for the rest of the minute
and one more, an unsigned one for 15 minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

from exchange_sim.refusal import Refusal

MINUTE_MS = 60_000
UNSIGNED_BAN_MS = 15 * MINUTE_MS
DEFAULT_POINTS_PER_MINUTE = 1_000


@dataclass(slots=True)
class Bucket:
    """Points used in the current minute, and until when its owner is banned (Unix ms)."""

    is_signed: bool
    minute: int = 0
    used: int = 0
    banned_until_ms: int = 0


class RateLimits:
    """All buckets."""

    def __init__(self, points_per_minute: int = DEFAULT_POINTS_PER_MINUTE) -> None:
        """Start with nothing used."""
        self.points_per_minute = points_per_minute
        self._buckets: dict[str, Bucket] = {}

    def bucket(self, name: str, *, is_signed: bool) -> Bucket:
        """The bucket of an account or an address."""
        found = self._buckets.get(name)
        if found is None:
            found = self._buckets[name] = Bucket(is_signed)
        return found

    def charge(self, bucket: Bucket, weight: int, now_ms: int) -> None:
        """Take points for a request.

        Raises:
            Refusal: 105, over the limit now or still banned.
        """
        minute = now_ms // MINUTE_MS
        if bucket.minute != minute:
            bucket.minute, bucket.used = minute, 0
        if now_ms >= bucket.banned_until_ms:
            bucket.used += weight
            if bucket.used <= self.points_per_minute:
                return
            self.ban(bucket, now_ms)
        raise Refusal(105, ban_text(bucket.banned_until_ms))

    def ban(self, bucket: Bucket, now_ms: int) -> None:
        """Block a bucket for as long as the exchange does."""
        two_minutes_on = (now_ms // MINUTE_MS + 2) * MINUTE_MS
        bucket.banned_until_ms = two_minutes_on if bucket.is_signed else now_ms + UNSIGNED_BAN_MS

    def lift_bans(self) -> None:
        """Forget all bans and all points used."""
        self._buckets.clear()

    def headers(self, bucket: Bucket, now_ms: int) -> dict[str, str]:
        """The three rate headers of every JSON answer."""
        used = bucket.used if bucket.minute == now_ms // MINUTE_MS else 0
        remaining = 0 if now_ms < bucket.banned_until_ms else max(0, self.points_per_minute - used)
        return {
            "bitvavo-ratelimit-limit": str(self.points_per_minute),
            "bitvavo-ratelimit-remaining": str(remaining),
            "bitvavo-ratelimit-resetat": str((now_ms // MINUTE_MS + 1) * MINUTE_MS),
        }


def ban_text(until_ms: int) -> str:
    """The text of a ban; public clients cut the time out of it after the word " at "."""
    return f"Your IP or API key has been banned for not respecting the rate limit. The ban expires at {until_ms}."
