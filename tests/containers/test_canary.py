"""No secret of the deployment is in a log, a database, an answer, a process's surroundings or an image's layer.

The search is believed only where it finds something: one canary is planted in each kind of artefact first.
"""

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

import pytest

from tests.containers import artefacts
from tests.containers import deployment as running
from tests.containers.caller import Caller
from tests.containers.docker import attempt, docker
from tests.containers.search import Search, spellings

pytestmark = pytest.mark.usefixtures("deployment")

USER: Final = "alice"
"""The policy allows her two trades an hour: one here, one by the README's commands."""
PUBLIC: Final = {"cert.pem", "ca.pem", "declaration.yaml", "accounts.json"}
"""The last holds keys that are read from their own files."""
HOLDERS: Final = ("market_service", "trade_service", "attest-market", "attest-trade", "simulator")
PLANTED: Final = "interlock_canary"
READ: Final = """
import json, os
print(json.dumps({name: open("/run/secrets/" + name).read() for name in os.listdir("/run/secrets")}))
"""


def kept() -> Iterator[tuple[str, str]]:
    """Yield every secret of the deployment by name, as its holder has it."""
    for service in HOLDERS:
        for file, text in json.loads(running.inside(service, READ)).items():
            if file not in PUBLIC:
                yield from parts(f"{service}/{file}", text.strip())
    for database in ("market_db", "trade_db"):
        password = docker("exec", running.container(database), "cat", "/run/secrets/superuser.password")
        yield f"{database}/superuser.password", password.strip()


def parts(name: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield what is secret of a file: a URL's password, the lines of a private key, or all of it."""
    if name.endswith(".url"):
        yield name, unquote(urlsplit(text).password or "")
    elif name.endswith(".pem"):
        yield from ((f"{name} line {at}", line) for at, line in enumerate(text.splitlines()) if "-----" not in line)
    else:
        yield name, text


@pytest.fixture(scope="module")
def told() -> bytes:
    """Trade once and be refused once; return everything that was answered."""
    with Caller("operator", USER) as caller:
        proposal_id = caller.submit("BTC-EUR")
        answers = [caller.check(proposal_id), caller.execute(proposal_id), caller.get(proposal_id)]
    ran = running.shell(
        'as() { grpcurl -cacert ".local/callers/$1/ca.pem" -cert ".local/callers/$1/cert.pem" '
        '-key ".local/callers/$1/key.pem" "${@:2}"; }; '
        f"as operator {trade()} trade.v1.TradeService/GetProposal || true; as operator {trade()} list"
    )
    return "\n".join([*map(str, answers), ran.stdout, ran.stderr]).encode()


def trade() -> str:
    """Return where trade_service is called."""
    return f"127.0.0.1:{os.environ.get('TRADE_PORT', '50052')}"


@pytest.fixture(scope="module")
def canary() -> Iterator[str]:
    """Plant one: written and shown by a container, stored in the database, left in an image."""
    word = secrets.token_hex(32)
    with Caller("operator", USER) as caller:
        caller.submit("ETH-EUR", rationale=word)
    image = "interlock/secrets:dev"
    docker("build", "--quiet", "--tag", PLANTED, "-", given=f"FROM {image}\nUSER 0\nRUN echo {word} > /canary\n")
    docker(
        *("run", "--detach", "--name", PLANTED, "--env", f"CANARY={word}", "--entrypoint", "python", image),
        *("-c", f"import time; print('{word}', flush=True); time.sleep(600)"),
    )
    running.await_true("the canary is written", lambda: word in docker("logs", PLANTED))
    yield word
    attempt("rm", "--force", PLANTED)
    attempt("rmi", "--force", PLANTED)


@pytest.mark.parametrize("source", [artefacts.logs, artefacts.processes, artefacts.databases])
def test_a_planted_secret_is_found(source: Callable[[], Iterator[tuple[str, bytes]]], canary: str) -> None:
    search = Search({"canary": canary})
    assert any(search.found(content) for _, content in source())


def test_a_planted_secret_is_found_in_an_image(canary: str) -> None:
    assert artefacts.held_by_images([PLANTED], [canary.encode()]) == {canary.encode()}


def test_a_planted_secret_is_found_in_an_answer_and_not_where_it_is_not(canary: str, told: bytes) -> None:
    search = Search({"canary": canary})
    with Caller("operator", USER) as caller:
        assert search.found(str(caller.listed()).encode())
    assert search.found(told) == set()


@pytest.mark.parametrize("way", [way for way, _ in spellings("x" * 40)])
def test_a_secret_is_found_however_it_is_written(way: str) -> None:
    secret = "correct ??? horse >>> battery, " + secrets.token_hex(8)
    search = Search({"canary": secret})
    for name, written in spellings(secret):
        if name == way:
            assert search.found(b"before " + written + b" after")


def test_no_secret_is_anywhere(images: Mapping[str, str], told: bytes) -> None:
    search = Search(dict(kept()))
    found: set[str] = search.found(told)
    for source in (artefacts.logs(), artefacts.processes(), artefacts.databases()):
        for place, content in source:
            found |= {f"{what}, in {place}" for what in search.found(content)}
    held = artefacts.held_by_images(images.values(), search.needles.keys())
    assert found | {f"{search.needles[each]}, in an image" for each in held} == set()
