"""A plan's shapes as tables, mapped classes and rows, ready to be inserted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any
from warnings import filterwarnings

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import registry
from sqlalchemy.sql import quoted_name
from sqlalchemy.sql.schema import CallableColumnDefault, ScalarElementColumnDefault

from monitor.canary.connection import Session
from monitor.canary.definition import index_statements
from monitor.canary.identifiers import staging_name
from monitor.canary.likenesses import names_of
from monitor.canary.tables import metadata_for
from monitor.errors import ConfigurationError
from monitor.measure.load_table import load_tables
from monitor.measure.probes import probe_tables
from monitor.model import Case, Plan
from monitor.source import Blueprint
from monitor.suite.extras import declare_parent
from monitor.workload import Destination, Extra, Parent, Shape

Rows = Sequence[Any]

#: Prefilled rows whose keys are looked at at a time.
_KEYS_AT_ONCE = 20_000

_ClientDefault = CallableColumnDefault | ScalarElementColumnDefault


@dataclass(frozen=True, slots=True)
class Bound:
    """A shape in our schema: its table, a class mapped to it, and the columns that rows fill."""

    table: Table
    entity: type
    columns: tuple[str, ...]
    defaults: Mapping[str, Callable[[], Any]]
    staging: Table | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tables that a round writes to, the one that rows end up in first."""
        written = (self.table, self.staging)
        return tuple(str(table.name) for table in written if table is not None)

    def destination(self, session: Session) -> Destination:
        return Destination(
            session.connection, session.driver, self.table, self.entity, self.columns, self.staging
        )


@dataclass(frozen=True, slots=True)
class BoundParent:
    """A table that foreign keys refer to, and how many rows they need there."""

    parent: Parent
    table: Table
    rows: int


@dataclass(frozen=True, slots=True)
class Binding:
    """Everything that a plan needs in one schema; made once per process, since mappers stay.

    ``tables`` are made from what is declared, ``blueprints`` tell by the shape's name how what is
    made like a table is built. Staging tables come last: their columns may be of types made there.
    """

    shapes: Mapping[str, Bound]
    parents: tuple[BoundParent, ...]
    tables: tuple[Table, ...]
    blueprints: Mapping[str, Blueprint]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all tables."""
        staging = (bound.staging for bound in self.shapes.values() if bound.staging is not None)
        plain = tuple(str(table.name) for table in (*self.tables, *staging))
        return plain + tuple(name for b in self.blueprints.values() for name in names_of(b))


def bind(plan: Plan, schema: str) -> Binding:
    """Declare the plan's tables, those that they refer to and the probes' in a schema.

    Shapes not yet read are left out.
    """
    # Rows like those of a table without any key may be alike, which is no mistake here.
    filterwarnings("ignore", "Identity map already had an identity", SAWarning)
    metadata = metadata_for(schema)
    parents = _bind_parents(plan, metadata)
    ready = [shape for shape in plan.shapes if not shape.source or shape.blueprint]
    shapes = {shape.name: _bind_shape(shape, plan, metadata) for shape in ready}
    return Binding(
        shapes,
        parents,
        tables=(
            *(each.table for each in parents),
            *(shapes[shape.name].table for shape in ready if not shape.blueprint),
            *probe_tables(metadata),
            *load_tables(plan.load, metadata),
        ),
        blueprints={shape.name: shape.blueprint for shape in ready if shape.blueprint},
    )


def _bind_parents(plan: Plan, metadata: MetaData) -> tuple[BoundParent, ...]:
    """Each parent once, with as many rows as the case that needs most."""
    found: dict[str, BoundParent] = {}
    for case in plan.cases:
        for parent in case.shape.parents:
            rows = parent.rows(**case.shape_parameters)
            known = found.get(parent.name)
            most = max(rows, known.rows) if known else rows
            found[parent.name] = BoundParent(parent, declare_parent(parent, metadata), most)
    return tuple(found.values())


def _bind_shape(shape: Shape, plan: Plan, metadata: MetaData) -> Bound:
    table = shape.build(metadata)
    # Quoted whatever its name, as the safety contract says; counters know our statements by that.
    table.name = quoted_name(table.name, quote=True)
    base = registry(metadata=metadata).generate_base()
    entity = type(shape.name.title().replace("_", ""), (base,), {"__table__": table})
    parameters = next(c.shape_parameters for c in plan.cases if c.shape.name == shape.name)
    given = tuple(shape.row(0, **parameters))
    defaults = {
        column.name: _filler(column.default)
        for column in table.columns
        if isinstance(column.default, _ClientDefault) and column.name not in given
    }
    columns = given + tuple(defaults)
    wanted = any(c.strategy.staging for c in plan.cases if c.shape.name == shape.name)
    staging = _staging_table(table, columns, metadata) if wanted else None
    return Bound(table, entity, columns, defaults, staging)


def _staging_table(table: Table, columns: Sequence[str], metadata: MetaData) -> Table:
    """The table's columns without keys, defaults and the cost of WAL, as staging tables are."""
    return Table(
        quoted_name(staging_name(table.name), quote=True),
        metadata,
        *(Column(name, table.c[name].type) for name in columns),
        prefixes=["UNLOGGED"],
    )


