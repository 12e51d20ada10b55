"""The methods of `market.v1.ScanService`: each reads its request, asks the use case, and writes the answer."""

from collections.abc import Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import grpc.aio

from kernel.errors import NotNow, StateViolation
from kernel.paging import last_before, token_after
from kernel.rpc.actor import current_actor, require_user
from kernel.rpc.rights import ADMIN, READ
from market_service import reasons
from market_service.scan import answers, requests
from market_service.scan.job import slot_text
from market_service.scan.jobs import ScanJobs
from protos.market.v1 import market_pb2 as pb
from protos.market.v1 import market_pb2_grpc

SERVICE: Final = "market.v1.ScanService"
RIGHTS: Final = MappingProxyType(
    {
        f"/{SERVICE}/{method.name}": READ if method.name.startswith(("Get", "List")) else ADMIN
        for method in pb.DESCRIPTOR.services_by_name["ScanService"].methods
    }
)
"""Looking needs `read`, everything that changes something `admin`."""
USERLESS: Final = frozenset(
    f"/{SERVICE}/{method}"
    for method in (
        *("GetScanJob", "PauseScanJob", "ResumeScanJob", "RunScanJob"),
        *("ListScanRuns", "GetMarketSnapshot"),
    )
)
"""Each names a job, and `_permitted` asks for the job's user."""

DEFAULT_PAGE_SIZE: Final = 50

Context = grpc.aio.ServicerContext[Any, Any]


class ScanRpc(market_pb2_grpc.ScanServiceServicer):
    """The methods, as the .proto describes them."""

    def __init__(self, jobs: ScanJobs | None) -> None:
        """Ask this use case; None: there is no database, and every method says so."""
        self._given = jobs

    @property
    def _jobs(self) -> ScanJobs:
        if self._given is None:
            message = "this service runs without a database of its own, so there are no scans"
            violation = StateViolation(reasons.SCANS_OFF, "MARKET_DATABASE_URL_FILE", "set it and start again")
            raise NotNow(reasons.SCANS_OFF, message, (violation,))
        return self._given

    async def CreateScanJob(self, request: pb.CreateScanJobRequest, context: Context) -> pb.CreateScanJobResponse:
        """Store a job."""
        del context
        content, first_slot = requests.content_of(request), requests.moment_of(request, "first_slot")
        job, created = await self._jobs.create(content, current_actor().name, first_slot)
        return pb.CreateScanJobResponse(job=answers.job(job), created=created)

    async def GetScanJob(self, request: pb.GetScanJobRequest, context: Context) -> pb.GetScanJobResponse:
        """Answer one job."""
        del context
        return pb.GetScanJobResponse(job=answers.job(await self._jobs.job(await self._permitted(request.job_id, READ))))

    async def ListScanJobs(self, request: pb.ListScanJobsRequest, context: Context) -> pb.ListScanJobsResponse:
        """List jobs page by page."""
        del context
        filters = f"{request.user_id}/{request.status}"
        after = last_before(request.page_token, filters)
        size = request.page_size or DEFAULT_PAGE_SIZE
        status = requests.STATUSES.get(request.status)
        found = await self._jobs.jobs(request.user_id, status, UUID(after) if after else None, size + 1)
        token = _token([str(each.content.job_id) for each in found], size, filters)
        return pb.ListScanJobsResponse(jobs=[answers.job(each) for each in found[:size]], next_page_token=token)

    async def PauseScanJob(self, request: pb.PauseScanJobRequest, context: Context) -> pb.PauseScanJobResponse:
        """Pause a job."""
        del context
        return pb.PauseScanJobResponse(
            job=answers.job(await self._jobs.pause(await self._permitted(request.job_id, ADMIN)))
        )

    async def ResumeScanJob(self, request: pb.ResumeScanJobRequest, context: Context) -> pb.ResumeScanJobResponse:
        """Resume a job."""
        del context
        return pb.ResumeScanJobResponse(
            job=answers.job(await self._jobs.resume(await self._permitted(request.job_id, ADMIN)))
        )

    async def RunScanJob(self, request: pb.RunScanJobRequest, context: Context) -> pb.RunScanJobResponse:
        """Ask for one slot now."""
        del context
        return pb.RunScanJobResponse(
            job=answers.job(await self._jobs.run_now(await self._permitted(request.job_id, ADMIN)))
        )

    async def ListScanRuns(self, request: pb.ListScanRunsRequest, context: Context) -> pb.ListScanRunsResponse:
        """List what became of a job's slots."""
        del context
        last = last_before(request.page_token, request.job_id)
        before = datetime.fromisoformat(last) if last else None
        size = request.page_size or DEFAULT_PAGE_SIZE
        found = await self._jobs.runs(await self._permitted(request.job_id, READ), before, size + 1)
        token = _token([slot_text(each.slot) for each in found], size, request.job_id)
        return pb.ListScanRunsResponse(runs=[answers.run(each) for each in found[:size]], next_page_token=token)

    async def GetMarketSnapshot(
        self, request: pb.GetMarketSnapshotRequest, context: Context
    ) -> pb.GetMarketSnapshotResponse:
        """Answer a snapshot."""
        del context
        slot = requests.moment_of(request, "slot")
        found = await self._jobs.snapshot(await self._permitted(request.job_id, READ), slot)
        return pb.GetMarketSnapshotResponse(snapshot=answers.snapshot(found))

    async def _permitted(self, job_id: str, right: str) -> UUID:
        """Return the id of a job whose user the caller may use the right for; a job's user never changes."""
        job = await self._jobs.job(requests.job_id_of(job_id))
        require_user(job.content.user_id, right)
        return job.content.job_id


def _token(names: Sequence[str], size: int, filters: str) -> str:
    return token_after(names[size - 1], filters) if len(names) > size else ""
