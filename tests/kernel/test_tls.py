"""Who gets through a handshake, and what happens to a certificate that is replaced while calls are made."""

import asyncio
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from cli.authority import CLIENT, Authority
from kernel.environment import SettingsError
from kernel.rpc.channel import open_channel
from kernel.rpc.perimeter import Perimeter, metrics_context, open_perimeter
from kernel.rpc.server import RpcServer
from kernel.rpc.tls import CERTIFICATE_EXPIRES, TLS_FILES_BAD, Certificates
from kernel.telemetry import REGISTRY, serve_metrics
from tests.fixtures.certificates import BOTH, HOSTS, Desk, channel_as, context_as, open_desk
from tests.kernel.scratch import QUICK, RIGHTS, USERLESS, Generated, Scratch, Servicer

ACCESS = """\
apiVersion: interlock/v1
kind: Access
clients:
  - {identity: spiffe://interlock/caller, rights: [read], users: ["*"]}
"""


@dataclass
class Served:
    """A scratch service behind TLS, and the desk that made its certificate."""

    desk: Desk
    perimeter: Perimeter
    address: str
    scratch: Scratch
    servicer: Servicer

    async def do(self, channel: grpc.aio.Channel) -> str:
        """Call, and return the answer or the status."""
        try:
            answer = await self.stub(channel).Follow(self.scratch.order(), timeout=10).read()
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return str(answer.text)

    def stub(self, channel: grpc.aio.Channel) -> Generated:
        return self.scratch.grpc.ScratchServiceStub(channel)

    def look_twice(self) -> None:
        """Do what the loop does in two seconds."""
        self.perimeter.certificates.refresh()
        self.perimeter.certificates.refresh()


@pytest.fixture
async def served(scratch: Scratch, tmp_path: Path) -> AsyncIterator[Served]:
    desk = open_desk(tmp_path, "scratch", ACCESS)
    perimeter = open_perimeter(desk.files, "scratch")
    assert perimeter is not None
    server = RpcServer(domain="x", rights=RIGHTS, userless=USERLESS, limits=QUICK, perimeter=perimeter)
    servicer = Servicer(scratch)
    server.add(scratch.grpc.add_ScratchServiceServicer_to_server, servicer)
    port = await server.start("127.0.0.1:0")
    yield Served(desk, perimeter, f"127.0.0.1:{port}", scratch, servicer)
    await server.drain()


def shown(address: str, context: ssl.SSLContext) -> tuple[str, str]:
    """Shake hands as any TLS client; return the version, and the serial number of the certificate that was shown."""
    host, port = address.rsplit(":", 1)
    with (
        socket.create_connection((host, int(port)), 10) as plain,
        context.wrap_socket(plain, server_hostname=host) as end,
    ):
        certificate = end.getpeercert()
        assert certificate is not None
        return str(end.version()), str(certificate["serialNumber"])


async def test_a_client_that_knows_tls_1_2_only_is_refused_and_one_with_1_3_is_not(
    served: Served, tmp_path: Path
) -> None:
    context = context_as(served.desk.authority.leaf("caller"), served.desk.authority, tmp_path)
    assert (await asyncio.to_thread(shown, served.address, context))[0] == "TLSv1.3"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(shown, served.address, context)


async def test_only_a_client_of_our_authority_whose_certificate_is_valid_gets_through(served: Served) -> None:
    ours, other = served.desk.authority, Authority.new("another CA")
    yesterday = datetime.now(UTC) - timedelta(days=1)
    callers = {
        "one of ours": (ours.leaf("caller"), "1"),
        "without a certificate": (None, "UNAVAILABLE"),
        "of another authority": (other.leaf("caller"), "UNAVAILABLE"),
        "expired": (ours.leaf("caller", valid_until=yesterday), "UNAVAILABLE"),
    }
    told = {}
    for name, (leaf, _) in callers.items():
        async with channel_as(leaf, ours, served.address) as channel:
            told[name] = await served.do(channel)
    assert told == {name: expected for name, (_, expected) in callers.items()}


@pytest.mark.parametrize(
    "uris",
    [(), ("https://interlock/caller",), ("spiffe://elsewhere/caller",), ("spiffe://interlock/caller",) * 2],
    ids=["none", "no SPIFFE name", "another trust domain", "two names"],
)
async def test_a_certificate_without_exactly_one_name_of_ours_names_nobody(
    served: Served, uris: tuple[str, ...]
) -> None:
    """Whatever its common name says, and its DNS names."""
    uris = uris if len(set(uris)) == len(uris) else (uris[0], "spiffe://interlock/other")
    leaf = served.desk.authority.leaf("caller", uris=uris, hosts=("caller",))
    async with channel_as(leaf, served.desk.authority, served.address) as channel:
        assert await served.do(channel) == "PERMISSION_DENIED"


