"""A database URL is refused when the way there could be anybody's, and never repeated."""

import pytest

from kernel.dsn import dsn_problem, leads_to, password_of
from kernel.secret import Secret

CANARY = "hunter22-of-the-url"
WHO = f"postgresql://trade_service:{CANARY}@"


@pytest.mark.parametrize(
    "url",
    [
        f"{WHO}127.0.0.1:5432/trade",
        f"{WHO}[::1]/trade",
        f"{WHO}localhost/trade",
        f"{WHO}%2Fvar%2Frun%2Fpostgresql/trade",
        f"{WHO}db.internal/trade?sslmode=verify-full&sslrootcert=/run/ca.pem",
        f"{WHO}10.0.0.1,10.0.0.2/trade?sslmode=verify-full",
        f"host=127.0.0.1 user=trade_service dbname=trade password={CANARY}",
    ],
)
def test_a_url_to_this_machine_or_to_a_server_that_proves_itself_is_fine(url: str) -> None:
    assert dsn_problem(Secret(url), plaintext=False) is None


@pytest.mark.parametrize(
    "url",
    [
        f"{WHO}db.internal/trade",
        *(f"{WHO}db.internal/trade?sslmode={mode}" for mode in ("disable", "allow", "prefer", "require", "verify-ca")),
        f"{WHO}127.0.0.1,10.0.0.2/trade",
        f"{WHO}127.0.0.1/trade?hostaddr=10.0.0.2",
        f"{WHO}localhost.evil.example/trade",
    ],
)
def test_a_server_elsewhere_must_prove_itself_unless_the_network_is_said_to_be_private(url: str) -> None:
    problem = dsn_problem(Secret(url), plaintext=False)
    assert problem is not None
    assert problem.startswith("sslmode=verify-full")
    assert CANARY not in problem
    assert dsn_problem(Secret(url), plaintext=True) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "trade",
        f"http://u:{CANARY}@h/d",
        f"{WHO}h/d?{CANARY}",
        f"postgresql://:{CANARY}@127.0.0.1/trade",
        f"{WHO}127.0.0.1",
        f"postgresql:///trade?user=trade_service&password={CANARY}",
        f"service=trade user=trade_service dbname=d password={CANARY}",
    ],
)
def test_what_names_no_role_host_and_database_is_no_url(url: str) -> None:
    problem = dsn_problem(Secret(url), plaintext=True)
    assert problem is not None
    assert problem.startswith("a URL")
    assert CANARY not in problem


def test_the_password_is_found_however_it_is_written() -> None:
    for url in (f"{WHO}h/d", f"host=h password={CANARY}", "postgresql://u:hunter22%2Dof-the-url@h/d"):
        assert password_of(Secret(url)) == Secret(CANARY)
    assert password_of(Secret("postgresql://u@h/d")) is None
    assert password_of(Secret(f"http://{CANARY}")) is None


def test_where_a_url_leads_is_all_but_who_connects() -> None:
    here = leads_to(Secret(f"{WHO}h:5432/d?sslmode=verify-full"))
    assert here == {"host": "h", "port": "5432", "dbname": "d", "sslmode": "verify-full"}
    assert leads_to(Secret("postgresql://other:x@h:5432/d?sslmode=verify-full")) == here
    assert leads_to(Secret(f"{WHO}h:5433/d?sslmode=verify-full")) != here
