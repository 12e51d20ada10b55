"""What the engine was really asked for: each container's limits, rights, mounts, ports and restarts, by inspection."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from tests.containers import deployment as running
from tests.containers.docker import inspect

pytestmark = pytest.mark.usefixtures("deployment")

MIB: Final = 1024 * 1024
LASTING: Final = (
    *("market_db", "trade_db", "attest-market", "attest-trade"),
    *("market_service", "trade_service", "simulator"),
)
ONCE: Final = ("secrets", "migrate")
EVERY: Final = (*LASTING, *ONCE)
USERS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("market_db", "trade_db"), "999:999"),
    "market_service": "10001",
    "trade_service": "10002",
    "attest-market": "10003",
    "attest-trade": "10003",
    "simulator": "10004",
    "migrate": "10005",
    "secrets": "0:0",
}
PORTS: Final[Mapping[str, set[str]]] = {
    "market_service": {"50051/tcp", "9464/tcp"},
    "trade_service": {"50052/tcp", "9465/tcp"},
}
NETWORKS: Final[Mapping[str, set[str]]] = {
    "market_db": {"market_store"},
    "trade_db": {"trade_store"},
    "migrate": {"market_store", "trade_store"},
    "attest-market": {"attest_out"},
    "attest-trade": {"attest_out"},
    "market_service": {"services", "market_store", "market_out"},
    "trade_service": {"services", "trade_store", "trade_out"},
    "simulator": {"market_out", "trade_out", "attest_out"},
}
WRITES: Final[Mapping[str, set[str]]] = {
    "market_db": {"/var/lib/postgresql"},
    "trade_db": {"/var/lib/postgresql"},
    "attest-market": {"/run/attestations/market"},
    "attest-trade": {"/run/attestations/trade"},
}
"""The mounts a lasting container may write to; every other one is read-only."""


def asked(service: str) -> dict[str, Any]:
    """Return what the engine says of a service's container."""
    return inspect(running.container(service))


@pytest.mark.parametrize("service", EVERY)
def test_a_container_has_no_rights_and_no_more_of_the_machine_than_it_needs(service: str) -> None:
    host = asked(service)["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert sorted(host["CapAdd"] or []) == (["CHOWN", "DAC_OVERRIDE", "FOWNER"] if service == "secrets" else [])
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (512 * MIB, 1_000_000_000, 128)
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "5", "max-size": "10m"}}
    assert not host["Privileged"]
    assert (host["PidMode"], host["UTSMode"], host["UsernsMode"]) == ("", "", "")
    assert host["IpcMode"] in {"", "private", "shareable"}
    assert host["Devices"] in (None, [])


@pytest.mark.parametrize("service", EVERY)
def test_a_container_runs_as_the_user_that_its_files_belong_to(service: str) -> None:
    assert asked(service)["Config"]["User"].partition(":")[0] == USERS[service].partition(":")[0]


@pytest.mark.parametrize("service", EVERY)
def test_memory_for_files_holds_nothing_that_can_be_run(service: str) -> None:
    mounts = asked(service)["HostConfig"]["Tmpfs"]
    assert "/tmp" in mounts  # noqa: S108 - a path inside the container
    for options in mounts.values():
        assert {"noexec", "nosuid", "nodev"} <= set(options.split(","))
        assert "size=" in options


@pytest.mark.parametrize("service", EVERY)
def test_ports_are_open_on_this_machine_only(service: str) -> None:
    bindings = asked(service)["HostConfig"]["PortBindings"] or {}
    assert set(bindings) == PORTS.get(service, set())
    assert {each["HostIp"] for listed in bindings.values() for each in listed} <= {"127.0.0.1"}


@pytest.mark.parametrize("service", NETWORKS)
def test_a_container_is_in_its_networks_and_no_other(service: str) -> None:
    found = asked(service)["NetworkSettings"]["Networks"]
    assert {name.removeprefix(f"{running.PROJECT}_") for name in found} == NETWORKS[service]


def test_what_makes_the_secrets_has_no_network() -> None:
    assert asked("secrets")["HostConfig"]["NetworkMode"] == "none"


@pytest.mark.parametrize("network", ["services", "market_store", "trade_store"])
def test_no_way_out_leads_from_where_only_ours_meet(network: str) -> None:
    assert inspect(f"{running.PROJECT}_{network}")["Internal"]


SECOND_NS: Final = 1_000_000_000
CHECKS: Final[Mapping[str, tuple[int, int, int]]] = {
    **dict.fromkeys(("market_db", "trade_db"), (2, 3, 60)),
    **dict.fromkeys(("attest-market", "attest-trade", "market_service", "trade_service", "simulator"), (5, 5, 24)),
}
"""Seconds between two checks, seconds for one, and how many may fail before a container counts as unhealthy."""


