"""Creating and upgrading the store's tables, and refusing what is not ours or not our version.

On PostgreSQL all is ours that lies in one schema, schema and tables carrying our mark as comment; a
SQLite file carries it as application id. What is created or upgraded is so in one transaction under
a lock, so two daemons that start at once make one store.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor import __version__
from monitor.errors import StoreRefused, StoreUnavailable
from monitor.store.database import APPLICATION_ID, Database, Kind, quoted
from monitor.store.tables import MARK, store

MIGRATIONS = Path(__file__).parent / "migrations"

_MIGRATE = "ingest-canary store migrate"


@dataclass(frozen=True, slots=True)
class Versions:
    """The schema's revision in the store (None: no tables yet), and what this program needs."""

    found: str | None
    needed: str
    known: bool

    @property
    def current(self) -> bool:
        return self.found == self.needed


async def open_store(
    database: Database, migrations: Path = MIGRATIONS, *, create: bool = True
) -> Kind:
    """Make sure that our tables are there, creating them in an empty place; returns the kind.

    Raises StoreRefused for what is not ours and for another version of ours (naming the command
    that upgrades an older one); StoreUnavailable, without ``create`` for an empty place too.
    """
    versions = await versions_of(database, migrations)
    if versions.found is None and not create:
        raise StoreUnavailable(f"nothing has been stored yet ({database.location})")
    if versions.found is None:
        await migrate(database, migrations)
    elif not versions.known:
        raise StoreRefused(
            f"{_where(database)} was written by a newer version of ingest-canary (schema"
            f" {versions.found}); this is {__version__} with schema {versions.needed}: upgrade it."
        )
    elif not versions.current:
        raise StoreRefused(
            f"{_where(database)} has schema {versions.found}, and ingest-canary {__version__} needs"
            f" {versions.needed}: run `{_MIGRATE}`."
        )
    return await kind_of(database)


async def versions_of(database: Database, migrations: Path = MIGRATIONS) -> Versions:
    """Which schema is there and which is needed. Raises StoreRefused for what is not ours."""
    scripts = ScriptDirectory.from_config(_config(migrations))
    needed = scripts.get_current_head() or ""
    if not database.schema and not database.location.path.exists():
        return Versions(None, needed, known=True)  # asking would make the file
    async with database.reading() as connection:
        if not await _is_ours(database, connection):
            return Versions(None, needed, known=True)
        found = await connection.run_sync(_revision, database.schema)
    known = {script.revision for script in scripts.walk_revisions()}
    return Versions(found, needed, known=found is None or found in known)


async def migrate(database: Database, migrations: Path = MIGRATIONS) -> Versions:
    """Create or upgrade the tables; returns the versions as they were before.

    Raises StoreRefused for what is not ours or newer, or where we lack the right to create.
    """
    if not database.schema:
        with database.translated():
            database.location.path.parent.mkdir(parents=True, exist_ok=True)
    before = await versions_of(database, migrations)
    if not before.known:
        await open_store(database, migrations)  # says so
    async with database.writing() as connection:
        await _prepare(database, connection)
        await connection.run_sync(_upgrade, database.schema, migrations)
        if database.schema:
            await _mark(connection, f"TABLE {database.name_of('alembic_version')}")
    return before


async def migration_sql(
    database: Database, owner: str | None = None, migrations: Path = MIGRATIONS
) -> str:
    """What ``migrate`` would do to a PostgreSQL store, as SQL for a DBA; nothing is changed.

    ``owner`` is the role that the tables shall belong to, by default whoever runs the SQL. Of a
    location without URL nothing is asked: the SQL then creates the store. Raises StoreRefused.
    """
    if database.schema is None:
        versions, exists, kind = Versions(None, "head", known=True), False, "postgresql"
    else:
        versions = await versions_of(database, migrations)
        if not versions.known:
            await open_store(database, migrations)  # says so
        async with database.reading() as connection:
            exists = await _schema_is_ours(connection, database.schema)
            kind = await connection.run_sync(_kind_to_create, database.schema)
        kind = kind if versions.found is None else await kind_of(database)
    if versions.current:
        return f"-- The store has schema {versions.found}, which is needed: nothing to do.\n"
    return _script(database.location.schema, versions, exists, kind, owner, migrations)


async def kind_of(database: Database) -> Kind:
    """What the store was created as."""
    async with database.reading() as connection:
        kind = await connection.scalar(select(store.c.value).where(store.c.name == "kind"))
    return kind or database.dialect


def _where(database: Database) -> str:
    return f"the store ({database.location})"


# --- ours or not ---------------------------------------------------------------------------------


async def _is_ours(database: Database, connection: AsyncConnection) -> bool:
    """Whether our tables may be there; False for an empty place. Raises StoreRefused otherwise."""
    if database.schema:
        return await _schema_is_ours(connection, database.schema)
    return await _file_is_ours(database, connection)


async def _file_is_ours(database: Database, connection: AsyncConnection) -> bool:
    application_id = await connection.scalar(text("PRAGMA application_id"))
    tables = await connection.scalar(text("SELECT count(*) FROM sqlite_master"))
    if tables and application_id != APPLICATION_ID:
        raise StoreRefused(
            f"{database.location} is a SQLite database of another program; nothing was changed."
            " Name another data_dir, or move the file away."
        )
    return bool(tables)


