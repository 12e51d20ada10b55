"""What a fault turns an answer into; `server` carries out the faults that need the socket."""

from __future__ import annotations

import orjson

from exchange_sim.edge import HTML, Answer, Edge, Sender
from exchange_sim.faults import Fault
from exchange_sim.rate_limits import ban_text
from exchange_sim.refusal import Refusal

BLOCKED_HTML = b"<!DOCTYPE html><html><head><title>Attention Required!</title></head><body>Blocked</body></html>"
BROKEN_HTML = b"<!DOCTYPE html><html><head><title>Error</title></head><body>The origin did not answer.</body></html>"
OK = 200
FAULT_TEXT = "An injected fault."
# Faults that write an answer of their own; `None` stands for an answer of the edge that has not been made.
REPLACING = frozenset(
    {
        "error_5xx_before",
        "error_5xx_after_executing",
        "error_code",
        "html",
        "ban",
        "redirect",
        "truncated_json",
        "oversized_body",
        "replace_body",
        "crossed_answer",
        "older_nonce",
    },
)
# How far behind a snapshot's nonce falls.
NONCES_BEHIND = 1_000


def faulty(fault: Fault, edge: Edge, sender: Sender, answer: Answer | None) -> Answer:
    """The answer that a replacing fault gives in place of the true one."""
    bucket, now_ms = edge.bucket_of(sender), edge.exchange.now_ms()
    if fault.fault in ("error_5xx_before", "error_5xx_after_executing"):
        return Answer(fault.status, BROKEN_HTML, {}, HTML)
    if fault.fault == "html":
        return Answer(fault.status, BLOCKED_HTML, {}, HTML)
    if fault.fault == "redirect":
        return Answer(fault.status, b"", {"Location": "/v2/moved"}, HTML)
    if fault.fault == "ban":
        edge.limits.ban(bucket, now_ms)
        if fault.ms:
            bucket.banned_until_ms = now_ms + fault.ms
        return edge.refuse(_ban(bucket.banned_until_ms), bucket, now_ms)
    if fault.fault == "error_code":
        return edge.refuse(Refusal(fault.code, FAULT_TEXT), bucket, now_ms)
    headers = edge.limits.headers(bucket, now_ms)
    return _rewritten(fault, answer or Answer(200, b"{}", headers))


def _rewritten(fault: Fault, answer: Answer) -> Answer:
    """Cases: cut in half, padded beyond any cap but still JSON, made wrong, or a text of the test's own."""
    if fault.fault in ("crossed_answer", "older_nonce"):
        return answer._replace(body=_distorted(fault, answer.body))
    if fault.fault == "truncated_json":
        return answer._replace(body=answer.body[: len(answer.body) // 2])
    if fault.fault == "oversized_body":
        return answer._replace(body=answer.body + b" " * fault.size_bytes)
    status = fault.status if fault.status != OK else answer.status
    return answer._replace(status=status, body=fault.body.encode(), headers={**answer.headers, **fault.headers})


def _distorted(fault: Fault, body: bytes) -> bytes:
    """Give a book's or ticker's sides each other's prices, or a book an older nonce; other answers stay."""
    content = orjson.loads(body)
    if not isinstance(content, dict):
        return body
    if fault.fault == "older_nonce":
        return orjson.dumps(content | {"nonce": content["nonce"] - NONCES_BEHIND}) if "nonce" in content else body
    pairs = (("bids", "asks"), ("bid", "ask"))
    crossed = {mine: content[theirs] for pair in pairs for mine, theirs in (pair, pair[::-1]) if theirs in content}
    return orjson.dumps(content | crossed)


def _ban(until_ms: int) -> Refusal:
    return Refusal(105, ban_text(until_ms))