@pytest.mark.parametrize("service", LASTING)
def test_a_container_is_checked_as_often_as_the_others_wait_for_it(service: str) -> None:
    check = asked(service)["Config"]["Healthcheck"]
    found = (check["Interval"] // SECOND_NS, check["Timeout"] // SECOND_NS, check["Retries"])
    assert found == CHECKS[service]


_EXCHANGE: Final = {"BITVAVO_REST_URL", "BITVAVO_CA_FILE"}
_READ_KEY: Final = {"BITVAVO_READONLY_KEY_FILE", "BITVAVO_READONLY_SECRET_FILE"}
_TRADE_KEY: Final = {"BITVAVO_TRADE_KEY_FILE", "BITVAVO_TRADE_SECRET_FILE"}
_ATTEST: Final = {"ATTEST_DECLARATION_FILE", "ATTESTATION_DIR", *_EXCHANGE}
_SERVES: Final = ("LISTEN", "METRICS_LISTEN", "TLS_CERT_FILE", "TLS_KEY_FILE", "TLS_CA_FILE", "ACCESS_FILE")
TOLD: Final[Mapping[str, set[str]]] = {
    "market_db": {"POSTGRES_PASSWORD_FILE"},
    "trade_db": {"POSTGRES_PASSWORD_FILE"},
    "secrets": {"INTERLOCK_SECRETS"},
    "migrate": set(),
    "simulator": set(),
    "attest-market": _ATTEST | _READ_KEY,
    "attest-trade": _ATTEST | _TRADE_KEY,
    "market_service": {
        *(f"MARKET_{name}" for name in _SERVES),
        *("MARKET_DATABASE_URL_FILE", "TRADE_ADDRESS", "BITVAVO_WS_URL", "ATTESTATION_DIR", *_EXCHANGE, *_READ_KEY),
    },
    "trade_service": {
        *(f"TRADE_{name}" for name in _SERVES),
        *("TRADE_DATABASE_URL_FILE", "TRADE_RECONCILER_DATABASE_URL_FILE", "MARKET_ADDRESS", "POLICY_DIR"),
        *("BITVAVO_OPERATOR_ID", "ATTESTATION_DIR", *_EXCHANGE, *_TRADE_KEY),
    },
}
"""The variables a container is given beyond those of its image."""


@pytest.mark.parametrize("service", EVERY)
def test_a_container_is_told_its_own_settings_and_nothing_else(service: str) -> None:
    told = asked(service)
    image = {each.partition("=")[0] for each in inspect(told["Image"])["Config"]["Env"]}
    given = {each.partition("=")[0] for each in told["Config"]["Env"]} - image
    assert given - {"affinity:container"} == TOLD[service]  # compose 1 marks so what it puts in another's place


_NOTES: Final = {"/run/attestations/market": "attestation_market", "/run/attestations/trade": "attestation_trade"}
VOLUMES: Final[Mapping[str, Mapping[str, str]]] = {
    "market_db": {"/var/lib/postgresql": "market_rows", "/run/secrets": "market_db_secrets"},
    "trade_db": {"/var/lib/postgresql": "trade_rows", "/run/secrets": "trade_db_secrets"},
    "migrate": {"/run/secrets": "migrate_secrets"},
    "attest-market": {
        "/run/secrets": "attest_market_secrets",
        "/run/attestations/market": "attestation_market",
    },
    "attest-trade": {"/run/secrets": "attest_trade_secrets", "/run/attestations/trade": "attestation_trade"},
    "market_service": {"/run/secrets": "market_secrets", **_NOTES},
    "trade_service": {"/run/secrets": "trade_secrets", **_NOTES},
    "simulator": {"/run/secrets": "simulator_secrets"},
}
BOUND: Final[Mapping[str, set[str]]] = {
    "market_service": {"/etc/interlock/access.yaml"},
    "trade_service": {"/etc/interlock/access.yaml", "/etc/interlock/policies"},
}


@pytest.mark.parametrize("service", VOLUMES)
def test_a_container_holds_its_own_volumes_and_files_and_no_others(service: str) -> None:
    mounts = asked(service)["Mounts"]
    held = {
        each["Destination"]: each["Name"].removeprefix(f"{running.PROJECT}_")
        for each in mounts
        if each["Type"] == "volume"
    }
    assert held == VOLUMES[service]
    assert {each["Destination"] for each in mounts if each["Type"] == "bind"} == BOUND.get(service, set())


@pytest.mark.parametrize("service", ONCE)
def test_what_runs_once_ended_well_and_is_not_started_again(service: str) -> None:
    told = asked(service)
    assert told["HostConfig"]["RestartPolicy"]["Name"] in {"", "no"}
    assert told["State"]["ExitCode"] == 0


@pytest.mark.parametrize("service", LASTING)
def test_a_container_writes_into_its_own_rows_only_and_never_sees_the_engine(service: str) -> None:
    mounts = asked(service)["Mounts"]
    assert {each["Destination"] for each in mounts if each["RW"]} == WRITES.get(service, set())
    assert not [each for each in mounts if "docker.sock" in each["Source"] + each["Destination"]]


@pytest.mark.parametrize("service", LASTING)
def test_a_lasting_container_is_watched_started_again_and_stopped_with_patience(service: str) -> None:
    running.await_true(f"{service} is healthy", lambda: running.healthy(service))
    told = asked(service)
    assert told["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert told["Config"]["Healthcheck"]["Retries"] >= 24
    if service in {"market_db", "trade_db", "market_service", "trade_service"}:
        assert told["Config"]["StopTimeout"] == 30
