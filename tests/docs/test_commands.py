"""Every command and program of the pages runs as printed, against what `make up` starts."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.conftest import Shell
from tests.docs.pages import PAGES, README, ROOT, blocks, words

COMMANDS = [
    "submitted",
    "checked",
    "executed",
    "repeated",
    "found",
    "budget",
    "book",
    "halted",
    "placed",
    "active",
]
"""What the README's commands answer, in the order printed."""


@pytest.fixture(scope="session")
def told(shell: Shell) -> dict[str, Any]:
    """Run the README's blocks in one session and return each answer by its name."""
    ran = shell("\n".join(blocks(README, "sh")))
    assert (ran.returncode, ran.stderr) == (0, "")
    answers = list(documents(ran.stdout))
    assert len(answers) == len(COMMANDS), ran.stdout
    return dict(zip(COMMANDS, answers, strict=True))


def documents(text: str) -> Iterator[Any]:
    """Read JSON documents that follow one another."""
    decoder, at = json.JSONDecoder(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        found, at = decoder.raw_decode(text, at)
        yield found


def test_the_readmes_proposal_is_submitted_checked_and_filled(told: dict[str, Any]) -> None:
    assert told["submitted"]["created"] is True
    assert told["checked"]["decision"]["outcome"] == "DECISION_OUTCOME_ALLOW"
    assert told["executed"]["execution"]["status"] == "EXECUTION_STATUS_FILLED"
    assert "replayed" not in told["executed"]


def test_the_readmes_repeat_answers_the_same_execution(told: dict[str, Any]) -> None:
    assert told["repeated"]["replayed"] is True
    first, again = told["executed"], told["repeated"]
    assert again["decision"] == first["decision"]
    assert again["execution"] == first["execution"]
    assert told["found"]["execution"]["execution_id"] == first["execution"]["execution_id"]
    assert {each["name"]: each["used"] for each in told["budget"]["windows"]}["order_value per_day"] == first[
        "execution"
    ]["filled_quote"]
    assert len(told["book"]["bids"]) == 3


def test_the_readmes_kill_switch_denies(told: dict[str, Any]) -> None:
    assert told["halted"]["switch"]["state"] == "TRADING_STATE_HALTED"
    decision = told["placed"]["decision"]
    assert decision["outcome"] == "DECISION_OUTCOME_DENY"
    denied = {each["rule"]: each["code"] for each in decision["verdicts"] if each["outcome"].endswith("DENY")}
    assert denied == {"trading_state": "TRADING_HALTED"}
    assert "execution" not in told["placed"]
    assert told["active"]["switch"]["state"] == "TRADING_STATE_ACTIVE"


def test_the_readmes_answer_has_the_shape_and_the_words_of_a_real_one(told: dict[str, Any]) -> None:
    [printed] = [json.loads(block) for block in blocks(README, "json")]
    assert list(differing(printed, told["executed"], "")) == []


VARYING = re.compile(r"_id$|^order_id|filled_|fee_paid|observed|limit")
"""Fields whose value depends on the moment; the others are printed as they are answered."""


def differing(printed: Any, real: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Name what the page prints and the answer lacks, or says otherwise."""
    if isinstance(printed, dict):
        for name, value in printed.items():
            if not isinstance(real, dict) or name not in real:
                yield f"{path}.{name} is not answered"
            else:
                yield from differing(value, real[name], f"{path}.{name}")
    elif isinstance(printed, list):
        by_rule = {each["rule"]: each for each in real}
        for each in printed:
            yield from differing(each, by_rule.get(each["rule"]), f"{path}[{each['rule']}]")
    elif not VARYING.search(path.rpartition(".")[2]) and printed != real:
        yield f"{path}: printed {printed!r}, answered {real!r}"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != README and blocks(page, "sh")], ids=lambda page: page.name
)
def test_the_commands_of_the_other_pages_run(page: Path, shell: Shell) -> None:
    for block in blocks(page, "sh"):
        if "_sim/" in block:  # docs/simulator.md: run by tests/exchange_sim, against an exchange of its own
            continue
        if "/Watch" in block:  # runs until it is stopped: the next test
            continue
        ran = shell(block)
        assert (ran.returncode, ran.stderr) == (0, ""), block


STREAMS = [line for page in PAGES for block in blocks(page, "sh") if "/Watch" in block for line in block.splitlines()]


@pytest.mark.parametrize("command", STREAMS)
def test_a_stream_of_the_pages_begins_with_a_message(command: str, shell: Shell) -> None:
    ran = shell(f"set +o pipefail; timeout 20 {command} | head -n 1")
    assert (ran.stdout, ran.stderr) == ("{\n", "")


INLINE = sorted({word for page in PAGES for word in words(page) if word.startswith("grpcurl ")})


@pytest.mark.parametrize("command", INLINE)
def test_a_command_within_a_sentence_runs(command: str, shell: Shell) -> None:
    ran = shell(command)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "rpc ExecuteProposal" in ran.stdout


def test_no_grpcurl_command_escapes_these_tests() -> None:
    for page in PAGES:
        # Blocks of "bash" are on containers, and run by tests/containers.
        run = sum(block.count("grpcurl -") for language in ("sh", "bash") for block in blocks(page, language))
        run += sum(word.count("grpcurl -") for word in words(page))
        assert page.read_text().count("grpcurl -") == run, page


def test_the_callers_program_trades(system: object) -> None:
    [program] = blocks(ROOT / "docs" / "callers.md", "python")
    ask = "\nprint(pb.DecisionOutcome.Name(answer.decision.outcome), pb.ExecutionStatus.Name(answer.execution.status))"
    ran = subprocess.run(
        [sys.executable, "-c", program + ask],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert ran.stdout.split() == ["DECISION_OUTCOME_ALLOW", "EXECUTION_STATUS_FILLED"]
