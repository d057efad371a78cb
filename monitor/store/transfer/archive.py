"""The file itself: written whole or not at all, and believed only after it was checked."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from datetime import datetime
from io import BufferedRandom, BytesIO
from pathlib import Path
from typing import IO, Any, BinaryIO

from monitor.errors import ConfigurationError, StoreRejected, StoreUnavailable
from monitor.store.transfer.layout import CONVENTIONS, FORMAT, MANIFEST, TABLES, VERSION, Table
from monitor.store.transfer.lines import header_line, rows_of

#: Half the time of zlib's default, for a twentieth more bytes.
_COMPRESSION = 4

_DAMAGE = (
    OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, zlib.error,
    tarfile.TarError,
)  # fmt: skip


# --- writing -------------------------------------------------------------------------------------


class Member:
    """A table on its way into an export: compressed in ``file`` while it grows."""

    def __init__(self, table: Table, file: BufferedRandom) -> None:
        self.table = table
        self.rows = 0
        self.file = file
        # No name and no time: the same rows are the same bytes.
        self._gzip = gzip.GzipFile("", "wb", _COMPRESSION, file, mtime=0)
        self._gzip.write(header_line(table).encode())

    def add(self, lines: Sequence[str]) -> None:
        """Add rows. Raises OSError."""
        self._gzip.write("".join(lines).encode())
        self.rows += len(lines)

    def close(self) -> None:
        """Write what is pending. Raises OSError."""
        self._gzip.close()

    def sealed(self) -> dict[str, Any]:
        """End it; returns what the manifest says of it. Raises OSError."""
        self.close()
        size = self.file.tell()
        self.file.seek(0)
        digest = hashlib.file_digest(self.file, "sha256").hexdigest()
        self.file.seek(0)
        described = {"name": self.table.name, "description": self.table.description}
        facts = {"member": self.table.member, "rows": self.rows, "bytes": size, "sha256": digest}
        return described | facts | {"columns": [asdict(each) for each in self.table.columns]}


@contextmanager
def members(directory: Path | None) -> Iterator[dict[str, Member]]:
    """An empty member for each table, by name, on disk in ``directory`` but without a name there:
    nothing stays behind, however this ends."""
    with ExitStack() as stack:
        found = {}
        for table in TABLES:
            file = stack.enter_context(tempfile.TemporaryFile(dir=directory))
            found[table.name] = stack.enter_context(closing(Member(table, file)))
        yield found


def pack(
    out: BinaryIO, facts: Mapping[str, Any], tables: Mapping[str, Member], created_at: datetime
) -> None:
    """Write the archive: the manifest first, ``facts`` in it. Raises OSError."""
    sealed = {member: member.sealed() for member in tables.values()}
    manifest = {"format": FORMAT, "version": VERSION, **facts}
    manifest |= {"conventions": CONVENTIONS, "tables": list(sealed.values())}
    text = (json.dumps(manifest, ensure_ascii=False, indent=2) + "\n").encode()
    with tarfile.open(fileobj=out, mode="w|") as tar:

        def add(name: str, size: int, file: IO[bytes]) -> None:
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = size, int(created_at.timestamp()), 0o644
            tar.addfile(info, file)

        add(MANIFEST, len(text), BytesIO(text))
        for member, entry in sealed.items():
            add(entry["member"], entry["bytes"], member.file)


@contextmanager
def whole_file(path: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """A new file that gets its name when the block ends well.

    Raises ConfigurationError if it is there (without ``overwrite``) or cannot be made,
    StoreUnavailable if it cannot be written to its end.
    """
    if path.exists() and not path.is_file():
        raise ConfigurationError(f"{path} is not a file; write - for standard output.")
    if path.exists() and not overwrite:
        raise ConfigurationError(f"{path} exists; name another file, or overwrite it by --force.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        file = temporary.open("xb")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}.") from None
    try:
        with writing(str(path)), file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writing(name: str, what: str = "exported") -> Iterator[None]:
    """Say in the domain's words that a file could not be written. Raises StoreUnavailable."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read it has seen enough
    except OSError as error:
        raise StoreUnavailable(f"{name}: {error.strerror}; nothing was {what}") from error


# --- reading -------------------------------------------------------------------------------------


class Archive:
    """An export whose manifest and checksums are as they should be; see ``opened``."""

    def __init__(self, tar: tarfile.TarFile, name: str) -> None:
        self.name = name
        self._tar = tar
        with self.damage():
            self.manifest = _manifest(tar, name)
            self._entries = {entry["member"]: entry for entry in self.manifest["tables"]}
            self._check_members()

    def rows(self, table: Table) -> Iterator[list[Any]]:
        """The rows of a table, in their order. Raises StoreRejected."""
        count = 0
        with self.damage(table.member):
            with gzip.open(self._file(table), "rt", encoding="utf-8", newline="\n") as lines:
                for row in rows_of(table, lines):
                    yield row
                    count += 1
            if count != self._entries[table.member]["rows"]:
                raise ValueError(f"it holds {count} rows, which is not what the manifest says")

    @contextmanager
    def damage(self, where: str = "") -> Iterator[None]:
        """Say of anything odd within the block that the file is damaged. Raises StoreRejected."""
        try:
            yield
        except _DAMAGE as error:
            place = f"{where}: " if where else ""
            raise StoreRejected(
                f"{self.name} is damaged, and nothing of it was imported: {place}{error}"
            ) from error

    def _check_members(self) -> None:
        present = {member.name for member in self._tar}
        for table in TABLES:
            if table.member not in present or table.member not in self._entries:
                raise ValueError(f"{table.member} is missing")
            with self._file(table) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
            if digest != self._entries[table.member]["sha256"]:
                raise ValueError(f"{table.member} is not what was exported")

    def _file(self, table: Table) -> IO[bytes]:
        file = self._tar.extractfile(table.member)
        if file is None:
            raise ValueError(f"{table.member} is not a file")
        return file


@contextmanager
def opened(file: BinaryIO, name: str) -> Iterator[Archive]:
    """The export in an open file, checked. Raises StoreRejected for anything else.

    What cannot be read twice, such as a pipe, is copied to disk first.
    """
    with ExitStack() as stack:
        if not file.seekable():
            copy: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
            with writing(name, "imported"):
                shutil.copyfileobj(file, copy)
            copy.seek(0)
        else:
            copy = file
        try:
            tar = stack.enter_context(tarfile.open(fileobj=copy, mode="r:"))
        except (tarfile.TarError, OSError):
            raise StoreRejected(_not_ours(name)) from None
        yield Archive(tar, name)


def _manifest(tar: tarfile.TarFile, name: str) -> dict[str, Any]:
    first = tar.next()
    file = tar.extractfile(first) if first and first.name == MANIFEST else None
    if file is None:
        raise StoreRejected(_not_ours(name))
    with file:
        manifest = json.load(file)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise StoreRejected(_not_ours(name))
    if manifest.get("version") != VERSION:
        raise StoreRejected(
            f"{name} is an export of format {manifest.get('version')}, written by ingest-canary"
            f" {manifest.get('product_version')}; this one reads format {VERSION}: use that version"
            " or a newer one."
        )
    return manifest


def _not_ours(name: str) -> str:
    return f"{name} is not an export of ingest-canary; nothing was imported."
