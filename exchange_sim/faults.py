"""Faults to inject into chosen requests, by number or by a seeded probability, each counted when it is injected.

Decides which faults a request meets; the HTTP edge carries them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

MOST_DELAY_MS = 600_000
MOST_BODY_BYTES = 64 * 1024 * 1024
MOST_RULES = 1_000

# What each fault does, and whether the request is carried out first where it is not said.
EXECUTES: Mapping[str, bool] = {
    "drop_request": False,
    "drop_response": True,
    "delay_request": True,
    "delay_response": True,
    "error_5xx_before": False,
    "error_5xx_after_executing": True,
    "error_code": False,
    "reset_mid_body": True,
    "html": False,
    "ban": False,
    "read_lag": True,
    "redirect": False,
    "truncated_json": True,
    "oversized_body": True,
    "replace_body": True,
    "drip_body": True,
    "garbage": True,
    "execute_twice": True,
    "crossed_answer": True,
    "older_nonce": True,
}
# Faults of what the sockets are told; a rule for them matches channel and market.
ON_EVENTS = frozenset(
    {
        "nonce_gap",
        "nonce_reset",
        "crossed_book",
        "drop_frame",
        "late_frame",
        "duplicate_frame",
        "stalled_socket",
        "disconnect",
    },
)
_STATUS = {"redirect": 307, "html": 403, "replace_body": 200}
# How rules call a message of a WebSocket (its path is the action), and the request faults that one can meet.
SOCKET_METHOD = "WS"
ON_MESSAGES = frozenset(
    {
        "drop_request",
        "drop_response",
        "delay_request",
        "delay_response",
        "error_code",
        "ban",
        "read_lag",
        "truncated_json",
        "oversized_body",
        "replace_body",
    },
)
# How a connection without an answer ends; a silent one is closed by whoever gives up first.
HOW = ("close", "reset", "hang")
_HOW = {"reset_mid_body": "reset"}
_EVENT_PARTS = frozenset({"channel", "market"})
# These codes say that the operation may have succeeded, so by default it has.
CODES_THAT_EXECUTE = (101, 109)


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests or events a fault is for; an empty part matches all. `contains` looks into target and body."""

    method: str = ""
    path: str = ""
    contains: str = ""
    key: str = ""
    channel: str = ""
    market: str = ""


@dataclass(slots=True)
class Fault:
    """One rule: for whom, what, how often, and how often it was."""

    number: int
    match: Match
    fault: str
    times: int | None = 1
    probability: float | None = None
    seed: int = 0
    executes: bool = True
    ms: int = 0
    status: int = 503
    code: int = 109
    body: str = ""
    size_bytes: int = 10 * 1024 * 1024
    how: str = "close"
    headers: Mapping[str, str] = field(default_factory=dict)
    injected: int = 0
    random: Random | None = None

    def row(self) -> dict[str, object]:
        """The rule as JSON, with the count of its injections."""
        match = {name: getattr(self.match, name) for name in Match.__slots__ if getattr(self.match, name)}
        return {
            "id": self.number,
            "match": match,
            "fault": self.fault,
            "times": self.times,
            "probability": self.probability,
            "seed": self.seed,
            "executes": self.executes,
            "injected": self.injected,
        }


class Faults:
    """The rules in force, and the counts of all that were ever injected."""

    def __init__(self) -> None:
        """Start without faults."""
        self.rules: list[Fault] = []
        self.injected: dict[str, int] = {}
        self._last_number = 0

    def add(self, wish: Mapping[str, object]) -> Fault:
        """Add a rule as written to `POST /_sim/faults`.

        Raises:
            ValueError: unknown fault, unknown field, or a value out of bounds.
        """
        if len(self.rules) >= MOST_RULES:
            raise ValueError(f"more than {MOST_RULES} fault rules")
        fault = _read(wish, self._last_number + 1)
        self._last_number += 1
        self.rules.append(fault)
        return fault

    def remove(self, number: int | None) -> int:
        """Remove one rule or all; the counts stay. Tells how many were removed."""
        before = len(self.rules)
        self.rules = [] if number is None else [rule for rule in self.rules if rule.number != number]
        return before - len(self.rules)

    def meeting(self, method: str, target: str, body: bytes, key: str) -> list[Fault]:
        """The faults that this request meets now, each counted."""
        rules = (rule for rule in self.rules if rule.fault in EXECUTES)
        if method == SOCKET_METHOD:
            rules = (rule for rule in rules if rule.fault in ON_MESSAGES)
        return self._counted(
            [rule for rule in rules if _matches(rule.match, method, target, body, key) and _strikes(rule)]
        )

    def striking_event(self, channel: str, market: str, among: frozenset[str]) -> list[Fault]:
        """The faults among the named that an event of a channel meets now, each counted."""
        return self._counted(
            [
                rule
                for rule in self.rules
                if rule.fault in among
                and rule.match.channel in ("", channel)
                and rule.match.market in ("", market)
                and _strikes(rule)
            ]
        )

    @property
    def strikes_events(self) -> bool:
        """Whether any rule is for events."""
        return any(rule.fault in ON_EVENTS for rule in self.rules)

    def _counted(self, met: list[Fault]) -> list[Fault]:
        for rule in met:
            rule.injected += 1
            self.injected[rule.fault] = self.injected.get(rule.fault, 0) + 1
        return met


