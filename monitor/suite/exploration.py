"""Plans measured once: sweeps over a parameter, and cases with and without extras. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from monitor.config.suite import CaseSettings, SuiteSettings
from monitor.errors import ConfigurationError
from monitor.model import Case, CaseKey, IndexBuild, Plan, Transaction
from monitor.suite.catalog import Catalog
from monitor.suite.extras import rebuilt, with_extra
from monitor.suite.plan import lookup, resolve
from monitor.workload import Extra, Shape

#: Values that are swept where none are given; what is not here needs some.
DEFAULT_VALUES: Mapping[str, tuple[int, ...]] = {
    "batch_size": (100, 500, 1_000, 2_000, 5_000, 10_000, 25_000),
    "page_size": (100, 500, 1_000, 2_000, 5_000, 10_000),
    "width": (20, 50, 100, 200, 500, 1_000, 2_000),
    "rows": (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000),
}

#: Rows per round, and those where every row is swept to be large.
DEFAULT_ROWS = 100_000
DEFAULT_ROWS_OF_SHAPE = 20_000

#: A value counts as on the plateau if it reaches all but this share of it. Curves rise ever more
#: slowly: at half the share, sweeps repeated on one machine named values two steps apart.
TOLERANCE = 0.1
#: A plateau that moved by less from one sweep to the next did so by chance as likely as not.
PLATEAU_NOISE = 0.05

#: Whether throughput is expected to rise with the value up to a plateau, or to fall from one.
Trend = Literal["rising", "falling"]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What all cases of an exploration have in common; None: by default."""

    strategies: tuple[str, ...] = ()
    shape: str | None = None
    rows: int | None = None
    rounds: int = 5
    batch_size: int | None = None
    transaction: Transaction = "round"
    prefill: int = 0


@dataclass(frozen=True, slots=True)
class Sweep:
    """A plan whose cases differ, by strategy, in one number only."""

    over: str
    trend: Trend
    values: tuple[int, ...]
    shape: str
    rows: int
    plan: Plan
    value_of: Mapping[CaseKey, int]
    subject: str


def sweep(
    over: str, values: Sequence[int], conditions: Conditions, suite: SuiteSettings, catalog: Catalog
) -> Sweep:
    """The cases of every strategy at every value.

    Raises ConfigurationError for what cannot be swept, a value twice or out of range, and whatever
    ``plan.resolve`` refuses.
    """
    shape = lookup(catalog.shapes, conditions.shape or _shape_with(over, catalog), "shape")
    of_shape = over in shape.parameters
    strategies = _strategies(over, of_shape, conditions, suite, catalog)
    rows = conditions.rows or (DEFAULT_ROWS_OF_SHAPE if of_shape else DEFAULT_ROWS)
    chosen = _values(over, values, rows)
    cases, value_of = [], {}
    for name in strategies:
        for value in chosen:
            settings = _swept(name, over, value, of_shape, shape.name, conditions)
            case = resolve_one(settings, suite, catalog, rows)
            cases.append(case)
            value_of[case.key] = value
    plan = Plan(tuple(cases), conditions.rounds)
    trend: Trend = "falling" if of_shape else "rising"
    subject = _subject(over, shape.name, rows, conditions)
    return Sweep(over, trend, chosen, shape.name, rows, plan, value_of, subject)


def _subject(over: str, shape: str, rows: int, conditions: Conditions) -> str:
    """What two sweeps must have in common to be compared, strategies and values aside."""
    parts = [f"{over} on {shape}"]
    if over != "rows":
        parts.append(f"rows {rows}")
    if conditions.batch_size and over != "batch_size":
        parts.append(f"batch_size {conditions.batch_size}")
    if conditions.transaction != "round":
        parts.append(f"transaction {conditions.transaction}")
    if conditions.prefill:
        parts.append(f"prefill {conditions.prefill}")
    return ", ".join(parts)


def resolve_one(settings: CaseSettings, suite: SuiteSettings, catalog: Catalog, rows: int) -> Case:
    """One case of an exploration, its rows not those of the suite. Raises ConfigurationError."""
    alone = suite.model_copy(update={"cases": (settings,), "rows": rows})
    return resolve(alone, catalog).cases[0]


def _shape_with(over: str, catalog: Catalog) -> str:
    """``orders``, or the first plain shape that has such a parameter."""
    if over in catalog.shapes["orders"].parameters:
        return "orders"
    plain = (shape for shape in catalog.shapes.values() if shape.plain is None)
    return next((shape.name for shape in plain if over in shape.parameters), "orders")


def _strategies(
    over: str, of_shape: bool, conditions: Conditions, suite: SuiteSettings, catalog: Catalog
) -> list[str]:
    names = conditions.strategies or tuple({case.strategy: None for case in suite.cases})
    found = [lookup(catalog.strategies, name, "strategy") for name in dict.fromkeys(names)]
    if over in ("batch_size", "rows") or of_shape:
        return [strategy.name for strategy in found]
    able = [strategy.name for strategy in found if over in strategy.parameters]
    if not able:
        known = {name for each in catalog.strategies.values() for name in each.parameters}
        known |= {name for each in catalog.shapes.values() for name in each.parameters}
        takes = ", ".join(sorted(known | {"batch_size", "rows"}))
        raise ConfigurationError(
            f"--over {over}: no strategy chosen and not the shape has it; known: {takes}."
        )
    return able


