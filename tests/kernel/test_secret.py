"""A secret cannot be shown by accident, and is only read from a file that nobody else can read."""

import copy
import json
import os
import pickle
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
    ],
)
def test_no_way_of_printing_shows_a_secret(show: object) -> None:
    text = show(Secret(VALUE))  # type: ignore[operator]
    assert VALUE not in text
    assert "***" in text


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, orjson.dumps, vars])
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
