"""Turns one received request into one answer: route, signature, rate, right, parameters, execution.

Synchronous and without a socket; `server` carries it. The order of the checks is the exchange's as far as known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

import orjson

from exchange_sim import signatures
from exchange_sim.accounts import ApiKey
from exchange_sim.endpoint import WITHDRAW, Call, Endpoint, check_right
from exchange_sim.exchange import Exchange
from exchange_sim.funding_endpoints import FUNDING_ENDPOINTS
from exchange_sim.groups import expire_groups
from exchange_sim.ledger import ReceivedRequest
from exchange_sim.order_endpoints import ORDER_ENDPOINTS
from exchange_sim.private_endpoints import PRIVATE_ENDPOINTS
from exchange_sim.public_endpoints import PUBLIC_ENDPOINTS
from exchange_sim.rate_limits import Bucket, RateLimits
from exchange_sim.refusal import Refusal
from exchange_sim.report_endpoints import REPORT_ENDPOINTS
from exchange_sim.signatures import Claim

ENDPOINTS: Mapping[tuple[str, str], Endpoint] = {
    (endpoint.method, endpoint.path): endpoint
    for endpoint in PUBLIC_ENDPOINTS + REPORT_ENDPOINTS + ORDER_ENDPOINTS + PRIVATE_ENDPOINTS + FUNDING_ENDPOINTS
}
NOT_FOUND_HTML = b"<!DOCTYPE html><html><head><title>404</title></head><body>Not Found</body></html>"
HTML, JSON = "text/html", "application/json"
# Where the market stands in "/v2/{market}/book" and "/v2/report/{market}/book": last but one.
MARKET_PART = -2
MARKET_PATH_PARTS = (4, 5)


class Answer(NamedTuple):
    """An HTTP answer before it meets a socket."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    content_type: str = JSON
    error_code: int | None = None


class Sender(NamedTuple):
    """Who sent a request: what it claims in its headers, and its address."""

    claim: Claim
    address: str


class Edge:
    """The REST side of an exchange with its rate limits."""

    def __init__(self, exchange: Exchange, limits: RateLimits) -> None:
        """Serve one exchange."""
        self.exchange = exchange
        self.limits = limits

    def answer(self, request: ReceivedRequest, sender: Sender, lag_ms: int | None = None) -> Answer:
        """Answer one request, executing it."""
        route = find(request.method, request.target)
        if route is None:
            return Answer(404, NOT_FOUND_HTML, {}, HTML)
        now_ms = self.exchange.now_ms()
        if self.exchange.groups:
            expire_groups(self.exchange)
        bucket, endpoint, parameters = self._unsigned(sender.address), *route
        try:
            key, times = None, (now_ms, 0)
            if sender.claim.key is not None or endpoint.right is not None:
                key, times = self._authenticate(request, sender, now_ms)
                request.account = key.account.name
                bucket = self._signed(key)
            self.limits.charge(bucket, endpoint.price(parameters, self.exchange.switches), now_ms)
            if key is not None:
                signatures.check_time(*times, now_ms, self.exchange.switches)
            if not endpoint.in_query:
                parameters = read_body(request.body)
            self.check(endpoint, parameters, key)
            result = endpoint.run(Call(self.exchange, parameters, key, lag_ms))
        except Refusal as refusal:
            return self.refuse(refusal, bucket, now_ms)
        return Answer(endpoint.success_status, orjson.dumps(result), self.limits.headers(bucket, now_ms))

    def refuse(self, refusal: Refusal, bucket: Bucket, now_ms: int) -> Answer:
        """Write an error answer."""
        body = orjson.dumps(refusal.body())
        headers = self.limits.headers(bucket, now_ms)
        return Answer(refusal.status, body, headers, error_code=refusal.code)

    def bucket_of(self, sender: Sender) -> Bucket:
        """The bucket that a request would be charged to, were it authentic."""
        key = self.exchange.keys.get(sender.claim.key or "")
        return self._unsigned(sender.address) if key is None else self._signed(key)

    def _authenticate(self, request: ReceivedRequest, sender: Sender, now_ms: int) -> tuple[ApiKey, tuple[int, int]]:
        """Find and check the key, and give it with the signed time and window; a failure is charged to the address.

        Raises:
            Refusal: 105, 300-309.
        """
        claim = sender.claim
        try:
            key = signatures.find_key(self.exchange.keys, claim, sender.address)
            times = signatures.read_times(claim)
            switches = self.exchange.switches
            signatures.check_signature(key, claim, request.method, request.target, request.body, switches)
        except Refusal:
            self.limits.charge(self._unsigned(sender.address), 1, now_ms)
            raise
        return key, times

    def bucket(self, key: ApiKey | None, address: str) -> Bucket:
        """Who pays for a message of a WebSocket: the account it acts for, or its address."""
        return self._unsigned(address) if key is None else self._signed(key)

    def check(self, endpoint: Endpoint, parameters: Mapping[str, object], key: ApiKey | None) -> None:
        """Check names and presence of parameters and the key's right, in the order that the switch says.

        Raises:
            Refusal: 200, 201, 203, 310, 311, 312, or the code of a refused account.
        """
        switches, is_withdrawal = self.exchange.switches, endpoint.right == WITHDRAW
        first = switches.withdrawal_checks_first if is_withdrawal else switches.checks_first
        if first == "validation":
            endpoint.check_names(parameters, switches.unknown_parameters)
        # A withdrawal that validates first checks the right itself, after all values; so does a cancel that looks for
        # its order first.
        late = (
            first == "validation" if is_withdrawal else endpoint.looks_first and switches.cancel_checks_first == "order"
        )
        if key is not None and endpoint.right is not None and not late:
            check_right(endpoint, key, switches)
        if first == "permission":
            endpoint.check_names(parameters, switches.unknown_parameters)

    def _unsigned(self, address: str) -> Bucket:
        return self.limits.bucket(f"address {address}", is_signed=False)

    def _signed(self, key: ApiKey) -> Bucket:
        by_account = self.exchange.switches.signed_bucket == "account"
        return self.limits.bucket(f"account {key.account.name}" if by_account else f"key {key.key}", is_signed=True)


def find(method: str, target: str) -> tuple[Endpoint, Mapping[str, object]] | None:
    """The endpoint of a target and the parameters it carries, its market among them; nothing for an unknown path."""
    path, _, query = target.partition("?")
    endpoint = ENDPOINTS.get((method, path))
    if endpoint is not None:
        return endpoint, read_query(query) if query else {}
    parts = path.split("/")
    if len(parts) not in MARKET_PATH_PARTS:
        return None
    market, parts[MARKET_PART] = parts[MARKET_PART], "{market}"
    endpoint = ENDPOINTS.get((method, "/".join(parts)))
    return None if endpoint is None else (endpoint, {**read_query(query), "market": market})


def read_query(query: str) -> dict[str, object]:
    """The parameters of a query as text."""
    return dict(parse_qsl(query, keep_blank_values=True))


def read_body(body: bytes) -> Mapping[str, object]:
    """The parameters of a JSON body.

    Raises:
        Refusal: 102.
    """
    try:
        parameters = orjson.loads(body)
    except orjson.JSONDecodeError:
        parameters = None
    if not isinstance(parameters, dict):
        raise Refusal(102, "Invalid JSON.")
    return parameters
