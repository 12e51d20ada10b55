"""Every reason of both services has its place: reached by a test, or never sent and why."""

from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

import kernel.rpc.reasons
import market_service.reasons
import trade_service.reasons
from protos.market.v1 import market_pb2
from protos.trade.v1 import trade_pb2 as pb
from tests.contract import test_reasons, test_scan_reasons

ROOT: Final = Path(__file__).resolve().parents[2]
ACCESS: Final = "tests/access/test_matrix.py"
KERNEL: Final = "tests/kernel/test_rpc_errors.py"
REACHED_ELSEWHERE: Final = {
    "RIGHT_MISSING": (KERNEL, "test_an_actor_without_the_right_is_refused_by_name"),  # on loopback all rights are there
    "DEADLINE_EXCEEDED": (KERNEL, "test_a_call_without_a_deadline_gets_one"),  # here it would take thirty seconds
    "USER_NOT_ALLOWED": (ACCESS, "test_every_method_admits_whom_the_table_says_and_nobody_else"),  # needs certificates
    "INTERNAL": (KERNEL, "test_an_unforeseen_error_leaks_nothing_and_is_logged_with_its_trace"),  # none is known here
    "KEY_NOT_ATTESTED": (
        "tests/trade_service/test_execute.py",
        "test_without_an_attestation_nothing_is_claimed_and_a_check_is_answered",
    ),
    "ACCOUNT_NOT_MATCHED": (  # freezes the database it happens to
        "tests/e2e/test_restore.py",
        "test_g1_after_a_restore_nothing_trades_until_the_lost_rows_are_back",
    ),
}
NEVER_SENT_YET: Final = {
    "UNSPECIFIED": "never sent, by its own comment",
}
CHANCE: Final = {
    "CONTENTION": "needs three collisions of one claim in a row, or policies that change three times within it",
}
MARKET_TESTS: Final = "tests/market_service"
MARKET: Final = {
    "INVALID_REQUEST": ("test_contract.py", "test_bad_input_is_answered_with_every_wrong_field"),
    "PAGE_TOKEN_INVALID": ("test_contract.py", "test_list_markets_filters_and_binds_its_token_to_the_filter"),
    "MARKET_UNKNOWN": ("test_contract.py", "test_an_unknown_market_is_not_found_and_costs_no_request"),
    "MARKET_DATA_UNAVAILABLE": ("test_outages.py", "test_a_halted_market_has_no_book_and_the_others_have"),
    "TOO_OLD": ("test_outages.py", "test_an_answer_that_takes_longer_than_allowed_is_too_old"),
    "EXCHANGE_UNAVAILABLE": ("test_outages.py", "test_an_exchange_that_hangs_is_given_up"),
    "EXCHANGE_UNREADABLE": ("test_outages.py", "test_a_page_of_html_is_unreadable_and_gone_with_the_next_question"),
    "EXCHANGE_BAN": ("test_outages.py", "test_a_ban_is_told_with_its_end_and_nothing_is_sent_meanwhile"),
    "EXCHANGE_REFUSED": ("test_exchange.py", ""),  # one row of a table
    "RATE_BUDGET": ("test_exchange.py", "test_the_accounts_reads_stop_at_our_share_of_its_points"),
    "READONLY_KEY_MISSING": ("test_outages.py", "test_without_a_key_public_data_is_served_and_the_account_is_not"),
    "KEY_NOT_ATTESTED": ("test_exchange.py", "test_without_an_attestation_the_account_is_not_read_and_prices_are"),
    "READONLY_KEY_REFUSED": ("test_outages.py", "test_a_key_without_the_right_to_view_is_refused_as_a_state"),
    "RESUME_TOKEN_INVALID": ("live/test_streams.py", "test_a_resume_token_of_another_market_is_refused"),
    "STOPPING": ("live/test_streams.py", "test_a_drain_ends_every_stream_with_a_status_that_says_why"),
    "SCANS_OFF": ("scan/test_jobs.py", "test_without_a_database_every_method_says_so"),
}
KERNEL_GIVES: Final = {"RIGHT_MISSING", "USER_NOT_ALLOWED", "DEADLINE_EXCEEDED", "INTERNAL", "OVERLOADED"}


def named(package: ModuleType) -> set[str]:
    """Return the reasons of a .proto."""
    values: Any = package.ErrorReason.keys()
    return {str(name).removeprefix("ERROR_REASON_") for name in values}


def test_every_reason_of_trade_service_has_its_place_here() -> None:
    reached = {way.__name__.upper() for way in test_reasons.REACHED}
    places = [reached, set(REACHED_ELSEWHERE), set(NEVER_SENT_YET), set(CHANCE)]
    assert set().union(*places) == named(pb)
    assert sum(map(len, places)) == len(named(pb))


def test_every_reason_of_market_service_has_its_place_here() -> None:
    scans = {way.__name__.upper() for way in test_scan_reasons.WAYS}
    assert {"UNSPECIFIED"} | set(MARKET) | scans | KERNEL_GIVES == named(market_pb2)


@pytest.mark.parametrize(
    ("reason", "file", "test"),
    [(reason, file, test) for reason, (file, test) in REACHED_ELSEWHERE.items()]
    + [(reason, f"{MARKET_TESTS}/{file}", test) for reason, (file, test) in MARKET.items()],
)
def test_a_reason_reached_elsewhere_is_reached_there(reason: str, file: str, test: str) -> None:
    text = (ROOT / file).read_text()
    assert f"def {test}" in text
    assert reason in text or f"reasons.{reason}" in text or test.endswith("refused_by_name")
    assert not test or test.startswith("test_")


def test_the_reasons_in_the_code_are_those_of_the_proto() -> None:
    own = constants(trade_service.reasons) | constants(kernel.rpc.reasons)
    assert own | set(NEVER_SENT_YET) >= named(pb)
    assert own <= named(pb)
    assert constants(market_service.reasons) | constants(kernel.rpc.reasons) | {"UNSPECIFIED"} == named(market_pb2)


def test_a_reason_that_is_never_sent_is_given_nowhere() -> None:
    given = "".join(path.read_text() for path in (ROOT / "trade_service").rglob("*.py") if path.name != "reasons.py")
    assert [reason for reason in NEVER_SENT_YET if f"reasons.{reason}" in given] == []


def constants(module: ModuleType) -> set[str]:
    """Return the reasons a module names; each is spelt like its value."""
    found = {name: value for name, value in vars(module).items() if name.isupper()}
    assert all(name == value for name, value in found.items())
    return set(found)