def _matches(match: Match, method: str, target: str, body: bytes, key: str) -> bool:
    return (
        (not match.method or match.method == method)
        and (not match.path or match.path == target.partition("?")[0])
        and (not match.key or key.startswith(match.key))
        and (not match.contains or match.contains in target or match.contains.encode() in body)
    )


def _strikes(rule: Fault) -> bool:
    if rule.times is not None and rule.injected >= rule.times:
        return False
    return rule.random is None or rule.random.random() < (rule.probability or 0)


def _read(wish: Mapping[str, object], number: int) -> Fault:
    known = {"match", "fault", "times", "probability", "seed", "executes", "ms", "status", "code", "body"}
    unknown = set(wish) - known - {"size_bytes", "how", "headers"}
    name, match = wish.get("fault"), wish.get("match", {})
    if unknown or name not in EXECUTES.keys() | ON_EVENTS or not isinstance(match, dict):
        names = ", ".join((*EXECUTES, *sorted(ON_EVENTS)))
        raise ValueError(f"fault must be one of {names}; unknown: {', '.join(sorted(unknown)) or 'none'}")
    parts = _EVENT_PARTS if name in ON_EVENTS else frozenset(Match.__slots__) - _EVENT_PARTS
    if set(match) - parts:
        raise ValueError(f"a match of {name} has {', '.join(sorted(parts))}")
    if name in ("nonce_gap", "nonce_reset", "crossed_book") and match.get("channel", "book") != "book":
        raise ValueError(f"{name} is for the channel book")
    probability = wish.get("probability")
    times = wish.get("times", None if probability is not None else 1)
    code = _number(wish, "code", 109, 999)
    default = code in CODES_THAT_EXECUTE if name == "error_code" else EXECUTES.get(str(name), True)
    seed = _number(wish, "seed", 0, 2**63)
    fault = Fault(
        number=number,
        match=Match(**{part: str(value) for part, value in match.items()}),
        fault=str(name),
        times=None if times is None else _times(times),
        probability=None if probability is None else _probability(probability),
        seed=seed,
        executes=bool(wish.get("executes", default)),
        ms=_number(wish, "ms", 0, MOST_DELAY_MS if name != "read_lag" else 10**9),
        status=_number(wish, "status", _STATUS.get(str(name), 503), 599),
        code=code,
        body=str(wish.get("body", "")),
        size_bytes=_number(wish, "size_bytes", 10 * 1024 * 1024, MOST_BODY_BYTES),
        how=_how(wish.get("how", _HOW.get(str(name), HOW[0]))),
        headers=_headers(wish.get("headers", {})),
    )
    if probability is not None:
        fault.random = Random(seed)
    return fault


def _probability(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("probability must be within 0 and 1")
    return float(value)


def _times(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("times must be a whole number from 1, or null for always")
    return value


def _how(value: object) -> str:
    if value not in HOW:
        raise ValueError(f"how must be one of {', '.join(HOW)}")
    return str(value)


def _headers(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError("headers must be an object")  # noqa: TRY004  one kind of refusal for a wrong wish
    return {str(name): str(text) for name, text in value.items()}


def _number(wish: Mapping[str, object], name: str, default: int, most: int) -> int:
    value = wish.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"{name} must be a whole number up to {most}")
    return value
