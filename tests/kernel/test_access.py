"""Who may call, by file: what is read, what is refused and how, and what happens when the file changes."""

from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from kernel.rpc.access import ACCESS_FILE_BAD, Access
from kernel.rpc.access_file import AccessRefusal, load_access, parse_access
from kernel.rpc.actor import LOCAL, NOBODY, Actor, Right
from kernel.rpc.users import UnreadableUser, user_paths, users_of
from kernel.telemetry import REGISTRY
from protos.market.v1 import market_pb2
from protos.trade.v1 import trade_pb2 as pb

GOOD = """\
apiVersion: interlock/v1
kind: Access
clients:
  - identity: spiffe://interlock/alice-bot
    rights: [read, propose]
    users: [alice]
  - identity: spiffe://interlock/auditor
    rights: [read]
    users: ["*"]
"""


def test_a_file_gives_each_client_its_rights_and_its_users() -> None:
    grants = parse_access(GOOD, "access.yaml")
    assert {name: (sorted(grant.rights), sorted(grant.users)) for name, grant in grants.items()} == {
        "alice-bot": (["propose", "read"], ["alice"]),
        "auditor": (["read"], ["*"]),
    }


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "rights: [read, propose]",
            "rights: []",
            "5: clients.0.rights: found 'nothing in it'; allowed: a list, not empty",
        ),
        ("users: [alice]", "users: []", "6: clients.0.users: found 'nothing in it'"),
        ("users: [alice]", "users:", "6: clients.0.users: found ''; allowed: a list"),
        ("    users: [alice]\n", "", "4: clients.0: found 'no users'"),
        ("    rights: [read, propose]\n", "", "4: clients.0: found 'no rights'"),
        ("users: [alice]", "users: alice", "6: clients.0.users: found 'alice'; allowed: a list"),
        ("users: [alice]", 'users: ["*"]', '6: clients.0.users: found \'"*"\'; allowed: "*" alone, and only beside'),
        ("users: [alice]", 'users: [alice, "*"]', "6: clients.0.users: found '\"*\"'"),
        ("users: [alice]", "users: [Alice]", "6: clients.0.users: found 'Alice'"),
        ("users: [alice]", "users: [alice, alice]", "each once"),
        ("[read, propose]", "[read, trade]", "5: clients.0.rights: found 'trade'; allowed: read, propose, budget"),
        ("[read, propose]", '["*"]', "5: clients.0.rights: found '*'"),
        ("spiffe://interlock/alice-bot", "alice-bot", "4: clients.0.identity: found 'alice-bot'; allowed: spiffe://"),
        ("spiffe://interlock/alice-bot", "spiffe://interlock/local", "4: clients.0.identity"),
        ("spiffe://interlock/alice-bot", "spiffe://interlock/auditor", "twice'; allowed: each client once"),
        ("spiffe://interlock/alice-bot", "spiffe://interlock/*", "4: clients.0.identity"),
        ("users: [alice]", "users: [alice]\n    admin: true", "7: clients.0: found 'the key admin'"),
        ("users: [alice]", "users: [alice]\n    users: [bob]", "7: clients.0: found 'the key users'"),
        ("kind: Access", "kind: TradingPolicy", "2: kind: found 'TradingPolicy'; allowed: Access"),
        ("interlock/v1", "interlock/v2", "1: apiVersion: found 'interlock/v2'"),
        ("users: [alice]", "users: &a [alice]", "6: no YAML as needed here: an alias, an anchor or a tag"),
        ("users: [alice]", "users: !!set {alice}", "6: no YAML as needed here"),
        ("users: [alice]", "users: [[[[alice]]]]", "deeper than 5 levels"),
        (GOOD, "", "found nothing"),
        (GOOD, "clients: [", "no YAML"),
        (GOOD, GOOD + "---\n" + GOOD, "no YAML"),
    ],
)
def test_a_file_that_is_not_exact_is_refused_by_line_and_key(old: str, new: str, told: str) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(AccessRefusal) as refused:
        parse_access(GOOD.replace(old, new, 1), "access.yaml")
    assert told in str(refused.value)
    assert str(refused.value).startswith("access.yaml")


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(AccessRefusal) as refused:
        parse_access(GOOD.replace("[read, propose]", "[own]").replace("[alice]", "[]"), "access.yaml")
    assert len(refused.value.problems) == 2


