"""A secret cannot be shown by accident, and is only read from a file that nobody else can read."""

import copy
import dataclasses
import json
import logging
import os
import pickle
import pprint
import string
import subprocess
import sys
import traceback
from pathlib import Path

import orjson
import pytest

from kernel.secret import MAX_SECRET_BYTES, Secret, SecretFileError, read_secret_file

VALUE = "s3cret-of-the-exchange"


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        "{}".format,
        "{:>40}".format,
        "{!r}".format,
        lambda secret: f"{secret}",
        lambda secret: "%s" % secret,  # noqa: UP031 - the form under test
        lambda secret: "%r" % [secret],
        lambda secret: str({"key": secret}),
        lambda secret: str(RuntimeError(secret)),
        lambda secret: json.dumps({"key": secret}, default=str),
        lambda secret: orjson.dumps({"key": secret}, default=str).decode(),
        lambda secret: ascii(secret),  # noqa: PLW0108 - one way among others
        lambda secret: str([secret]) + str((secret,)) + str({secret}),
        lambda secret: string.Template("$secret").substitute(secret=secret),
        lambda secret: repr(dataclass_of(secret)),
        lambda secret: traceback.format_exception_only(ValueError(secret))[0],
        lambda secret: logging.LogRecord("x", 10, "x", 1, "%s", (secret,), None).getMessage(),
        pprint.pformat,
    ],
)
def test_no_way_of_printing_shows_a_secret(show: object) -> None:
    text = show(Secret(VALUE))  # type: ignore[operator]
    assert VALUE not in text
    assert "***" in text


@dataclasses.dataclass
class Holder:
    """What settings are made of."""

    key: Secret


def dataclass_of(secret: Secret) -> Holder:
    return Holder(secret)


@pytest.mark.parametrize(
    "take",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        json.dumps,
        orjson.dumps,
        vars,
        iter,
        list,
        len,
        bytes,
        "".join,
        lambda secret: secret[0],
        lambda secret: secret + "",
        lambda secret: "s" in secret,
        lambda secret: dataclasses.asdict(Holder(secret)),
    ],
)
def test_no_way_of_copying_takes_a_secret(take: object) -> None:
    with pytest.raises(TypeError) as caught:
        take(Secret(VALUE))  # type: ignore[operator]
    assert VALUE not in str(caught.value)


def test_a_secret_is_revealed_and_compared_on_purpose_only() -> None:
    assert Secret(VALUE).reveal() == VALUE
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret(VALUE + "x")
    assert Secret(VALUE) != VALUE
    assert len({Secret(VALUE), Secret(VALUE)}) == 1
    assert len(Secret(VALUE).fingerprint()) == 8


def write(path: Path, content: bytes = VALUE.encode() + b"\n", mode: int = 0o400) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o400, 0o600])
def test_a_private_file_is_read_without_its_line_end(tmp_path: Path, mode: int) -> None:
    assert read_secret_file(write(tmp_path / "key", mode=mode)).reveal() == VALUE


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644, 0o420, 0o401])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(SecretFileError, match="chmod 0400") as caught:
        read_secret_file(write(tmp_path / "key", mode=mode))
    assert VALUE not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"x" * (MAX_SECRET_BYTES + 1), "gehéim".encode(), b"\xff\xfe", b"two\nlines", b"nul\0"]
)
def test_a_file_without_one_line_of_printable_ascii_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SecretFileError) as caught:
        read_secret_file(write(tmp_path / "key", content))
    assert "two" not in str(caught.value)


def test_what_is_not_a_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    target = write(tmp_path / "target")
    link, fifo, directory = tmp_path / "link", tmp_path / "fifo", tmp_path / "directory"
    link.symlink_to(target)
    os.mkfifo(fifo, 0o400)
    directory.mkdir(0o700)
    for path in (link, fifo, directory, tmp_path / "missing", Path("/dev/null")):
        with pytest.raises(SecretFileError):
            read_secret_file(path)


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "key")
    if os.geteuid() == 0:
        os.chown(path, 12_345, 12_345)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    with pytest.raises(SecretFileError, match="owned by uid"):
        read_secret_file(path)


def kubernetes(mount: Path, content: bytes, generation: str = "..2026_11_24", mode: int = 0o400) -> Path:
    """Mount a secret as Kubernetes does, or swap it; return the name a program is told."""
    folder = mount / generation
    folder.mkdir(parents=True)
    write(folder / "key", content, mode)
    swapped = mount / "..data_tmp"
    swapped.symlink_to(generation)
    swapped.replace(mount / "..data")
    if not (mount / "key").is_symlink():
        (mount / "key").symlink_to("..data/key")
    return mount / "key"


def test_a_directory_swapped_by_kubernetes_is_read(tmp_path: Path) -> None:
    path = kubernetes(tmp_path, b"first")
    assert read_secret_file(path).reveal() == "first"
    kubernetes(tmp_path, b"second", "..2026_11_25")
    assert read_secret_file(path).reveal() == "second"
    assert read_secret_file(path).file == path


@pytest.mark.parametrize(
    ("name", "data"),
    [("../elsewhere/key", "..now"), ("..data/other", "..now"), ("..data/key", "../elsewhere"), ("..now/key", "..now")],
)
def test_any_other_link_is_refused_wherever_it_leads(tmp_path: Path, name: str, data: str) -> None:
    for folder in ("mount/..now", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
        for each in ("key", "other"):
            write(tmp_path / folder / each)
    (tmp_path / "mount" / "..data").symlink_to(data)
    (tmp_path / "mount" / "key").symlink_to(name)
    with pytest.raises(SecretFileError):
        read_secret_file(tmp_path / "mount" / "key")


def test_a_link_behind_the_swapped_directory_is_refused(tmp_path: Path) -> None:
    path = kubernetes(tmp_path / "mount", b"first")
    (tmp_path / "mount" / "..data" / "key").unlink()
    (tmp_path / "mount" / "..data" / "key").symlink_to(write(tmp_path / "other"))
    with pytest.raises(SecretFileError):
        read_secret_file(path)


READ_AS_ANOTHER = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from kernel.secret import SecretFileError, read_secret_file
os.setgroups([int(sys.argv[3])]); os.setgid(20001); os.setuid(20001)
try:
    print(read_secret_file(Path(sys.argv[2])).reveal())
except SecretFileError as error:
    print("refused:", error)
"""
POD_GROUP = 30_001


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to others")
@pytest.mark.parametrize(
    ("owner", "group", "mode", "found"),
    [
        (20_001, 20_001, 0o400, VALUE),  # a volume filled for this user, a bind mount of his file
        (0, POD_GROUP, 0o440, VALUE),  # Kubernetes with fsGroup
        (0, POD_GROUP, 0o460, "refused"),
        (0, POD_GROUP, 0o444, "refused"),  # Kubernetes and Docker secrets without a mode
        (0, 0, 0o440, "refused"),
        (20_001, POD_GROUP, 0o440, "refused"),
        (20_002, POD_GROUP, 0o440, "refused"),
        (0, 0, 0o400, "refused"),
    ],
)
def test_the_ways_of_mounting_a_secret_for_a_user_without_powers(
    tmp_path: Path, owner: int, group: int, mode: int, found: str
) -> None:
    path = write(tmp_path / "key", mode=mode)
    os.chown(path, owner, group)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    words = [sys.executable, "-c", READ_AS_ANOTHER, str(Path(__file__).parents[2]), str(path), str(POD_GROUP)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.startswith(found), done.stdout
    assert VALUE not in done.stdout or found == VALUE
