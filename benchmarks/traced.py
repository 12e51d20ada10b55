"""trade_service with a stopwatch in it: `python -m benchmarks.traced`, started by the benchmark.

The service is what it always is; this module replaces the functions on the way of an execution by ones that measure
themselves, before it starts. Two times each: wall, from begin to end, and busy, the part in which the event loop's
thread ran it and nothing else could run. Statements are counted by the transaction they belong to. Everything is
written to BENCH_TRACE_FILE when the service ends.
"""

import os
import types
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import orjson
import psycopg
import psycopg_pool

import kernel.db
import trade_service.execute
import trade_service.judge
import trade_service.rpc.trade
import trade_service.store.claim
from kernel import logs
from kernel.db import Transaction
from kernel.rpc import interceptor
from trade_service.__main__ import main
from trade_service.exchange import BitvavoExchange
from trade_service.execute import Execute
from trade_service.store.claim import ClaimRows
from trade_service.store.executions import ExecutionRows
from trade_service.store.proposals import ProposalRows

METHOD: Final = "/trade.v1.TradeService/ExecuteProposal"

_samples: Final[dict[str, list[tuple[float, float]]]] = defaultdict(list)
_statements: Final[dict[str, int]] = defaultdict(int)
_owner: Final[ContextVar[str]] = ContextVar("owner", default="")


@types.coroutine
def metered(name: str, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Run `work` to its end as itself, noting wall and busy seconds under `name`."""
    started, busy, value, error = perf_counter(), 0.0, None, None
    while True:
        resumed = perf_counter()
        try:
            pending = work.send(value) if error is None else work.throw(error)
        except BaseException as ended:
            now = perf_counter()
            _samples[name].append((now - started, busy + now - resumed))
            if isinstance(ended, StopIteration):
                return ended.value
            raise
        busy += perf_counter() - resumed
        value = error = None
        try:
            value = yield pending
        except BaseException as thrown:  # noqa: BLE001 - handed on to the work, whatever it is
            error = thrown


def measure_async(place: Any, name: str, label: str, *, owns: bool = False) -> None:  # noqa: ANN401 - class or module
    """Measure a coroutine function; `owns`: statements run inside are its own."""
    original: Callable[..., Coroutine[Any, Any, Any]] = getattr(place, name)

    @wraps(original)
    async def measured(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if owns:
            _owner.set(label)
        full = label if label in WHOLE or not _owner.get() else f"{_owner.get()}: {label}"
        return await metered(full, original(*args, **kwargs))

    setattr(place, name, measured)


def measure(place: Any, name: str, label: str) -> None:  # noqa: ANN401
    """Measure a plain function."""
    original: Callable[..., Any] = getattr(place, name)

    @wraps(original)
    def measured(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        started = perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            spent = perf_counter() - started
            _samples[label].append((spent, spent))

    setattr(place, name, measured)


WHOLE: Final = frozenset({"call", "execute", "look", "facts", "claim", "POST", "settle"})


def measure_everything() -> None:
    """Put a stopwatch on every step of an execution."""
    measure_async(Execute, "execute", "execute")
    measure_async(ProposalRows, "first_look", "look", owns=True)
    measure_async(Execute, "_gather", "facts")
    measure_async(ClaimRows, "claim", "claim", owns=True)
    measure_async(BitvavoExchange, "create", "POST")
    measure_async(ExecutionRows, "settle", "settle", owns=True)
    measure_async(psycopg_pool.AsyncConnectionPool, "getconn", "connection")
    measure_async(Transaction, "commit", "commit")
    measure_async(kernel.db, "read_only", "read")
    measure(trade_service.execute, "judge", "judge")
    measure(trade_service.judge, "decide", "decide")
    measure(trade_service.store.claim, "view_of", "rows to values")
    measure(trade_service.store.claim, "_decision", "decision to JSON")
    measure(trade_service.rpc.trade, "decision_message", "decision message")
    measure(trade_service.rpc.trade, "execution_message", "execution message")
    measure(interceptor._Method, "_request", "decode and validate")  # noqa: SLF001 - a stopwatch may look inside
    measure(logs, "log_fields", "log line")
    _measure_batches()
    _count_statements()
    _measure_calls()


def _measure_batches() -> None:
    original = Transaction.run

    async def run(self: Any, *statements: Any) -> Any:  # noqa: ANN401
        self.batches = getattr(self, "batches", 0) + 1
        return await metered(f"{_owner.get()}: batch {self.batches}", original(self, *statements))

    Transaction.run = run  # type: ignore[method-assign]


def _count_statements() -> None:
    original = psycopg.AsyncConnection.execute

    def execute(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        _statements[_owner.get()] += 1
        return original(self, *args, **kwargs)

    psycopg.AsyncConnection.execute = execute  # type: ignore[method-assign]


def _measure_calls() -> None:
    original = interceptor._Method.unary  # noqa: SLF001

    def unary(self: Any, behaviour: Any) -> Callable[..., Awaitable[Any]]:  # noqa: ANN401
        serve = original(self, behaviour)
        if self.name != METHOD:
            return serve

        async def measured(raw: bytes, context: Any) -> Any:  # noqa: ANN401
            return await metered("call", serve(raw, context))  # type: ignore[arg-type]

        return measured

    interceptor._Method.unary = unary  # type: ignore[method-assign]  # noqa: SLF001


if __name__ == "__main__":
    measure_everything()
    try:
        main()
    finally:
        Path(os.environ["BENCH_TRACE_FILE"]).write_bytes(orjson.dumps({"samples": _samples, "statements": _statements}))