def test_a_file_that_is_missing_too_large_or_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "access.yaml"
    for content in (None, GOOD.encode() + b"#" * 65_536, b"\xff\xfe"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(AccessRefusal, match=r"access\.yaml"):
            load_access(path)


def test_a_changed_file_is_taken_and_a_bad_one_changes_nothing_and_raises_an_alarm(tmp_path: Path) -> None:
    path = tmp_path / "access.yaml"
    path.write_text(GOOD)
    access = Access(path)

    def rights() -> list[str]:
        return sorted(access._grants["alice-bot"].rights)

    replace(path, GOOD.replace("[read, propose]", "[read]"))
    access.refresh()
    assert rights() == ["read"]
    alarms = REGISTRY.get_sample_value("interlock_alarms_total", {"code": ACCESS_FILE_BAD}) or 0.0
    for bad in (GOOD.replace("[alice]", "[]"), "", None):
        replace(path, bad)
        access.refresh()
        access.refresh()
        assert rights() == ["read"]
    assert REGISTRY.get_sample_value("interlock_alarms_total", {"code": ACCESS_FILE_BAD}) == alarms + 3
    replace(path, GOOD)
    access.refresh()
    assert rights() == ["propose", "read"]


def replace(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
        return
    other = path.with_name("other")
    other.write_text(text)
    other.replace(path)


NAMED = Actor("a", authenticated=True, rights=frozenset({"read", "propose"}), users=frozenset({"alice"}))
FOR_ALL = Actor("b", authenticated=True, rights=frozenset({"read", "admin", "halt"}), users=frozenset({"*"}))


@pytest.mark.parametrize(
    ("actor", "user", "right", "serves"),
    [
        (NAMED, "alice", "read", True),
        (NAMED, "alice", "propose", True),
        (NAMED, "bob", "read", False),
        (NAMED, "", "read", False),
        (NAMED, "*", "read", False),
        (FOR_ALL, "alice", "read", True),
        (FOR_ALL, "", "read", True),
        (FOR_ALL, "alice", "admin", True),
        (FOR_ALL, "alice", "halt", False),
        (FOR_ALL, "alice", "propose", False),
        (FOR_ALL, "alice", ("approve", "propose"), False),
        (LOCAL, "alice", "propose", True),
        (LOCAL, "", "read", True),
        (NOBODY, "alice", "read", False),
        (NOBODY, "", "read", False),
    ],
)
def test_a_star_serves_reading_and_administering_and_nothing_that_trades(
    actor: Actor,
    user: str,
    right: Right,
    serves: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert actor.serves(user, right) is serves


def test_users_are_found_in_a_request_and_in_the_messages_in_it() -> None:
    submit = pb.SubmitProposalRequest(user_id="alice")
    assert list(users_of(submit, user_paths(submit.DESCRIPTOR))) == ["alice"]
    job = market_pb2.CreateScanJobRequest(terms=market_pb2.ScanTerms(user_id="bob"))
    assert list(users_of(job, user_paths(job.DESCRIPTOR))) == ["bob"]
    assert user_paths(market_pb2.GetMarketRequest.DESCRIPTOR) == ()


def test_a_user_left_out_is_all_of_them_and_an_unset_choice_is_none() -> None:
    jobs = market_pb2.ListScanJobsRequest()
    assert list(users_of(jobs, user_paths(jobs.DESCRIPTOR))) == [""]
    by_hash = pb.GetPolicyRequest(sha256="0" * 64)
    assert list(users_of(by_hash, user_paths(by_hash.DESCRIPTOR))) == []
    no_terms = market_pb2.CreateScanJobRequest()
    assert list(users_of(no_terms, user_paths(no_terms.DESCRIPTOR))) == [""]


@pytest.mark.parametrize("form", ["repeated", "other name", "number", "in a list"])
def test_a_request_that_names_users_in_another_form_cannot_be_served(form: str) -> None:
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"{form}.proto", package=f"x{form.replace(' ', '')}")
    wish = file.message_type.add(name="Wish")
    one = wish.field.add(name="user_id", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    if form == "repeated":
        one.label = field.LABEL_REPEATED
    elif form == "other name":
        one.name = "on_behalf_of_user"
    elif form == "number":
        one.type = field.TYPE_INT64
    else:
        outer = file.message_type.add(name="Many")
        outer.field.add(
            name="wishes",
            number=1,
            type=field.TYPE_MESSAGE,
            label=field.LABEL_REPEATED,
            type_name=f".{file.package}.Wish",
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message = pool.FindMessageTypeByName(f"{file.package}.{'Many' if form == 'in a list' else 'Wish'}")
    with pytest.raises(UnreadableUser):
        user_paths(message)