async def test_a_dns_name_that_looks_like_an_identity_is_none(served: Served) -> None:
    leaf = served.desk.authority.leaf("caller", uris=(), hosts=("spiffe://interlock/caller",))
    async with channel_as(leaf, served.desk.authority, served.address) as channel:
        assert await served.do(channel) == "PERMISSION_DENIED"


async def test_the_log_line_of_a_call_names_the_caller_and_his_certificate(
    served: Served, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    leaf = served.desk.authority.leaf("caller")
    async with channel_as(leaf, served.desk.authority, served.address) as channel:
        assert len([each async for each in served.stub(channel).Follow(served.scratch.order(), timeout=10)]) == 3
    (line,) = [each for each in lines() if each["event"] == "call"]
    assert (line["actor"], line["authenticated"]) == ("caller", True)
    der = ssl.PEM_cert_to_DER_cert(leaf.certificate.decode())
    assert line["certificate"] == hashlib.sha256(der).hexdigest()


async def test_a_replaced_certificate_is_shown_to_the_next_handshake_and_open_connections_go_on(
    served: Served, tmp_path: Path
) -> None:
    caller = served.desk.authority.leaf("caller")
    context = context_as(caller, served.desk.authority, tmp_path)
    async with channel_as(caller, served.desk.authority, served.address) as channel:
        assert await served.do(channel) == "1"
        before = await asyncio.to_thread(shown, served.address, context)
        served.desk.put(served.desk.authority.leaf("scratch", purposes=BOTH, hosts=HOSTS))
        served.look_twice()
        after = await asyncio.to_thread(shown, served.address, context)
        assert await served.do(channel) == "1"
    assert before != after


async def test_a_replaced_authority_decides_over_the_next_client(served: Served) -> None:
    old, new = served.desk.authority, Authority.new("the next CA")
    served.desk.put(new.leaf("scratch", purposes=BOTH, hosts=HOSTS), new)
    served.look_twice()
    async with channel_as(new.leaf("caller"), new, served.address) as channel:
        assert await served.do(channel) == "1"
    async with channel_as(old.leaf("caller"), new, served.address) as channel:
        assert await served.do(channel) == "UNAVAILABLE"


async def test_files_that_do_not_fit_change_nothing_and_raise_an_alarm(served: Served, tmp_path: Path) -> None:
    ours = served.desk.authority
    context = context_as(ours.leaf("caller"), ours, tmp_path)
    good = ours.leaf("scratch", purposes=BOTH, hosts=HOSTS)
    spoiled: dict[str, Callable[[], object]] = {
        "another's key": lambda: served.desk.files.key.write_bytes(ours.leaf("x").key),
        "no PEM": lambda: served.desk.files.certificate.write_text("-----BEGIN CERTIFICATE-----\nno\n"),
        "expired": lambda: served.desk.put(
            ours.leaf("scratch", purposes=BOTH, valid_until=datetime.now(UTC) - timedelta(days=1))
        ),
        "a client's": lambda: served.desk.put(ours.leaf("scratch", purposes=(CLIENT,))),
        "another service's": lambda: served.desk.put(ours.leaf("trade_service", purposes=BOTH)),
        "another authority's": lambda: served.desk.put(Authority.new("x").leaf("scratch", purposes=BOTH)),
        "a key for everyone": lambda: served.desk.files.key.chmod(0o644),
        "gone": served.desk.files.key.unlink,
    }
    for spoil in spoiled.values():
        served.desk.put(good)
        served.look_twice()
        before, alarms = await asyncio.to_thread(shown, served.address, context), raised(TLS_FILES_BAD)
        spoil()
        served.look_twice()
        assert await asyncio.to_thread(shown, served.address, context) == before
        assert raised(TLS_FILES_BAD) == alarms + 1


async def test_files_are_left_alone_until_they_have_stood_still(served: Served) -> None:
    number = served.perimeter.certificates.pair.number
    served.desk.put(served.desk.authority.leaf("scratch", purposes=BOTH, hosts=HOSTS))
    served.perimeter.certificates.refresh()
    assert served.perimeter.certificates.pair.number == number
    served.perimeter.certificates.refresh()
    assert served.perimeter.certificates.pair.number == number + 1


async def test_a_certificate_near_its_end_raises_an_alarm(tmp_path: Path) -> None:
    desk = open_desk(tmp_path, "scratch")
    soon = datetime.now(UTC) + timedelta(seconds=60)  # of six minutes: valid from five minutes ago
    desk.put(desk.authority.leaf("scratch", purposes=BOTH, valid_until=soon))
    alarms = raised(CERTIFICATE_EXPIRES)
    Certificates(desk.files, "scratch").refresh()
    assert raised(CERTIFICATE_EXPIRES) == alarms + 1


def test_a_service_does_not_start_with_files_that_do_not_fit(tmp_path: Path) -> None:
    desk = open_desk(tmp_path, "scratch")
    with pytest.raises(SettingsError, match="expected exactly one, spiffe://interlock/trade_service"):
        open_perimeter(desk.files, "trade_service")
    desk.put_access("clients: []\n")
    with pytest.raises(SettingsError, match=r"access.yaml:1: found 'no apiVersion'"):
        open_perimeter(desk.files, "scratch")


async def test_a_stream_that_is_open_ends_with_the_first_message_after_its_right_was_taken_away(served: Served) -> None:
    go_on = asyncio.Event()

    async def long(_request: Generated) -> AsyncIterator[Any]:
        yield served.scratch.pb2.Answer(text="1")
        await go_on.wait()
        go_on.clear()
        yield served.scratch.pb2.Answer(text="2")
        await go_on.wait()
        yield served.scratch.pb2.Answer(text="3")

    served.servicer.follow = long
    authority = served.desk.authority
    async with channel_as(authority.leaf("caller"), authority, served.address) as channel:
        stream = served.stub(channel).Follow(served.scratch.order(), timeout=30)
        assert (await stream.read()).text == "1"
        served.desk.files.access.write_text(ACCESS + ACCESS.splitlines()[-1].replace("caller", "another") + "\n")
        served.perimeter.access.refresh()
        go_on.set()
        assert (await stream.read()).text == "2"  # another's line changed, not his
        served.desk.files.access.write_text(ACCESS.replace("caller", "another"))
        served.perimeter.access.refresh()
        go_on.set()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stream.read()
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_channel_calls_with_the_replaced_certificate_and_a_call_under_way_ends_well(served: Served) -> None:
    """The client's side of a rotation: the new authority lets in only what was made anew."""
    client = open_desk(served.desk.folder / "client", "caller")
    client.authority = served.desk.authority
    client.put(client.authority.leaf("caller", purposes=BOTH))
    certificates = Certificates(client.files, "caller")
    may_end = asyncio.Event()

    async def long(_request: Generated) -> AsyncIterator[Any]:
        yield served.scratch.pb2.Answer(text="1")
        await may_end.wait()
        yield served.scratch.pb2.Answer(text="2")

    served.servicer.follow = long
    async with open_channel(served.address, certificates) as channel:
        under_way = served.stub(channel).Follow(served.scratch.order(), timeout=30)
        assert (await under_way.read()).text == "1"

        new = Authority.new("the next CA")
        served.desk.put(new.leaf("scratch", purposes=BOTH, hosts=HOSTS), new)
        served.look_twice()
        client.put(new.leaf("caller", purposes=BOTH), new)
        certificates.refresh()
        certificates.refresh()

        assert await served.do(channel) == "1"
        may_end.set()
        assert (await under_way.read()).text == "2"


async def test_metrics_are_shown_over_tls_to_clients_of_our_authority_only(served: Served, tmp_path: Path) -> None:
    port = serve_metrics("127.0.0.1", 0, metrics_context(served.perimeter))
    ours = served.desk.authority
    text = await asyncio.to_thread(fetched, port, context_as(ours.leaf("prometheus"), ours, tmp_path))
    assert b"interlock_alarms_total" in text
    old = context_as(ours.leaf("prometheus"), ours, tmp_path)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    for stranger in (context_as(None, ours, tmp_path), old):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(fetched, port, stranger)


def fetched(port: int, context: ssl.SSLContext) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        context.set_alpn_protocols(["http/1.1"])
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as end:
            end.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            return b"".join(iter(lambda: end.recv(65_536), b""))


def raised(code: str) -> float:
    return REGISTRY.get_sample_value("interlock_alarms_total", {"code": code}) or 0.0
