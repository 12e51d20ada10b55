"""The committed validate.proto is the one of the installed protovalidate, to the last option."""

import subprocess
import sys
from pathlib import Path

from google.protobuf import descriptor_pb2

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "third_party/buf/validate/validate.proto"


def run(*arguments: str) -> bytes:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True, timeout=50).stdout


def test_the_committed_text_is_what_the_tool_prints() -> None:
    assert run("-m", "tools.validate_proto").decode() == COMMITTED.read_text()


def test_the_text_compiles_to_the_descriptor_it_was_printed_from(tmp_path: Path) -> None:
    out = tmp_path / "set.binpb"
    run("-m", "grpc_tools.protoc", "-Ithird_party", f"--descriptor_set_out={out}", "buf/validate/validate.proto")
    (compiled,) = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
    program = (
        "import sys; from tools.validate_proto import read_descriptor;"
        "sys.stdout.buffer.write(read_descriptor().SerializeToString())"
    )
    original = descriptor_pb2.FileDescriptorProto.FromString(run("-c", program))
    assert compiled.SerializeToString(deterministic=True) == original.SerializeToString(deterministic=True)
