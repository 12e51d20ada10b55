"""The parts of the job that are no database: quote, order, POST, answer. The floor and DBOS run them."""

import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson
import psycopg
import psycopg_pool
from google.protobuf.duration_pb2 import Duration

from bitvavo.client import TradeClient
from bitvavo.endpoints import TRADE_ENDPOINTS
from bitvavo.order import Fill, Order, order_body
from bitvavo.reply import Accepted
from bitvavo.signing import Credentials
from bitvavo.transport import open_client
from kernel.rpc.channel import open_channel
from kernel.secret import Secret
from protos.market.v1 import market_pb2 as market_pb
from protos.market.v1.market_pb2_grpc import MarketServiceStub
from protos.trade.v1 import trade_pb2 as pb
from trade_service.settings import CONNECTIONS

MARKET: Final = "BTC-EUR"
QUOTE_AMOUNT: Final = "50"
DEPTH: Final = 50
OPERATOR_ID: Final = 1001
WINDOW_MS: Final = 5_000
TIMEOUT_SECONDS: Final = 6.5

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Job:
    """What one execution needs beside its transactions."""

    market: Any
    exchange: TradeClient
    pool: "psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[tuple[Any, ...]]]"

    async def facts(self) -> str:
        """Ask market_service for the book, as a price collar does; return as JSON what a decision stores of it.

        A purchase walks the asks; of the bids the best is kept.
        """
        request = market_pb.GetOrderBookRequest(market=MARKET, depth=DEPTH, max_age=Duration(seconds=5))
        book = await self.market.GetOrderBook(request, timeout=2.0)
        bids, asks = ([[level.price, level.size] for level in side] for side in (book.bids[:1], book.asks))
        return orjson.dumps({"market": book.market, "bids": bids, "asks": asks}).decode()

    async def post(self, values: Values) -> Values:
        """Send the order once; return what the exchange made of it."""
        reply = await self.exchange.create_order(
            values["body"],
            timestamp_ms=values["signed_timestamp_ms"],
            window_ms=WINDOW_MS,
            timeout_seconds=TIMEOUT_SECONDS,
            client_order_id=values["client_order_id"],
            market=MARKET,
        )
        if not isinstance(reply, Accepted) or reply.order.status != "filled":
            raise RuntimeError(f"not filled: {reply}")
        return _outcome(reply.order)


def claim_values(user_id: str, proposal_id: str, facts: str) -> Values:
    """Return every parameter of a claim: ids, the exact body, the moment it is signed for."""
    client_order_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{user_id}/{proposal_id}"))
    body = order_body(
        market=MARKET,
        side="buy",
        order_type="market",
        operator_id=OPERATOR_ID,
        client_order_id=client_order_id,
        amount_quote=QUOTE_AMOUNT,
    )
    return {
        "user_id": user_id,
        "proposal_id": proposal_id,
        "decision_id": str(uuid.uuid4()),
        "execution_id": str(uuid.uuid4()),
        "client_order_id": client_order_id,
        "market": MARKET,
        "facts": facts,
        "body": body,
        "signed_timestamp_ms": time.time_ns() // 1_000_000,
    }


def answer(values: Values) -> pb.ExecuteProposalResponse:
    """Write the answer of a filled execution."""
    ids = {name: values[name] for name in ("user_id", "proposal_id", "decision_id")}
    return pb.ExecuteProposalResponse(
        decision=pb.Decision(outcome=pb.DECISION_OUTCOME_ALLOW, **ids),
        execution=pb.Execution(
            execution_id=values["execution_id"],
            client_order_id=values["client_order_id"],
            status=pb.EXECUTION_STATUS_FILLED,
            order_id=values["order_id"],
            filled_amount=str(values["filled_amount"]),
            filled_quote=str(values["filled_quote"]),
            fee_paid=str(values["fee_paid"]),
            **ids,
        ),
    )


@asynccontextmanager
async def open_job() -> AsyncIterator[Job]:
    """Open everything the environment names: BENCH_MARKET, BENCH_EXCHANGE, BENCH_KEY, BENCH_SECRET, BENCH_DATABASE."""
    pool: psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[tuple[Any, ...]]] = psycopg_pool.AsyncConnectionPool(
        os.environ["BENCH_DATABASE"],
        min_size=1,
        max_size=CONNECTIONS,
        open=False,
        kwargs={"autocommit": True, "prepare_threshold": 0},
    )
    credentials = Credentials(Secret(os.environ["BENCH_KEY"]), Secret(os.environ["BENCH_SECRET"]))
    client = open_client(os.environ["BENCH_EXCHANGE"], TRADE_ENDPOINTS)
    async with client as http, open_channel(os.environ["BENCH_MARKET"]) as channel, pool:
        yield Job(MarketServiceStub(channel), TradeClient(http, credentials), pool)


def _outcome(order: Order) -> Values:
    return {
        "order_id": order.order_id,
        "filled_amount": order.filled_amount,
        "filled_quote": order.filled_amount_quote,
        "fee_paid": order.fee_paid,
        "fills": orjson.dumps([_fill(fill) for fill in order.fills]).decode(),
    }


def _fill(fill: Fill) -> dict[str, str | None]:
    fee = None if fill.fee is None else str(fill.fee)
    return {"id": fill.id, "amount": str(fill.amount), "price": str(fill.price), "fee": fee}
