"""The exported file: whole or not there, and believed only if nothing in it was changed."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.errors import ConfigurationError, StoreRejected, StoreUnavailable
from monitor.store.transfer import layout
from monitor.store.transfer.archive import Archive, members, opened, pack, whole_file, writing
from monitor.store.transfer.layout import CONTROL, MANIFEST, RUNS, TABLES, Table
from monitor.store.transfer.lines import encoded, line_of

AT = datetime(2026, 3, 1, tzinfo=UTC)
REQUESTS = [
    ["1", AT, "pause", None, None, "me", ""],
    ["2", AT, "accept", "main", "", "you", 'two\n"lines"'],
]


def packed(rows: list[list[Any]] = REQUESTS, created_at: datetime = AT) -> bytes:
    out = io.BytesIO()
    with members(None) as parts:
        parts[CONTROL.name].add([line_of(encoded(CONTROL, row)) for row in rows])
        pack(out, {"product_version": "0.1.0"}, parts, created_at)
    return out.getvalue()


PACKED = packed()


def rows_in(data: bytes) -> dict[str, list[list[Any]]]:
    with opened(io.BytesIO(data), "it") as archive:
        return {table.name: list(archive.rows(table)) for table in TABLES}


def contents(data: bytes) -> dict[str, bytes]:
    """Members by name, in their order, read by the standard library alone."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def repacked(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


# --- what it holds -------------------------------------------------------------------------------


def test_it_gives_back_what_it_was_given() -> None:
    assert rows_in(PACKED) == {table.name: [] for table in TABLES} | {"control": REQUESTS}


def test_the_manifest_comes_first_and_explains_the_file() -> None:
    parts = contents(PACKED)
    assert list(parts) == [MANIFEST, *(table.member for table in TABLES)]
    manifest = json.loads(parts[MANIFEST])
    assert (manifest["format"], manifest["version"]) == ("ingest-canary store export", 2)
    assert manifest["product_version"] == "0.1.0"
    for table, entry in zip(TABLES, manifest["tables"], strict=True):
        content = parts[entry["member"]]
        assert entry["name"] == table.name
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["bytes"] == len(content)
        assert entry["rows"] == len(REQUESTS) * (table is CONTROL)
        header = gzip.decompress(content).decode().splitlines()[0].split(",")
        assert [column["name"] for column in entry["columns"]] == header
        assert all(column["description"] for column in entry["columns"])


def test_members_are_csv_that_everybody_reads() -> None:
    text = gzip.decompress(contents(PACKED)["control.csv.gz"]).decode()
    first, second = csv.DictReader(io.StringIO(text, newline=""))
    assert first["at"] == "2026-03-01T00:00:00.000000Z"
    assert (second["target"], second["note"]) == ("main", 'two\n"lines"')


def test_the_same_rows_are_the_same_bytes_at_any_time() -> None:
    again = packed(created_at=datetime(2027, 7, 7, 7, 7, 7, tzinfo=UTC))
    assert contents(again) == contents(PACKED)


def test_a_pipe_can_be_read() -> None:
    reading, writing_end = os.pipe()
    with os.fdopen(writing_end, "wb") as into:
        into.write(PACKED)  # less than a pipe holds
    with os.fdopen(reading, "rb") as pipe, opened(pipe, "it") as archive:
        assert list(archive.rows(CONTROL)) == REQUESTS


# --- what it refuses -----------------------------------------------------------------------------


def refused(data: bytes) -> str:
    with pytest.raises(StoreRejected) as caught:
        rows_in(data)
    return str(caught.value)


def with_manifest(change: Callable[[dict[str, Any]], object]) -> bytes:
    parts = contents(PACKED)
    manifest = json.loads(parts[MANIFEST])
    change(manifest)
    return repacked(parts | {MANIFEST: json.dumps(manifest).encode()})


def with_member(table: Table, text: str, rows: int = 1) -> bytes:
    """A forgery: the member replaced and its entry made to fit."""
    content = gzip.compress(text.encode())
    parts = contents(PACKED)
    manifest = json.loads(parts[MANIFEST])
    (entry,) = (each for each in manifest["tables"] if each["name"] == table.name)
    entry |= {"sha256": hashlib.sha256(content).hexdigest(), "rows": rows}
    changed = {MANIFEST: json.dumps(manifest).encode(), table.member: content}
    return repacked(parts | changed)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"some text\n" * 1000,
        gzip.compress(PACKED),
        repacked({"README": b"of another program"}),
        repacked({"README": b"first", **contents(PACKED)}),
        with_manifest(lambda manifest: manifest.update(format="something else")),
        repacked({MANIFEST: b"[]"}),
    ],
    ids=["empty", "text", "gzip", "tar", "other first", "other format", "no object"],
)
def test_what_is_no_export_is_refused(data: bytes) -> None:
    assert refused(data) == "it is not an export of ingest-canary; nothing was imported."


def test_another_version_is_refused_by_name() -> None:
    newer = with_manifest(lambda m: m.update(version=layout.VERSION + 1, product_version="7.0"))
    assert refused(newer) == (
        "it is an export of format 3, written by ingest-canary 7.0; this one reads format 2: use"
        " that version or a newer one."
    )


DAMAGED = "it is damaged, and nothing of it was imported: "


def test_a_changed_member_is_refused_by_name() -> None:
    content = gzip.compress(gzip.decompress(contents(PACKED)[CONTROL.member]) + b"\n")
    changed = repacked(contents(PACKED) | {CONTROL.member: content})
    assert refused(changed) == f"{DAMAGED}control.csv.gz is not what was exported"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_missing_member_is_refused_by_name(table: Table) -> None:
    parts = contents(PACKED)
    del parts[table.member]
    assert refused(repacked(parts)) == f"{DAMAGED}{table.member} is missing"


