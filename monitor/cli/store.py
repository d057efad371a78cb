"""ingest-canary store: its state, its schema, its size, and moving it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import click

from monitor.cli.common import read_settings, settings_options
from monitor.cli.store_text import size, status_as_json, status_lines
from monitor.config.fields import parse_duration
from monitor.config.settings import Settings
from monitor.daemon.assembly import retention_policy, store_location, stored
from monitor.errors import ConfigurationError
from monitor.store.database import Database
from monitor.store.retention import Pruned, prune
from monitor.store.schema import Versions, kind_of, migrate, migration_sql
from monitor.store.status import Status, status_of
from monitor.store.transfer.archive import Archive, opened, whole_file, writing
from monitor.store.transfer.exporting import Exported, Selection, export
from monitor.store.transfer.importing import Imported, import_archive, verify

STANDARD = "-"


@click.group()
def store() -> None:
    """See, upgrade, prune or move what is kept."""


# --- moving --------------------------------------------------------------------------------------


def _age(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> timedelta | None:
    if value is None:
        return None
    try:
        return timedelta(seconds=float(str(parse_duration(value))))
    except OverflowError:
        raise click.BadParameter(f"'{value}' is too long ago.") from None
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


@store.command("export")
@click.argument("file", metavar="FILE")
@click.option("--target", "targets", multiple=True, metavar="NAME",
              help="Only this target; may be given several times.")  # fmt: skip
@click.option("--since", "age", metavar="AGE", callback=_age,
              help="Only what is younger, such as 30d, by whole UTC days.")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@settings_options
def export_store(
    file: str, targets: tuple[str, ...], age: timedelta | None, force: bool, **options: Any
) -> None:
    """Write runs, samples, rollups and all else into one file; - is standard output.

    The file explains itself: a tar of a manifest and a gzip CSV per table.
    """
    settings = read_settings(options, quiet=True)
    now = datetime.now(UTC)
    try:
        selection = Selection(targets, None if age is None else now - age)
    except OverflowError:
        raise click.BadParameter("that is too long ago.", param_hint="--since") from None
    with _output(file, force) as out:
        directory = None if file == STANDARD else Path(file).parent
        exported = asyncio.run(_export(settings, out, selection, now, directory))
    click.echo(
        f"{_named(file)}: {exported.runs:,} runs, {exported.samples:,} samples,"
        f" {exported.rollups:,} rollups",
        err=file == STANDARD,
    )


@contextmanager
def _output(file: str, force: bool) -> Iterator[BinaryIO]:
    if file != STANDARD:
        with whole_file(Path(file), overwrite=force) as out:
            yield out
        return
    with writing(_named(file)):
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()


async def _export(
    settings: Settings,
    out: BinaryIO,
    selection: Selection,
    now: datetime,
    directory: Path | None,
) -> Exported:
    async with stored(settings) as database:
        return await export(database, out, selection, now, directory)


def _named(file: str) -> str:
    return "standard output" if file == STANDARD else file


@store.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one object a file.")
@settings_options
def import_store(files: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Bring in exported files; what is there already stays as it is. - is standard input.

    Every file is checked as a whole before anything is written. Repeating it adds nothing.
    """
    settings = read_settings(options, quiet=True)
    with ExitStack() as stack:
        archives = [stack.enter_context(_archive(file)) for file in dict.fromkeys(files)]
        for archive in archives:
            verify(archive)
        asyncio.run(_import(settings, archives, as_json))


@contextmanager
def _archive(file: str) -> Iterator[Archive]:
    with ExitStack() as stack:
        try:
            standard = file == STANDARD
            stream = sys.stdin.buffer if standard else stack.enter_context(Path(file).open("rb"))
        except OSError as error:
            raise ConfigurationError(f"{file}: {error.strerror}.") from None
        yield stack.enter_context(opened(stream, "standard input" if standard else file))


async def _import(settings: Settings, archives: list[Archive], as_json: bool) -> None:
    async with stored(settings, create=True) as database:
        for archive in archives:
            imported = await import_archive(database, archive)
            _print_imported(archive.name, imported, as_json)


def _print_imported(name: str, imported: Imported, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"file": name, **asdict(imported)}, ensure_ascii=False))
        return
    click.echo(
        f"{name}: {imported.runs:,} runs with {imported.samples:,} samples added;"
        f" {imported.runs_skipped:,} runs with {imported.samples_skipped:,} samples were there"
        f" already; {imported.rollups:,} rollups"
    )


# --- upkeep --------------------------------------------------------------------------------------


@store.command()
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
@settings_options
def status(as_json: bool, **options: Any) -> int:
    """Tell what is kept, where, how large it is, and what to do if something is wrong.

    Changes and creates nothing. Exit code 1: the store cannot be reached.
    """
    settings = read_settings(options, quiet=True)
    found = asyncio.run(_status(settings))
    if as_json:
        click.echo(json.dumps(status_as_json(found, settings), ensure_ascii=False))
    else:
        for line in status_lines(found, settings):
            click.echo(line)
    return 1 if found.problem else 0


async def _status(settings: Settings) -> Status:
    database = Database(store_location(settings))
    try:
        return await status_of(database, settings.data_dir / "spool")
    finally:
        await database.dispose()


@store.command("migrate")
@click.option("--sql", "as_sql", is_flag=True,
              help="Print the SQL for a PostgreSQL store instead, changing nothing.")  # fmt: skip
@click.option("--role", metavar="NAME",
              help="With --sql: who shall own the tables; default: whoever runs it.")  # fmt: skip
@settings_options
def migrate_store(as_sql: bool, role: str | None, **options: Any) -> None:
    """Create the store's tables, or upgrade them to what this version needs."""
    if role and not as_sql:
        raise click.UsageError("--role goes with --sql.")
    settings = read_settings(options, quiet=True)
    click.echo(asyncio.run(_migrate(settings, as_sql, role)), nl=not as_sql)


async def _migrate(settings: Settings, as_sql: bool, role: str | None) -> str:
    database = Database(store_location(settings))
    try:
        if as_sql:
            return await migration_sql(database, role)
        return _migrated(database, await migrate(database))
    finally:
        await database.dispose()


def _migrated(database: Database, before: Versions) -> str:
    if before.current:
        return f"{database.location}: schema {before.found} is there already"
    if before.found is None:
        return f"{database.location}: created with schema {before.needed}"
    return f"{database.location}: upgraded from schema {before.found} to {before.needed}"


@store.command("prune")
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
@settings_options
def prune_store(as_json: bool, **options: Any) -> None:
    """Roll up and remove what the configured retention no longer keeps, as the daemon does."""
    settings = read_settings(options, quiet=True)
    pruned = asyncio.run(_prune(settings))
    if as_json:
        click.echo(json.dumps(asdict(pruned), ensure_ascii=False))
        return
    click.echo(
        f"removed {pruned.samples:,} samples ({pruned.partitions:,} partitions), {pruned.runs:,}"
        f" runs, {pruned.rollups:,} rollups, {pruned.states:,} detector states;"
        f" {size(pruned.bytes_freed)} freed; nobody waited longer than"
        f" {pruned.longest_wait_seconds * 1000:.0f} ms"
    )


async def _prune(settings: Settings) -> Pruned:
    async with stored(settings) as database:
        kind = await kind_of(database)
        return await prune(
            database,
            retention_policy(settings),
            datetime.now(UTC),
            partitioned=kind == "postgresql",
            timescale=kind == "timescaledb",
        )
