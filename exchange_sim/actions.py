"""Answers the messages of a WebSocket: the same endpoints as over REST, out of the same buckets, without headers.

Shapes: https://docs.bitvavo.com/docs/websocket-api/introduction/. Synchronous, without a socket; `sockets` carries it.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from exchange_sim import signatures
from exchange_sim.accounts import ApiKey
from exchange_sim.edge import ENDPOINTS, Edge
from exchange_sim.endpoint import Call
from exchange_sim.ledger import ReceivedRequest
from exchange_sim.refusal import Refusal
from exchange_sim.signatures import Claim
from exchange_sim.socket_session import Session
from exchange_sim.subscriptions import ACCOUNT, Topic, read_topics

Message = Mapping[str, object]

SIGNED_PATH = "/v2/websocket"
AUTHENTICATE, SUBSCRIBE, UNSUBSCRIBE = "authenticate", "subscribe", "unsubscribe"
OWN_ACTIONS = frozenset({AUTHENTICATE, SUBSCRIBE, UNSUBSCRIBE})
UNKNOWN = "unknown"
# How the ledger and the fault rules call the way that a message came.
METHOD = "WS"

_BY_ACTION = {endpoint.action: endpoint for endpoint in ENDPOINTS.values() if endpoint.action}


class Actions:
    """Answers messages for the sessions of one exchange."""

    def __init__(self, edge: Edge) -> None:
        """Share an exchange and its rate limits with REST."""
        self._edge = edge
        self._exchange = edge.exchange

    def read(self, text: str) -> Message | None:
        """The message of a frame; nothing when it is not a JSON object."""
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            return None
        return message if isinstance(message, dict) else None

    def received(self, session: Session, message: Message | None, text: str) -> ReceivedRequest:
        """What the ledger notes of a message; of an authenticate it keeps no more than key, time and window."""
        action = name_of(message)
        is_authenticate = action == AUTHENTICATE and message is not None
        claim = _claim(message) if is_authenticate and message is not None else None
        key = claim.key if claim is not None else session.key.key if session.key is not None else None
        return ReceivedRequest(
            received_ms=self._exchange.now_ms(),
            method=METHOD,
            target=action,
            body=b"" if is_authenticate else text.encode(),
            key=None if key is None else key[:8],
            timestamp=claim.timestamp if claim is not None else None,
            window=claim.window if claim is not None else None,
            account=session.key.account.name if session.key is not None else None,
        )

    def answer(
        self,
        session: Session,
        message: Message | None,
        note: ReceivedRequest,
        lag_ms: int | None = None,
    ) -> dict[str, object]:
        """Carry one message out and give the reply."""
        try:
            session.count_message()
            reply = self._carry_out(session, message, lag_ms)
        except Refusal as refusal:
            note.status, note.error_code = refusal.status, refusal.code
            return refused(self._edge, message, refusal)
        note.status = 200
        note.account = session.key.account.name if session.key is not None else None
        return reply

    def _carry_out(self, session: Session, message: Message | None, lag_ms: int | None) -> dict[str, object]:
        now_ms = self._exchange.now_ms()
        action = name_of(message)
        if message is not None and action == AUTHENTICATE:
            return self._authenticate(session, message, now_ms)
        endpoint = _BY_ACTION.get(action)
        price = 1 if endpoint is None or message is None else endpoint.price(message, self._exchange.switches)
        self._edge.limits.charge(self._edge.bucket(session.key, session.address), price, now_ms)
        if message is None:
            raise Refusal(102, "Invalid JSON.")
        if action in OWN_ACTIONS:
            return self._subscription(session, message, action)
        if endpoint is None:
            raise Refusal(415, "Invalid action. Please check the request.")
        if endpoint.right is not None and session.key is None:
            raise _unauthenticated()
        parameters = {
            name: value for name, value in message.items() if name not in ("action", "requestId") and value is not None
        }
        self._edge.check(endpoint, parameters, session.key)
        response = endpoint.run(Call(self._exchange, parameters, session.key, lag_ms))
        return {"action": action, **echoed(message), "response": response}

    def _authenticate(self, session: Session, message: Message, now_ms: int) -> dict[str, object]:
        key = self._proven_key(session, _claim(message), now_ms)
        session.key = key
        return {"event": AUTHENTICATE, **echoed(message), "authenticated": True}

    def _proven_key(self, session: Session, claim: Claim, now_ms: int) -> ApiKey:
        """The key whose signature is right; a failure is charged to the address, as over REST.

        Raises:
            Refusal: 105, 300-309.
        """
        edge, switches = self._edge, self._exchange.switches
        try:
            key = signatures.find_key(self._exchange.keys, claim, session.address)
            times = signatures.read_times(claim)
            signatures.check_signature(key, claim, "GET", SIGNED_PATH, b"", switches)
        except Refusal:
            edge.limits.charge(edge.bucket(None, session.address), 1, now_ms)
            raise
        edge.limits.charge(edge.bucket(key, session.address), 1, now_ms)
        signatures.check_time(*times, now_ms, switches)
        return key

    def _subscription(self, session: Session, message: Message, action: str) -> dict[str, object]:
        topics = read_topics(self._exchange, message)
        if action == SUBSCRIBE:
            self._check_account(session, topics)
            session.subscriptions.add(topics)
        else:
            session.subscriptions.remove(topics)
        return {"event": f"{action}d", **echoed(message), "subscriptions": session.subscriptions.summary()}

    def _check_account(self, session: Session, topics: list[Topic]) -> None:
        if not any(topic.channel == ACCOUNT for topic in topics):
            return
        if session.key is None:
            raise _unauthenticated()
        if self._exchange.switches.account_channel_needs_view and "view" not in session.key.rights:
            raise Refusal(311, "This key does not allow showing account information.")


def name_of(message: Message | None) -> str:
    """The action a message names, if there is such an action."""
    action = None if message is None else message.get("action")
    return action if isinstance(action, str) and (action in _BY_ACTION or action in OWN_ACTIONS) else UNKNOWN


def echoed(message: Message | None) -> dict[str, object]:
    """The request id, exactly as it came."""
    return {} if message is None or "requestId" not in message else {"requestId": message["requestId"]}


def refused(edge: Edge, message: Message | None, refusal: Refusal) -> dict[str, object]:
    """The reply that refuses a message: as recorded with the action, or as the documents draw it as an event."""
    if message is None:
        return refusal.body()
    start: dict[str, object] = {"action": name_of(message)} | echoed(message)
    if edge.exchange.switches.socket_errors == "event":
        return {"event": "error", **start, **refusal.body()}
    if isinstance(message.get("market"), str):
        start["market"] = message["market"]
    return start | refusal.body()


def _unauthenticated() -> Refusal:
    return Refusal(300, "Authentication is required for this endpoint.")


def _claim(message: Message) -> Claim:
    return Claim(*(_text(message.get(name)) for name in ("key", "signature", "timestamp", "window")))


def _text(value: object) -> str | None:
    """A part of a claim as REST's headers would carry it: clients send numbers or text."""
    if value is None or isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""