def test_a_member_that_the_manifest_does_not_know_is_refused() -> None:
    assert (
        refused(with_manifest(lambda m: m["tables"].pop())) == f"{DAMAGED}control.csv.gz is missing"
    )


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (with_member(RUNS, "id\n"), "runs.csv.gz: the header row is not as it should be"),
        (
            with_member(CONTROL, ",".join(CONTROL.header) + '\n"1",,"","","","",""\n'),
            "control.csv.gz: row 1: Invalid isoformat string: ''",
        ),
        (
            with_member(CONTROL, ",".join(CONTROL.header) + "\n"),
            "control.csv.gz: it holds 0 rows, which is not what the manifest says",
        ),
        (with_manifest(lambda m: m.update(tables=[1])), "'int' object is not subscriptable"),
        (with_manifest(lambda m: m.pop("tables")), "'tables'"),
        (repacked({MANIFEST: b"{"}), "Expecting property name enclosed in double quotes"),
        (
            repacked(contents(PACKED) | {RUNS.member: b"no gzip"}),
            "runs.csv.gz is not what was exported",
        ),
    ],
)
def test_a_forgery_is_refused_too(data: bytes, what: str) -> None:
    assert refused(data).startswith(f"{DAMAGED}{what}")


with tarfile.open(fileobj=io.BytesIO(PACKED)) as _tar:
    _LAST = _tar.getmembers()[-1]
#: Where the last member ends; what follows is padding.
END = _LAST.offset_data + _LAST.size


@given(st.integers(min_value=0, max_value=END - 1))
@settings(deadline=None)
def test_a_truncated_file_is_refused(length: int) -> None:
    assert refused(PACKED[:length])


@given(st.integers(min_value=0, max_value=len(PACKED) - 1), st.integers(min_value=1, max_value=255))
@settings(deadline=None)
def test_a_flipped_byte_is_refused_or_changes_nothing(place: int, bits: int) -> None:
    data = bytearray(PACKED)
    data[place] ^= bits
    try:
        found = rows_in(bytes(data))
    except StoreRejected:
        return
    assert found == rows_in(PACKED)


def test_no_name_in_an_archive_leads_elsewhere(tmp_path: Path) -> None:
    """A member that is a link is none of ours."""
    secret = tmp_path / "secret"
    secret.write_bytes(contents(PACKED)[CONTROL.member])
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in contents(PACKED).items():
            info = tarfile.TarInfo(name)
            if name == CONTROL.member:
                info.type, info.linkname = tarfile.SYMTYPE, str(secret)
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    assert refused(out.getvalue()).startswith(DAMAGED)


# --- its name ------------------------------------------------------------------------------------


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    with whole_file(tmp_path / "x.tar", overwrite=False) as file:
        file.write(b"half")
        assert "x.tar" not in names(tmp_path)
        file.write(b" and half")
    assert names(tmp_path) == ["x.tar"]
    assert (tmp_path / "x.tar").read_bytes() == b"half and half"


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), KeyboardInterrupt()])
@pytest.mark.parametrize("there", [False, True])
def test_what_was_broken_off_leaves_all_as_it_was(
    tmp_path: Path, there: bool, error: BaseException
) -> None:
    path = tmp_path / "x.tar"
    if there:
        path.write_bytes(b"an earlier one")
    with pytest.raises(type(error)), whole_file(path, overwrite=True) as file:
        file.write(b"half")
        raise error
    assert names(tmp_path) == ["x.tar"] * there
    assert not there or path.read_bytes() == b"an earlier one"


def test_a_file_that_is_there_is_overwritten_only_on_demand(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(b"an earlier one")
    with (
        pytest.raises(ConfigurationError, match=r"x\.tar exists; .* --force"),
        _entered(path, False),
    ):
        pass
    assert path.read_bytes() == b"an earlier one"
    with whole_file(path, overwrite=True) as file:
        file.write(b"a new one")
    assert path.read_bytes() == b"a new one"


def _entered(path: Path, overwrite: bool) -> AbstractContextManager[Any]:
    return whole_file(path, overwrite=overwrite)


def test_only_a_file_is_ever_replaced(tmp_path: Path) -> None:
    device = tmp_path / "device"
    os.mkfifo(device)
    for path in (device, tmp_path):
        with pytest.raises(ConfigurationError, match="is not a file"), _entered(path, True):
            pass
    assert device.is_fifo()


def test_a_place_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "x.tar"
    with (
        pytest.raises(ConfigurationError, match=r"x\.tar: No such file or directory\.$"),
        _entered(path, False),
    ):
        pass


def test_a_full_disk_is_said_in_a_sentence(tmp_path: Path) -> None:
    sentence = "x: No space left on device; nothing was exported"
    with (
        pytest.raises(StoreUnavailable, match=sentence),
        writing("x"),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        pack_into(full)


def pack_into(out: Any) -> None:
    with members(None) as parts:
        pack(out, {}, parts, AT)


def test_a_reader_who_has_seen_enough_is_no_trouble_of_ours() -> None:
    with pytest.raises(BrokenPipeError), writing("standard output"):
        raise BrokenPipeError


def test_the_archive_names_itself() -> None:
    with opened(io.BytesIO(PACKED), "it") as archive:
        assert isinstance(archive, Archive)
        assert archive.name == "it"
        assert archive.manifest["tables"][0]["name"] == "environments"
