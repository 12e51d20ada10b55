"""What callers ask for in these tests: requests that are right, each with an id of its own."""

import uuid
from typing import Any, Final

from protos.trade.v1 import trade_pb2 as pb

ALLOW: Final = pb.DECISION_OUTCOME_ALLOW
DENY: Final = pb.DECISION_OUTCOME_DENY
TIMEOUT_SECONDS: Final = 10.0


def new_id() -> str:
    """Return an id nobody has used."""
    return str(uuid.uuid4())


def buy(quote_amount: str = "50", market: str = "BTC-EUR") -> pb.OrderTerms:
    """A market order that fills at once."""
    return pb.OrderTerms(market=market, side=pb.SIDE_BUY, order_type=pb.ORDER_TYPE_MARKET, quote_amount=quote_amount)


def rest(price: str, amount: str, market: str = "BTC-EUR") -> pb.OrderTerms:
    """A limit order; far from the market it rests."""
    return pb.OrderTerms(market=market, side=pb.SIDE_BUY, order_type=pb.ORDER_TYPE_LIMIT, amount=amount, price=price)


def submission(user: str, terms: pb.OrderTerms | None = None, **more: Any) -> pb.SubmitProposalRequest:  # noqa: ANN401 - fields of many types
    """A proposal that the policy of these tests allows."""
    wish = {"proposal_id": new_id(), "confidence": 75, "rationale": "oversold", **more}
    return pb.SubmitProposalRequest(user_id=user, terms=terms or buy(), **wish)


def placement(user: str, terms: pb.OrderTerms | None = None, **more: Any) -> pb.PlaceOrderRequest:  # noqa: ANN401 - fields of many types
    """An order that the policy of these tests allows."""
    return pb.PlaceOrderRequest(
        user_id=user, terms=terms or buy(), **{"proposal_id": new_id(), "confidence": 75, **more}
    )


def key(request: Any) -> dict[str, str]:  # noqa: ANN401 - any message with both ids
    """Both ids of a request or a proposal, to ask for the same again."""
    return {"user_id": request.user_id, "proposal_id": request.proposal_id}


def approval(proposal: pb.Proposal, **more: Any) -> pb.ApproveProposalRequest:  # noqa: ANN401 - fields of many types
    """An approval of a proposal as it is stored."""
    return pb.ApproveProposalRequest(
        **{**key(proposal), "content_hash": proposal.content_hash, "approver": "bob@desk", **more}
    )


def denials(decision: pb.Decision) -> dict[str, str]:
    """Return the code of every rule that did not pass."""
    return {each.rule: each.code for each in decision.verdicts if each.outcome != pb.VERDICT_OUTCOME_PASS}