_SCHEMA_COMMENT = text(
    "SELECT pg_catalog.obj_description(oid, 'pg_namespace') AS mark"
    " FROM pg_catalog.pg_namespace WHERE nspname = :schema"
)
_UNMARKED = text(
    "SELECT relname FROM pg_catalog.pg_class WHERE relnamespace ="
    " (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = :schema)"
    " AND relkind IN ('r', 'p', 'v', 'm', 'f')"
    " AND pg_catalog.obj_description(oid, 'pg_class') IS DISTINCT FROM :mark ORDER BY 1 LIMIT 1"
)


async def _schema_is_ours(connection: AsyncConnection, schema: str) -> bool:
    found = (await connection.execute(_SCHEMA_COMMENT, {"schema": schema})).one_or_none()
    if found is None:
        return False
    if found.mark != MARK:
        raise StoreRefused(
            f"schema {schema} is there and was not made for the store; nothing was changed. Name"
            f" another by store.schema; or if it is meant for it, its owner runs:"
            f" COMMENT ON SCHEMA {quoted(schema)} IS '{MARK}'"
        )
    foreign = await connection.scalar(_UNMARKED, {"schema": schema, "mark": MARK})
    if foreign is not None:
        raise StoreRefused(
            f"schema {schema} holds {foreign}, which ingest-canary did not make; nothing was"
            " changed. Move it elsewhere, or name another schema by store.schema."
        )
    return True


# --- changing ------------------------------------------------------------------------------------


async def _prepare(database: Database, connection: AsyncConnection) -> None:
    """Take the lock, look again, and make the place."""
    if database.schema is None:
        await connection.execute(text(f"PRAGMA application_id = {APPLICATION_ID}"))
        return
    await lock_definitions(database, connection)
    exists = await _schema_is_ours(connection, database.schema)
    await _check_may_create(connection, database.schema, exists)
    if not exists:
        await connection.execute(text(f"CREATE SCHEMA {quoted(database.schema)}"))
        await _mark(connection, f"SCHEMA {quoted(database.schema)}")


_MAY_CREATE = text(
    "SELECT current_user, current_database(), CASE WHEN :exists"
    " THEN pg_catalog.has_schema_privilege((SELECT oid FROM pg_catalog.pg_namespace"
    " WHERE nspname = :schema), 'CREATE')"
    " ELSE pg_catalog.has_database_privilege(current_database(), 'CREATE') END"
)


async def _check_may_create(connection: AsyncConnection, schema: str, exists: bool) -> None:
    facts = {"exists": exists, "schema": schema}
    role, database, may = (await connection.execute(_MAY_CREATE, facts)).one()
    if not may:
        what = f"tables in schema {schema}" if exists else f"the schema {schema}"
        where = f"SCHEMA {quoted(schema)}" if exists else f"DATABASE {quoted(database)}"
        raise StoreRefused(
            f"role {role} may not create {what}; nothing was changed. Its owner runs: GRANT CREATE"
            f" ON {where} TO {quoted(role)}; or all of what `{_MIGRATE} --sql` prints."
        )


_LOCK = "SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended({name}, 0))"


async def lock_definitions(database: Database, connection: AsyncConnection) -> None:
    """Wait for others that create or drop tables of this store; until the transaction ends."""
    name = {"name": f"{MARK} {database.schema}"}
    await connection.execute(text(_LOCK.format(name=":name")), name)


async def _mark(connection: AsyncConnection, what: str) -> None:
    await connection.execute(text(f"COMMENT ON {what} IS '{MARK}'"))


def _config(migrations: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    return config


def _revision(connection: Connection, schema: str | None) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": schema})
    return context.get_current_revision()


def _upgrade(connection: Connection, schema: str | None, migrations: Path) -> None:
    created = _revision(connection, schema) is None
    kind = _kind_to_create(connection, schema)
    config = _config(migrations)
    config.attributes.update(connection=connection, schema=schema, kind=kind)
    command.upgrade(config, "head")
    if created:
        connection.execute(insert(store), _facts(kind))


def _script(
    schema: str, versions: Versions, exists: bool, kind: str, owner: str | None, migrations: Path
) -> str:
    """One transaction that makes or upgrades all, ours by mark and of the owner."""
    config = _config(migrations)
    config.output_buffer = written = StringIO()
    config.attributes.update(schema=schema, kind=kind)
    command.upgrade(config, f"{versions.found}:head" if versions.found else "head", sql=True)
    own, marked = quoted(schema), f"IS '{MARK}';\n"
    lock = _LOCK.format(name=f"'{MARK} {schema}'")
    parts = ["BEGIN;\n", f"{lock};\n"]
    if not exists:
        authorization = f" AUTHORIZATION {quoted(owner)}" if owner else ""
        parts.append(f"CREATE SCHEMA {own}{authorization};\nCOMMENT ON SCHEMA {own} {marked}")
    if owner:
        parts.append(f"SET LOCAL ROLE {quoted(owner)};\n")
    parts.append(written.getvalue())
    if versions.found is None:
        values = ", ".join(f"('{each['name']}', '{each['value']}')" for each in _facts(kind))
        parts.append(f"COMMENT ON TABLE {own}.alembic_version {marked}")
        parts.append(f"INSERT INTO {own}.store (name, value) VALUES {values};\n")  # noqa: S608
    return "\n".join([*parts, "COMMIT;\n"])


def _facts(kind: str) -> list[dict[str, str]]:
    facts = {"kind": kind, "created_by": __version__}
    return [{"name": name, "value": value} for name, value in facts.items()]


def _kind_to_create(connection: Connection, schema: str | None) -> Kind:
    if schema is None:
        return "sqlite"
    has = text("SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'timescaledb'")
    return "timescaledb" if connection.scalar(has) else "postgresql"
