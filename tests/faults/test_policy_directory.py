"""A policy directory that is wrong changes nothing, says where, and is put right without a restart."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from protos.trade.v1 import trade_pb2 as pb
from standalone.databases import DSN_VARIABLE, Databases
from standalone.secret_files import write_secret
from tests.e2e.caller import CALL_SECONDS, Caller, buy
from tests.e2e.stage import DROPPED, Stage, write_policy
from tests.e2e.truth import Truth

RELOAD = pb.ReloadPoliciesRequest()
FRESH = "fresh"
ROLES = {"TRADE_DATABASE_URL_FILE": "trade_service", "TRADE_RECONCILER_DATABASE_URL_FILE": "trade_reconciler"}
FREE = {"cooldown": DROPPED, "anti_flip": DROPPED, "further": ""}


@pytest.fixture
def directory(stage: Stage) -> Iterator[Path]:
    """Lend the directory of both replicas; leave no file of the test in it."""
    before = set(stage.policies.iterdir())
    yield stage.policies
    for path in set(stage.policies.iterdir()) - before:
        path.unlink()


async def test_a_bad_file_is_named_changes_nothing_and_is_put_right(stage: Stage, directory: Path) -> None:
    async with stage.caller() as caller:
        before = (await caller.admin[0].ReloadPolicies(RELOAD, timeout=CALL_SECONDS)).generation
        write_policy(directory, "late", "late-0", cap=1, **{**FREE, "cooldown": "{per: market, period: soon}"})
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await caller.admin[0].ReloadPolicies(RELOAD, timeout=CALL_SECONDS)
        failure = caller.failure(refused.value)
        assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "POLICY_INVALID")
        where = [line for line in failure.violations if "late.yaml:13" in line and "rules.cooldown.period" in line]
        assert where, failure.violations
        assert "'soon'" in where[0]
        assert await generation(caller, 1) == before
        assert (await caller.place("late-0", buy(), 1)).decision.policy_name == "open"

        write_policy(directory, "late", "late-0", cap=1, **FREE)
        moved = await caller.admin[0].ReloadPolicies(RELOAD, timeout=CALL_SECONDS)
        assert moved.generation == before + 1
        denied = (await caller.place("late-0", buy("ETH-EUR"), 1)).decision
        assert (denied.policy_name, denied.policy_generation) == ("late", before + 1)
        assert "TRADE_CAP" in [verdict.code for verdict in denied.verdicts]

        (directory / "late.yaml").unlink()
        await caller.admin[1].ReloadPolicies(RELOAD, timeout=CALL_SECONDS)
        assert (await caller.place("late-0", buy("ETH-EUR"), 0)).decision.policy_name == "open"


async def test_a_first_start_with_a_bad_directory_serves_and_denies_until_it_is_put_right(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(stage.policies, tmp_path / "policies")
    bad = tmp_path / "policies" / "bad.yaml"
    bad.write_text("kind: Nonsense\n")
    monkeypatch.setenv(DSN_VARIABLE, stage.server.url())
    databases = Databases(tmp_path, FRESH, fresh=True)
    databases.start()
    await asyncio.to_thread(databases.prepare)
    truth = Truth(databases.url("auditor"))
    files = {
        name: str(write_secret(tmp_path / "secrets" / f"{role}.url", databases.url(role)))
        for name, role in ROLES.items()
    }
    with stage.spare(settings={"POLICY_DIR": str(bad.parent), **files}) as replica:
        replica.start()
        await asyncio.to_thread(replica.wait_ready)
        async with stage.caller(replica) as caller:
            denied = (await caller.place("somebody", buy())).decision
            assert denied.outcome == pb.DECISION_OUTCOME_DENY
            assert "NO_POLICY" in [verdict.code for verdict in denied.verdicts]
            await truth.until(
                lambda: next(iter(truth.rows("SELECT * FROM alarms WHERE code = 'POLICY_DIRECTORY_BAD'")), None),
                lambda: "no alarm about the directory",
                CALL_SECONDS,
            )
            bad.unlink()
            await caller.admin[0].ReloadPolicies(RELOAD, timeout=CALL_SECONDS)
            checked = await caller.submit("somebody", buy())
            request = pb.CheckProposalRequest(user_id="somebody", proposal_id=checked.proposal_id)
            allowed = (await caller.trade[0].CheckProposal(request, timeout=CALL_SECONDS)).decision
            assert allowed.outcome == pb.DECISION_OUTCOME_ALLOW


async def generation(caller: Caller, replica: int) -> int:
    """Return the generation in force, as one replica says."""
    return (await caller.admin[replica].ListPolicies(pb.ListPoliciesRequest(), timeout=CALL_SECONDS)).generation
