"""From inside each container: what it can reach, read, write and run, asked with what an intruder there would have."""

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import pytest

from tests.containers import deployment as running
from tests.containers.docker import docker, inspect

pytestmark = pytest.mark.usefixtures("deployment")

PORTS: Final = {
    "market_db": 5432,
    "trade_db": 5432,
    "market_service": 50051,
    "trade_service": 50052,
    "simulator": 8099,
}
WAYS: Final[Mapping[str, AbstractSet[str]]] = {
    "market_service": {"market_service", "trade_service", "market_db", "simulator"},
    "trade_service": {"trade_service", "market_service", "trade_db", "simulator"},
    "attest-market": {"simulator"},
    "attest-trade": {"simulator"},
    "simulator": {"market_service", "trade_service", "simulator"},
}
"""Who can open a connection to whom. The simulator stands where the exchange would: outside."""

REACH: Final = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def reaches(target):
    name, host, port = target
    try:
        socket.create_connection((host, port), timeout=2).close()
        return [name, "by name" if host == name else "by address"]
    except OSError:
        return None

with ThreadPoolExecutor(32) as threads:
    print(json.dumps([each for each in threads.map(reaches, json.loads(sys.argv[1])) if each]))
"""

SELF: Final = """
import json, os, socket, stat, subprocess
told = {"wrote": [], "looked_into": [], "sockets": [], "status": {}}
for path in ("/x", "/app/x", "/opt/x", "/etc/x", "/run/secrets/x", "/usr/local/bin/x", "/tmp/x", "/dev/shm/x"):
    try:
        open(path, "w").write("#!/bin/sh\\necho ran\\n")
        told["wrote"].append(path)
    except OSError:
        pass
os.chmod("/tmp/x", 0o755)
try:
    told["ran"] = subprocess.run(["/tmp/x"], capture_output=True, text=True).stdout
except OSError as error:
    told["ran"] = error.strerror
os.unlink("/tmp/x")
for folder in ("/run", "/var/run", "/var", "/tmp"):
    for name in os.listdir(folder):
        if stat.S_ISSOCK(os.lstat(os.path.join(folder, name)).st_mode):
            told["sockets"].append(os.path.join(folder, name))
for line in open("/proc/self/status"):
    name, _, value = line.partition(":")
    told["status"][name] = value.strip()
for path in ("/proc/1/environ", "/proc/1/mem"):
    try:
        open(path, "rb").close()
        told["looked_into"].append(path)
    except OSError:
        pass
told["secrets"] = sorted(os.listdir("/run/secrets"))
told["variables"] = sorted(os.environ)
told["uid"] = os.getuid()
print(json.dumps(told))
"""

SECRETS: Final[Mapping[str, AbstractSet[str]]] = {
    "market_service": {"ca.pem", "cert.pem", "key.pem", "key", "secret", "database.url"},
    "trade_service": {"ca.pem", "cert.pem", "key.pem", "key", "secret", "database.url", "reconciler_database.url"},
    "attest-market": {"ca.pem", "key", "secret", "declaration.yaml"},
    "attest-trade": {"ca.pem", "key", "secret", "declaration.yaml"},
    "simulator": {"ca.pem", "cert.pem", "key.pem", "accounts.json"},
}
USERS: Final = {
    "market_service": 10001,
    "trade_service": 10002,
    "attest-market": 10003,
    "attest-trade": 10003,
    "simulator": 10004,
}

ASK: Final = """
import json, sys
import kernel
import grpc
from google.protobuf import message_factory
from protos.trade.v1 import trade_pb2

def read(name):
    return open("/run/secrets/" + name, "rb").read()

address, certified = sys.argv[1:]
pair = (read("key.pem"), read("cert.pem")) if certified == "yes" else ()
channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(read("ca.pem"), *pair))
told = {}
for service in trade_pb2.DESCRIPTOR.services_by_name.values():
    for method in service.methods:
        request = message_factory.GetMessageClass(method.input_type)()
        call = channel.unary_stream if method.server_streaming else channel.unary_unary
        name = f"/{service.full_name}/{method.name}"
        ask = call(name, request_serializer=lambda m: m.SerializeToString(), response_deserializer=bytes)
        try:
            answer = ask(request, timeout=5)
            list(answer) if method.server_streaming else answer
            told[name] = "OK"
        except grpc.RpcError as error:
            told[name] = error.code().name
