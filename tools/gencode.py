"""Generate the Python code of every .proto beside it, or check that the committed code is what would be generated.

`make proto` and `make proto-check` run it from the repository root, so that protos/market/v1/market.proto becomes
the module `protos.market.v1.market_pb2`; what lies under third_party/ becomes `buf.validate.validate_pb2`.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = Path(sys.executable).parent
"""mypy-protobuf's plugins stand beside the interpreter; an unactivated venv is not on PATH."""
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")
PROTOC_TIMEOUT_SECONDS = 120


def main() -> None:
    """Write the code, or with --check exit 1 naming every file that differs."""
    parser = argparse.ArgumentParser(description="Generate Python code from the .proto files.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the committed code differs")
    if not parser.parse_args().check:
        generate(ROOT)
        return
    with tempfile.TemporaryDirectory() as fresh:
        generate(Path(fresh))
        stale = sorted(differences(Path(fresh)))
    if stale:
        sys.exit("generated code differs from the .proto files; run `make proto`:\n  " + "\n  ".join(stale))


def generate(out: Path) -> None:
    """Generate everything into a tree of the same shape as the repository's."""
    (out / "third_party").mkdir(exist_ok=True)
    ours = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("protos/*/v*/*.proto"))
    theirs = sorted(str(path.relative_to(ROOT / "third_party")) for path in ROOT.glob("third_party/**/*.proto"))
    protoc(out / "third_party", ["-Ithird_party"], theirs, services=False)
    if ours:
        protoc(out, ["-I.", "-Ithird_party"], ours, services=True)


def protoc(out: Path, roots: list[str], files: list[str], *, services: bool) -> None:
    """Run protoc; a failure ends the program with protoc's own words."""
    command = [sys.executable, "-m", "grpc_tools.protoc", *roots, f"--python_out={out}"]
    command += [f"--plugin=protoc-gen-mypy={PLUGINS / 'protoc-gen-mypy'}", f"--mypy_out=quiet:{out}"]
    if services:
        command += [f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}"]
        command += [f"--plugin=protoc-gen-mypy_grpc={PLUGINS / 'protoc-gen-mypy_grpc'}"]
    done = subprocess.run([*command, *files], cwd=ROOT, timeout=PROTOC_TIMEOUT_SECONDS, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def differences(fresh: Path) -> Iterator[str]:
    """Yield committed files that differ, are missing, or belong to no .proto any more."""
    wanted, committed = generated_in(fresh), generated_in(ROOT)
    yield from wanted ^ committed
    yield from (name for name in wanted & committed if (fresh / name).read_bytes() != (ROOT / name).read_bytes())


def generated_in(tree: Path) -> set[str]:
    """Return the relative names of all generated files under protos/ and third_party/."""
    tops = (tree / "protos", tree / "third_party")
    return {str(path.relative_to(tree)) for top in tops for pattern in GENERATED for path in top.rglob(pattern)}


if __name__ == "__main__":
    main()
