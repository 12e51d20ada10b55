"""A scratch service behind the real server: one proto compiled per session, each test scripts what the method does."""

import importlib
import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from kernel import logs
from kernel.rpc.channel import open_channel
from kernel.rpc.server import RpcServer
from tests.kernel.scratch import PROTO, QUICK, RIGHTS, ROOT, USERLESS, Running, Scratch, Servicer


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    out = tmp_path_factory.mktemp("scratch")
    (out / "scratch.proto").write_text(PROTO)
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{out}", f"-I{ROOT / 'third_party'}"]
    subprocess.run(
        [*protoc, f"--python_out={out}", f"--grpc_python_out={out}", "scratch.proto"], check=True, timeout=60
    )
    paths = [str(out)] + ([] if importlib.util.find_spec("buf") else [str(ROOT / "third_party")])
    sys.path[:0] = paths
    yield Scratch(importlib.import_module("scratch_pb2"), importlib.import_module("scratch_pb2_grpc"))
    for path in paths:
        sys.path.remove(path)


@pytest.fixture
async def running(scratch: Scratch) -> AsyncIterator[Running]:
    servicer = Servicer(scratch)
    server = RpcServer(domain="scratch.interlock", rights=RIGHTS, userless=USERLESS, limits=QUICK)
    server.add(scratch.grpc.add_ScratchServiceServicer_to_server, servicer)
    port = await server.start("127.0.0.1:0")
    channel = open_channel(f"127.0.0.1:{port}")
    yield Running(server, servicer, port, channel, scratch.grpc.ScratchServiceStub(channel))
    await channel.close()
    await server.drain()


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return what was logged so far, parsed; logging is at DEBUG for the test."""
    stream = io.StringIO()
    logs.configure(logs.DEBUG, stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logs.configure(logs.WARNING)
