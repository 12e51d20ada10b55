"""The conditions of a claim: all must hold, the caller is told the first that does not, and none is forgotten."""

from collections.abc import Iterable

import pytest

from kernel.errors import Unavailable
from tests.trade_service import given
from trade_service.readiness import NOT_YET, Condition, Obstacle, Readiness
from trade_service.start import take_attestation


def met(conditions: Iterable[Condition]) -> Readiness:
    readiness = Readiness()
    for condition in conditions:
        readiness.meet(condition)
    if readiness.holds(Condition.DEPLOYMENT):
        readiness.know_deployment(given.DEPLOYMENT)
    return readiness


def refusal(readiness: Readiness) -> Unavailable:
    with pytest.raises(Unavailable) as refused:
        readiness.require()
    return refused.value


def test_with_every_condition_met_claims_may_be_made() -> None:
    readiness = met(Condition)
    assert readiness.ready
    assert readiness.require() == given.DEPLOYMENT


@pytest.mark.parametrize("missing", Condition)
def test_one_condition_that_does_not_hold_keeps_claims_away_and_says_why(missing: Condition) -> None:
    readiness = met(set(Condition) - {missing})
    assert not readiness.ready
    refused = refusal(readiness)
    assert (refused.reason, refused.message) == (NOT_YET[missing].reason, NOT_YET[missing].message)
    assert refused.retry_after_seconds == NOT_YET[missing].retry_after_seconds


@pytest.mark.parametrize("lost", Condition)
def test_what_held_may_cease_to_hold_and_hold_again(lost: Condition) -> None:
    readiness = met(Condition)
    readiness.miss(lost, Obstacle("look there", "VERSION_SKEW", 60.0, {"orders": "3"}))
    refused = refusal(readiness)
    assert (refused.reason, refused.message, refused.metadata) == ("VERSION_SKEW", "look there", {"orders": "3"})
    assert refused.retry_after_seconds == 60.0
    readiness.meet(lost)
    assert readiness.require() == given.DEPLOYMENT


def test_a_read_needs_the_deployment_and_no_more() -> None:
    readiness = Readiness()
    with pytest.raises(Unavailable):
        readiness.require_deployment()
    readiness.know_deployment(given.DEPLOYMENT)
    assert readiness.require_deployment() == given.DEPLOYMENT


def test_every_condition_begins_unmet() -> None:
    assert set(NOT_YET) == set(Condition)
    assert not any(Readiness().holds(condition) for condition in Condition)


def test_g3_a_lost_attestation_holds_claims_back_until_it_is_found() -> None:
    readiness = met(Condition)
    take_attestation(readiness, attested=False)
    refused = refusal(readiness)
    assert (refused.reason, refused.retry_after_seconds) == ("KEY_NOT_ATTESTED", 30.0)
    take_attestation(readiness, attested=True)
    assert readiness.require() == given.DEPLOYMENT
