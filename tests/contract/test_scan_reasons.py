"""Every reason an error of ScanService may give: how it is reached, and that it comes as its comment says."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import grpc
import psycopg
import pytest

from protos.market.v1 import market_pb2 as pb
from protos.market.v1.market_pb2_grpc import ScanServiceStub
from standalone.system import System
from tests.contract.methods import BY_NAME
from tests.contract.promises import keeps_its_promise
from tests.contract.refusal import Refusal, refused
from tests.contract.wishes import new_id

PATIENCE_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Scene:
    """What a way to an error may use."""

    system: System
    scans: ScanServiceStub

    def created(self) -> Any:  # noqa: ANN401 - a message of a type known at run time
        """Create a job whose first slot is far away; return the request."""
        request = BY_NAME["CreateScanJob"].good()
        self.scans.CreateScanJob(request)
        return request


@pytest.fixture(scope="module")
def scene(system: System) -> Iterator[Scene]:
    with grpc.insecure_channel(system.market.address) as channel:
        yield Scene(system, ScanServiceStub(channel))


def scan_job_not_found(scene: Scene) -> Refusal:
    return refused(lambda: scene.scans.GetScanJob(pb.GetScanJobRequest(job_id=new_id())))


def scan_job_mismatch(scene: Scene) -> Refusal:
    request = scene.created()
    request.terms.market = "QQR-EUR"
    return refused(lambda: scene.scans.CreateScanJob(request))


def scan_job_paused(scene: Scene) -> Refusal:
    job_id = scene.created().job_id
    scene.scans.PauseScanJob(pb.PauseScanJobRequest(job_id=job_id))
    return refused(lambda: scene.scans.RunScanJob(pb.RunScanJobRequest(job_id=job_id)))


def scan_cap_reached(scene: Scene) -> Refusal:
    job_id = scene.created().job_id
    scene.scans.RunScanJob(pb.RunScanJobRequest(job_id=job_id))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(run.failure for run in scene.scans.ListScanRuns(pb.ListScanRunsRequest(job_id=job_id)).runs):
        assert time.monotonic() < deadline, "the slot asked for was not run"
        time.sleep(0.1)
    return refused(lambda: scene.scans.RunScanJob(pb.RunScanJobRequest(job_id=job_id)))


def snapshot_not_found(scene: Scene) -> Refusal:
    return refused(lambda: scene.scans.GetMarketSnapshot(pb.GetMarketSnapshotRequest(job_id=scene.created().job_id)))


def analyst_missing(scene: Scene) -> Refusal:
    request = BY_NAME["CreateScanJob"].good()
    request.terms.analyst = pb.SCAN_ANALYST_MODEL
    return refused(lambda: scene.scans.CreateScanJob(request))


def database_unavailable(scene: Scene) -> Refusal:
    """Hold the job's lock for longer than anybody waits for it."""
    job_id = scene.created().job_id
    with psycopg.connect(scene.system.database_url("market_owner")) as other:
        locked = other.execute("SELECT 1 FROM scan_jobs WHERE job_id = %s FOR UPDATE", [job_id]).fetchone()
        assert locked is not None
        return refused(lambda: scene.scans.RunScanJob(pb.RunScanJobRequest(job_id=job_id)))


WAYS: Final[tuple[Callable[[Scene], Refusal], ...]] = (
    *(scan_job_not_found, scan_job_mismatch, scan_job_paused, scan_cap_reached, snapshot_not_found, analyst_missing),
    database_unavailable,
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_reason_comes_with_the_status_and_metadata_its_comment_promises(
    scene: Scene, way: Callable[[Scene], Refusal]
) -> None:
    keeps_its_promise(way(scene), way.__name__.upper(), "market")
