"""What a strategy really sends: noted at its two ways to the server, SQLAlchemy and the driver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

from sqlalchemy import event

from monitor.canary.connection import Driver, Session
from monitor.canary.identifiers import qualified, quote


@dataclass(slots=True)
class Sent:
    """A statement as it left the client: its text, how often, and the first values that went along.

    ``through`` says which way; ``many`` whether all executions were handed over at once, which
    asyncpg pipelines. ``tag`` is the server's word on a COPY, which brings rows, not values.
    """

    text: str
    through: str
    many: bool
    arguments: tuple[Any, ...] = ()
    executions: int = 0
    tag: str | None = None


@dataclass(slots=True)
class Log:
    """Statements in the order in which their texts first came."""

    sent: dict[str, Sent] = field(default_factory=dict)

    def note(
        self,
        text: str,
        through: str,
        arguments: Sequence[Any] = (),
        *,
        executions: int = 1,
        many: bool = False,
    ) -> Sent:
        """Count executions of a statement, keeping the values of the first."""
        found = self.sent.setdefault(text, Sent(text, through, many, tuple(arguments)))
        found.executions += executions
        return found


class _Listening:
    """The driver as a strategy sees it; everything that is not noted goes straight to it."""

    def __init__(self, driver: Driver, log: Log) -> None:
        self._driver = driver
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    async def execute(self, query: str, *args: Any, **options: Any) -> Any:
        self._log.note(query, "asyncpg", args)
        return await self._driver.execute(query, *args, **options)

    async def executemany(self, command: str, args: Sequence[Sequence[Any]], **options: Any) -> Any:
        rows = list(args)
        first = rows[0] if rows else ()
        self._log.note(command, "asyncpg", first, executions=len(rows), many=True)
        return await self._driver.executemany(command, rows, **options)

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        self._log.note(query, "asyncpg", args)
        return await self._driver.fetch(query, *args, **options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        self._log.note(query, "asyncpg", args)
        return await self._driver.fetchrow(query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        self._log.note(query, "asyncpg", args)
        return await self._driver.fetchval(query, *args, **options)

    async def copy_records_to_table(self, table_name: str, **options: Any) -> Any:
        noted = self._log.note(_copy_text(table_name, options), "asyncpg")
        noted.tag = await self._driver.copy_records_to_table(table_name, **options)
        return noted.tag


def _copy_text(table: str, options: dict[str, Any]) -> str:
    """The COPY that asyncpg makes of the call; the server records the same text."""
    schema, columns = options.get("schema_name"), options.get("columns")
    name = qualified(schema, table) if schema else quote(table)
    listed = f"({', '.join(quote(column) for column in columns)})" if columns else ""
    return f"COPY {name}{listed} FROM STDIN (FORMAT binary)"


@contextmanager
def listening(session: Session) -> Iterator[tuple[Session, Log]]:
    """The session with every statement noted that goes through it while the block lasts."""
    log = Log()

    def on_execute(
        _connection: Any, _cursor: Any, text: str, values: Any, _context: Any, many: bool
    ) -> None:
        # Of insertmanyvalues each page comes by itself: one tuple with the values of all its rows.
        together = many and isinstance(values, list)
        rows = values if together else [values]
        first = rows[0] if rows else ()
        log.note(text, "SQLAlchemy", first or (), executions=len(rows), many=together)

    connection = session.connection.sync_connection
    event.listen(connection, "before_cursor_execute", on_execute)
    try:
        yield replace(session, driver=cast("Driver", _Listening(session.driver, log))), log
    finally:
        event.remove(connection, "before_cursor_execute", on_execute)