def _values(over: str, given: Sequence[int], rows: int) -> tuple[int, ...]:
    chosen = tuple(given) or DEFAULT_VALUES.get(over, ())
    if not chosen:
        raise ConfigurationError(f"--over {over}: give the values, such as --values 1,10,100.")
    if over == "batch_size":
        large = [value for value in chosen if value > rows]
        if large and given:
            raise ConfigurationError(
                f"--values: batch_size {large[0]:,} is more than {rows:,} rows; raise --rows."
            )
        chosen = tuple(value for value in chosen if value <= rows)
    if len(set(chosen)) < len(chosen) or len(chosen) < 2:
        raise ConfigurationError("--values: give two values or more, each once.")
    return tuple(sorted(chosen))


def _swept(
    strategy: str, over: str, value: int, of_shape: bool, shape: str, conditions: Conditions
) -> CaseSettings:
    own = over not in ("batch_size", "rows")
    batch_size = conditions.batch_size if over != "batch_size" else value
    return CaseSettings(
        strategy=strategy,
        parameters={over: value} if own and not of_shape else {},
        shape=shape,
        shape_parameters={over: value} if of_shape else {},
        rows=value if over == "rows" else None,
        batch_size=batch_size,
        transaction=conditions.transaction,
        prefill=conditions.prefill,
    )


# --- with and without ----------------------------------------------------------------------------

#: Ways in which rows reach an index: one by one, many in a statement, as a stream.
OVERHEAD_STRATEGIES = ("core_executemany", "core_insertmanyvalues", "asyncpg_copy")
#: Row counts at which loading with indexes is compared with building them afterwards.
REBUILD_ROWS = (1_000, 5_000, 20_000, 50_000, 100_000)


def overhead_plan(
    names: Iterable[str], conditions: Conditions, suite: SuiteSettings, catalog: Catalog
) -> Plan:
    """Every strategy on the plain shape and on that with each of the extras.

    No names: all that the shape declares. Raises ConfigurationError for an unknown one.
    """
    shape = lookup(catalog.shapes, conditions.shape or "orders", "shape")
    extras = chosen_extras(shape, tuple(names))
    shapes = [shape.name, *(with_extra(shape, extra).name for extra in extras)]
    rows = conditions.rows or suite.rows
    cases = [
        resolve_one(_plain(strategy, name, None, conditions), suite, catalog, rows)
        for strategy in conditions.strategies or OVERHEAD_STRATEGIES
        for name in shapes
    ]
    return Plan(tuple(cases), conditions.rounds)


def rebuild_plan(
    names: Iterable[str],
    counts: Sequence[int],
    builds: Sequence[IndexBuild],
    conditions: Conditions,
    suite: SuiteSettings,
    catalog: Catalog,
) -> Plan:
    """For each row count: with the extras' indexes, and without them but built afterwards.

    Raises ConfigurationError for an extra that is no index.
    """
    shape = lookup(catalog.shapes, conditions.shape or "orders", "shape")
    extras = chosen_extras(shape, tuple(names), only_indexes=True)
    cases: list[Case] = []
    for strategy in conditions.strategies or OVERHEAD_STRATEGIES:
        for rows in sorted(set(counts)):
            for extra in extras:
                settings = _plain(strategy, with_extra(shape, extra).name, rows, conditions)
                indexed = resolve_one(settings, suite, catalog, max(counts))
                after = rebuilt(shape, extra)
                cases += [indexed, *(_built_after(indexed, after, build) for build in builds)]
    return Plan(tuple(cases), conditions.rounds)


def _built_after(indexed: Case, shape: Shape, build: IndexBuild) -> Case:
    variant = ",".join(sorted([*filter(None, indexed.variant.split(",")), f"build={build}"]))
    return replace(indexed, shape=shape, build=build, variant=variant)


def _plain(strategy: str, shape: str, rows: int | None, conditions: Conditions) -> CaseSettings:
    return CaseSettings(
        strategy=strategy,
        shape=shape,
        rows=rows,
        batch_size=conditions.batch_size,
        transaction=conditions.transaction,
        prefill=conditions.prefill,
    )


def chosen_extras(
    shape: Shape, names: tuple[str, ...], *, only_indexes: bool = False
) -> list[Extra]:
    """Some of a shape's extras by name, or all. Raises ConfigurationError."""
    known = {
        extra.name: extra for extra in shape.extras if extra.kind == "index" or not only_indexes
    }
    kind = "indexes" if only_indexes else "indexes or foreign keys"
    if not known:
        raise ConfigurationError(f"shape {shape.name} declares no {kind}.")
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"shape {shape.name} declares no '{name}'; its {kind}: {', '.join(known)}."
            )
    return [known[name] for name in dict.fromkeys(names)] or list(known.values())


#: Rows that show how statements are formed: two full pages of insertmanyvalues.
EXPLAIN_ROWS = 2_000


def explain_cases(
    suite: SuiteSettings,
    catalog: Catalog,
    strategies: tuple[str, ...] = (),
    shape: str | None = None,
    rows: int = EXPLAIN_ROWS,
) -> Plan:
    """The suite's cases of the strategies; with ``shape`` each strategy once on that instead.

    Raises ConfigurationError as ``plan.resolve`` does.
    """
    if shape is not None:
        names = strategies or tuple({case.strategy: None for case in suite.cases})
        cases = tuple(CaseSettings(strategy=name, shape=shape) for name in dict.fromkeys(names))
        suite = suite.model_copy(update={"cases": cases})
    return resolve(suite.model_copy(update={"rows": rows}), catalog, strategies)
