"""The one place from which an order leaves: once, and not with too little of its window left; the gate before it."""

import ast
import asyncio
from collections.abc import Iterator
from math import ceil
from pathlib import Path

import pytest

from policy.model import ExecutionStatus
from tests.trade_service import fakes, given
from trade_service.authority import AuthoritySpentError, Order, SendAuthority
from trade_service.execution import NOT_SENT
from trade_service.gate import CLAIMS_PER_USER_MAX, UserGate
from trade_service.send import send

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "kernel",
    "bitvavo",
    "policy",
    "market_service",
    "trade_service",
    "migrations",
    "standalone",
    "cli",
    "attest",
)
SIGNED_AT = 1000.0


def authority(window_ms: int = 5000) -> SendAuthority:
    return SendAuthority(
        Order("alice", "BTC-EUR", given.new_execution(signed_monotonic=SIGNED_AT, window_ms=window_ms))
    )


@pytest.mark.parametrize(
    ("elapsed_ms", "window_ms", "sent"),
    [
        (0, 5000, True),
        (4500, 5000, True),
        (4500.25, 5000, False),
        (4501, 5000, False),
        (600_000, 5000, False),
        (500, 1000, True),
        (501, 1000, False),
    ],
)
async def test_an_order_with_less_than_half_a_second_left_is_not_sent(
    elapsed_ms: float, window_ms: int, *, sent: bool
) -> None:
    exchange = fakes.Exchange()
    settlement = await send(authority(window_ms), exchange, lambda: SIGNED_AT + elapsed_ms / 1000)
    assert len(exchange.created) == sent
    if not sent:
        assert (settlement.status, settlement.event) == (ExecutionStatus.NOT_PLACED, NOT_SENT)
        assert settlement.from_statuses == given.SENDER
        assert settlement.evidence == {"not_sent": "window", "left_ms": window_ms - ceil(elapsed_ms)}


@pytest.mark.parametrize("late", [False, True])
async def test_a_second_send_is_refused_whatever_became_of_the_first(*, late: bool) -> None:
    exchange, right = fakes.Exchange(), authority()
    await send(right, exchange, lambda: SIGNED_AT + (9 if late else 0))
    with pytest.raises(AuthoritySpentError):
        await send(right, exchange, lambda: SIGNED_AT)
    assert len(exchange.created) == (0 if late else 1)


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call, in our own packages, of something by that name."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                called = node.func if isinstance(node, ast.Call) else None
                found = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
                if isinstance(node, ast.Call) and found == name:
                    yield path.relative_to(ROOT).as_posix(), node


def test_only_the_claim_makes_a_send_authority() -> None:
    assert [file for file, _ in calls("SendAuthority")] == ["trade_service/store/claim.py"]
    for path in (ROOT / "trade_service").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "SendAuthority.__new__" not in text
        assert "object.__new__" not in text


def test_only_send_spends_an_authority_and_creates_an_order() -> None:
    takes = [file for file, call in calls("take") if not call.args and file.startswith("trade_service")]
    assert takes == ["trade_service/send.py"]
    creates = [file for file, _ in calls("create") if file.startswith(("trade_service", "bitvavo"))]
    assert creates == ["trade_service/send.py"]
    assert [file for file, _ in calls("send") if file == "trade_service/execute.py"] == ["trade_service/execute.py"]


def test_only_the_exchanges_client_reaches_the_endpoint_that_makes_orders() -> None:
    assert [file for file, _ in calls("create_order")] == ["trade_service/exchange.py"]
    users = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "CREATE_ORDER" in path.read_text(encoding="utf-8")
    ]
    assert users == ["bitvavo/client.py", "bitvavo/endpoints.py"]


def test_an_execution_is_inserted_in_one_place_only() -> None:
    found = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*"))
        if path.suffix in {".py", ".sql"} and "INSERT INTO trade_executions" in path.read_text(encoding="utf-8")
    ]
    assert found == ["trade_service/store/claim.py"]


async def test_the_gate_lets_two_claims_of_a_user_through_at_once_and_others_pass() -> None:
    gate, inside, most = UserGate(), {"alice": 0, "bob": 0}, {"alice": 0, "bob": 0}

    async def claim(user_id: str) -> None:
        async with gate.pass_one(user_id):
            inside[user_id] += 1
            most[user_id] = max(most[user_id], inside[user_id])
            await asyncio.sleep(0.001)
            inside[user_id] -= 1

    await asyncio.gather(*(claim("alice") for _ in range(20)), claim("bob"))
    assert most == {"alice": CLAIMS_PER_USER_MAX, "bob": 1}
    assert (dict(gate._waiting), gate._slots) == ({}, {})


async def test_the_gate_forgets_who_failed_or_gave_up() -> None:
    gate, held = UserGate(), asyncio.Event()

    async def claim() -> None:
        async with gate.pass_one("alice"):
            await held.wait()
            raise LookupError

    tasks = [asyncio.create_task(claim()) for _ in range(5)]
    await asyncio.sleep(0)
    tasks[4].cancel()
    held.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in results] == [LookupError] * 4 + [asyncio.CancelledError]
    assert (dict(gate._waiting), gate._slots) == ({}, {})