print(json.dumps(told))
"""
OPEN_TO_THE_SCANNER: Final = {
    "/trade.v1.TradeService/SubmitProposal",
    "/trade.v1.TradeService/DeclineProposal",  # of its own proposals
    "/trade.v1.BudgetService/ReserveBudget",
    "/trade.v1.BudgetService/SettleBudget",
}


@pytest.mark.parametrize("service", WAYS)
def test_a_container_reaches_only_what_it_works_with_by_name_and_by_address(service: str) -> None:
    targets = [(name, host, port) for name, port in PORTS.items() for host in (name, *addresses(name))]
    reached = json.loads(running.inside(service, REACH, json.dumps(targets)))
    assert {name for name, how in reached if how == "by name"} == WAYS[service]
    assert {name for name, how in reached if how == "by address"} == WAYS[service]


@pytest.fixture(scope="module")
def told() -> Mapping[str, Mapping[str, Any]]:
    return {service: json.loads(running.inside(service, SELF)) for service in WAYS}


@pytest.mark.parametrize("service", WAYS)
def test_an_intruder_can_write_to_memory_only_and_run_nothing_he_wrote(
    service: str, told: Mapping[str, Mapping[str, Any]]
) -> None:
    assert told[service]["wrote"] == ["/tmp/x", "/dev/shm/x"]  # noqa: S108 - a path inside the container
    assert told[service]["ran"] == "Permission denied"


@pytest.mark.parametrize("service", WAYS)
def test_an_intruder_has_no_right_of_the_kernel_and_gains_none(
    service: str, told: Mapping[str, Mapping[str, Any]]
) -> None:
    status = told[service]["status"]
    assert told[service]["uid"] == USERS[service]
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


@pytest.mark.parametrize("service", WAYS)
def test_an_intruder_cannot_look_into_the_memory_of_the_service(
    service: str, told: Mapping[str, Mapping[str, Any]]
) -> None:
    # The simulator holds no secret of anybody and hides nothing: it shows that the question finds what is shown.
    shown = ["/proc/1/environ", "/proc/1/mem"] if service == "simulator" else []
    assert told[service]["looked_into"] == shown


@pytest.mark.parametrize("service", WAYS)
def test_an_intruder_finds_his_own_secrets_and_no_others_and_no_engine(
    service: str, told: Mapping[str, Mapping[str, Any]]
) -> None:
    assert set(told[service]["secrets"]) == SECRETS[service]
    assert told[service]["sockets"] == []
    assert [
        name for name in told[service]["variables"] if name.endswith(("_KEY", "_SECRET", "_URL_FILE", "PASSWORD"))
    ] == [name for name in told[service]["variables"] if name.endswith("_DATABASE_URL_FILE")]


def test_g3_no_key_of_the_trade_side_is_in_any_file_of_the_market_container() -> None:
    key = running.inside("trade_service", "print(open('/run/secrets/key').read())").strip()
    search = """
import os, sys
found = []
for folder, folders, files in os.walk("/"):
    folders[:] = [] if folder in ("/proc", "/sys", "/dev") else folders
    for name in files:
        path = os.path.join(folder, name)
        try:
            if os.path.isfile(path) and sys.argv[1].encode() in open(path, "rb").read():
                found.append(path)
        except OSError:
            pass
print(*found)
"""
    assert running.inside("trade_service", search, key).split() == ["/run/secrets/key"]
    assert running.inside("market_service", search, key).split() == []


def test_g3_trade_service_does_not_speak_to_the_market_container_without_its_certificate() -> None:
    answers = json.loads(running.inside("market_service", ASK, "trade_service:50052", "no"))
    assert set(answers.values()) == {"UNAVAILABLE"}


def test_g3_with_the_markets_certificate_everything_but_proposing_and_reserving_is_denied() -> None:
    answers = json.loads(running.inside("market_service", ASK, "trade_service:50052", "yes"))
    assert {name for name, code in answers.items() if code != "PERMISSION_DENIED"} == OPEN_TO_THE_SCANNER
    assert {answers[name] for name in OPEN_TO_THE_SCANNER} == {"INVALID_ARGUMENT"}


def addresses(service: str) -> list[str]:
    """Return every address a container has, in whichever network."""
    networks = inspect(running.container(service))["NetworkSettings"]["Networks"]
    return [each["IPAddress"] for each in networks.values()]


def test_the_databases_programs_run_as_their_own_user() -> None:
    for service in ("market_db", "trade_db"):
        assert docker("exec", running.container(service), "id", "-u").strip() == "999"
