"""Resolve the configured suite against the catalogue: pure, and where a wrong suite is refused."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from sqlalchemy import MetaData, Table

from monitor.config.dsn import EXECUTEMANY_MODE
from monitor.config.suite import CaseSettings, SuiteSettings
from monitor.errors import ConfigurationError
from monitor.model import Case, Plan
from monitor.source import Source
from monitor.suite.catalog import Catalog
from monitor.suite.foreign_code import foreign_code
from monitor.workload import Shape, Strategy, Value

Named = TypeVar("Named", Strategy, Shape)


def resolve(suite: SuiteSettings, catalog: Catalog, only: Iterable[str] = ()) -> Plan:
    """Turn settings into a plan; ``only`` narrows it to the named strategies.

    Raises ConfigurationError naming the strategy, shape or parameter that does not exist, the row
    key that is no column, or the case that stands in the suite twice.
    """
    wanted = tuple(only)
    for name in wanted:
        lookup(catalog.strategies, name, "strategy")
    cases = [_case(settings, suite, catalog) for settings in suite.cases]
    if wanted:
        cases = _narrow(cases, wanted, suite, catalog)
    _reject_duplicates(cases)
    _reject_ambiguous(cases)
    return Plan(cases=tuple(cases), rounds=suite.rounds, load=suite.load.load())


def _narrow(
    cases: list[Case], wanted: tuple[str, ...], suite: SuiteSettings, catalog: Catalog
) -> list[Case]:
    """The suite's cases of the wanted strategies; one with defaults where the suite has none."""
    kept = [case for case in cases if case.strategy.name in wanted]
    missing = set(wanted) - {case.strategy.name for case in kept}
    added = [_case(CaseSettings(strategy=name), suite, catalog) for name in sorted(missing)]
    return kept + added


def _case(settings: CaseSettings, suite: SuiteSettings, catalog: Catalog) -> Case:
    strategy = lookup(catalog.strategies, settings.strategy, "strategy")
    shape = _shape(settings, catalog)
    parameters = _parameters(strategy, settings.parameters)
    shape_parameters = _parameters(shape, settings.shape_parameters)
    if shape.source is None:
        check_row(shape, shape_parameters)
    rows = settings.rows or suite.rows
    if settings.rows and settings.batch_size and settings.batch_size > rows:
        raise ConfigurationError(
            f"{strategy.name}: batch_size {settings.batch_size:,} is more than the case's"
            f" {rows:,} rows; lower it or raise rows."
        )
    return Case(
        strategy=strategy,
        parameters=parameters,
        shape=shape,
        shape_parameters=shape_parameters,
        rows=rows,
        batch_size=min(settings.batch_size or rows, rows),
        transaction=settings.transaction,
        prefill=settings.prefill,
        variant=_variant(settings, strategy, shape, suite.rows),
    )


def _shape(settings: CaseSettings, catalog: Catalog) -> Shape:
    """The catalogue's shape; or one that a table will be read for before it is measured."""
    if isinstance(settings.shape, str):
        return lookup(catalog.shapes, settings.shape, "shape")
    source = settings.shape.source()
    if source.name in catalog.shapes:
        raise ConfigurationError(
            f"from_table {source.table}: the name '{source.name}' is that of another shape; give it"
            " another name."
        )
    return Shape(source.name, f"Like {source.table}", _unread, _unread, {}, source=source)


def _unread(*_: object, **__: object) -> Any:
    raise ConfigurationError("a shape made like a table cannot be used before the table is read.")


def _reject_ambiguous(cases: Iterable[Case]) -> None:
    """Two tables, or one of two databases, must not go by one name."""
    known: dict[str, Source] = {}
    for source in (case.shape.source for case in cases):
        if source is not None and known.setdefault(source.name, source) != source:
            raise ConfigurationError(
                f"from_table: two tables are called '{source.name}'; give one of them another name."
            )


def lookup(known: Mapping[str, Named], name: str, kind: str) -> Named:
    """The strategy or shape of that name. Raises ConfigurationError naming the nearest."""
    if name in known:
        return known[name]
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{nearest[0]}'?" if nearest else f"known: {', '.join(sorted(known))}."
    raise ConfigurationError(f"unknown {kind} '{name}'; {hint}")


def _parameters(of: Strategy | Shape, given: Mapping[str, Value]) -> dict[str, Value]:
    for name, value in given.items():
        if name == "executemany_mode":
            raise ConfigurationError(f"{of.name}: {EXECUTEMANY_MODE}.")
        if name not in of.parameters:
            takes = ", ".join(sorted(of.parameters)) or "none"
            raise ConfigurationError(f"{of.name} has no parameter '{name}'; it takes: {takes}.")
        _check_value(of, name, value)
    return dict(of.parameters) | dict(given)


def _check_value(of: Strategy | Shape, name: str, value: Value) -> None:
    default = of.parameters[name]
    if type(value) is not type(default):
        raise ConfigurationError(
            f"{of.name}: parameter '{name}' takes {type(default).__name__}, not"
            f" {type(value).__name__}."
        )
    if isinstance(value, int) and not isinstance(value, bool) and value <= 0:
        raise ConfigurationError(f"{of.name}: parameter '{name}' must be greater than 0.")


def _variant(settings: CaseSettings, strategy: Strategy, shape: Shape, suite_rows: int) -> str:
    """Every difference from the defaults, so that two cases never share a key by accident."""
    differences: dict[str, Value] = {
        name: value
        for of, given in ((strategy, settings.parameters), (shape, settings.shape_parameters))
        for name, value in given.items()
        if value != of.parameters[name]
    }
    if settings.rows and settings.rows != suite_rows:
        differences["rows"] = settings.rows
    if settings.prefill:
        differences["prefill"] = settings.prefill
    if settings.transaction != "round":
        differences["transaction"] = settings.transaction
    return ",".join(f"{name}={value}" for name, value in sorted(differences.items()))


def check_row(shape: Shape, parameters: Mapping[str, Value]) -> None:
    """Raise ConfigurationError unless the shape's rows have exactly the columns they must have.

    The server would answer a wrong key with a syntax error, SQLAlchemy with a traceback.
    """
    with foreign_code(f"shape {shape.name}", "cannot be used"):
        table, row = shape.build(MetaData()), shape.row(0, **parameters)
        known, keys = {column.name for column in table.columns}, {str(name) for name in dict(row)}
    unknown = sorted(keys - known)
    if unknown:
        raise ConfigurationError(
            f"shape {shape.name}: its rows have '{unknown[0]}', which is no column of the table;"
            f" columns: {', '.join(sorted(known))}."
        )
    missing = sorted(_required(table) - keys)
    if missing:
        raise ConfigurationError(
            f"shape {shape.name}: its rows lack '{missing[0]}', which the table requires."
        )


def _required(table: Table) -> set[str]:
    return {
        column.name
        for column in table.columns
        if not column.nullable
        and column.default is None
        and column.server_default is None
        and not column.primary_key
    }


def _reject_duplicates(cases: Iterable[Case]) -> None:
    key, count = Counter(case.key for case in cases).most_common(1)[0]
    if count > 1:
        raise ConfigurationError(f"the suite has {key} {count} times; remove one.")