def extra_indexes(table: Table, extra: Extra, concurrently: bool) -> list[str]:
    """The statements that make an extra's indexes on a table that lacks them."""
    copy = table.to_metadata(MetaData())
    own = set(index_statements(copy, concurrently=concurrently))
    extra.add(copy)
    made = index_statements(copy, concurrently=concurrently)
    return [statement for statement in made if statement not in own]


def _filler(default: _ClientDefault) -> Callable[[], Any]:
    """SQLAlchemy wraps a plain function so that it takes a context; there is none here."""
    if isinstance(default, CallableColumnDefault):
        function: Callable[[Any], Any] = default.arg
        return lambda: function(None)
    return lambda: default.arg


def make_batches(case: Case, bound: Bound, count: int) -> list[Rows]:
    """``count`` rows of the case, in its strategy's form, cut into batches; not timed.

    They come after those that are in the table already, so that no key comes twice. Raises
    ConfigurationError when a row's keys are not the table's columns.
    """
    formed = _in_form(_rows(case, bound, case.prefill, count), case, bound)
    return [formed[at : at + case.batch_size] for at in range(0, count, case.batch_size)]


def prefill_rows(case: Case, bound: Bound, chunk: int) -> Iterator[list[tuple[Any, ...]]]:
    """The rows that are in the case's table before a round's, as tuples, ``chunk`` at a time."""
    for start in range(0, case.prefill, chunk):
        rows = _rows(case, bound, start, min(chunk, case.prefill - start))
        yield _tuples(rows, bound)


def _rows(case: Case, bound: Bound, start: int, count: int) -> list[dict[str, Any]]:
    row, parameters = case.shape.row, case.shape_parameters
    rows = [row(n, **parameters) for n in range(start, start + count)]
    _check_keys(rows, start, bound, case.shape.name)
    return rows


def _in_form(rows: list[dict[str, Any]], case: Case, bound: Bound) -> Rows:
    if case.strategy.row_form == "dicts":
        return rows
    if case.strategy.row_form == "objects":
        return [bound.entity(**row) for row in rows]
    return _tuples(rows, bound)


def _tuples(rows: list[dict[str, Any]], bound: Bound) -> list[tuple[Any, ...]]:
    made = [fill() for _ in rows for fill in bound.defaults.values()]
    width = len(bound.defaults)
    return [(*row.values(), *made[n * width : (n + 1) * width]) for n, row in enumerate(rows)]


def _check_keys(rows: list[dict[str, Any]], start: int, bound: Bound, shape: str) -> None:
    expected = bound.columns[: len(bound.columns) - len(bound.defaults)]
    for n, row in enumerate(rows, start):
        if tuple(row) != expected:
            odd = sorted(set(row) ^ set(expected)) or ["their order"]
            raise ConfigurationError(
                f"shape {shape}: row {n:,} has other keys than row 0 ({', '.join(odd)})."
            )


def expected_rows(case: Case, bound: Bound, batches: Sequence[Rows]) -> int:
    """How many rows the table holds when all batches are in, prefilled ones included."""
    keys = [column.name for column in bound.table.primary_key]
    if not case.strategy.merges or not set(keys) <= set(bound.columns):
        return case.prefill + sum(len(batch) for batch in batches)
    places = [bound.columns.index(key) for key in keys]
    there = prefill_rows(case, bound, _KEYS_AT_ONCE)
    rows = chain(chain.from_iterable(there), chain.from_iterable(batches))
    return len({tuple(_at(row, keys, places)) for row in rows})


def _at(row: Any, keys: Sequence[str], places: Sequence[int]) -> list[Any]:
    if isinstance(row, tuple):
        return [row[place] for place in places]
    return [row[key] if isinstance(row, dict) else getattr(row, key) for key in keys]
