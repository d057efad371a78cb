"""Settings of what a run consists of, and of what it may cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import (
    BeforeValidator,
    ByteSize,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    model_validator,
)

from monitor.config.dsn import check_dsn
from monitor.config.fields import Duration, PositiveInt, Section, read_secret
from monitor.model import Limits, Load, Transaction
from monitor.source import Source
from monitor.workload import Value


def _scalar(value: object) -> object:
    if not isinstance(value, int | float | str | bool):
        raise ValueError("must be a number, a text, true or false")
    return value


Parameter = Annotated[Value, BeforeValidator(_scalar)]


class FromTableSettings(Section):
    """A shape made like an existing table; none of its rows is read."""

    from_table: Annotated[str, Field(min_length=1)]
    """The table as written in SQL, schema included, such as public.orders. Its columns, defaults,
    keys, indexes, checks and partitions are read once per process, and of its statistics distinct
    counts, null shares and widths."""
    dsn: SecretStr | None = None
    """URL of the database that it is in; default: the target's own. Secret as a whole."""
    dsn_file: Path | None = None
    """File that holds that URL, for mounted secrets; read at start."""
    name: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    """What the shape is called; default: the table's name as written."""

    @model_validator(mode="after")
    def _one_dsn(self) -> FromTableSettings:
        if self.dsn is not None and self.dsn_file is not None:
            raise ValueError("give at most one of dsn and dsn_file")
        dsn = self.read_dsn()
        if dsn is not None:
            check_dsn(dsn)
        return self

    def read_dsn(self) -> str | None:
        """The DSN itself, from the setting or from the file; None: the target's."""
        return read_secret(self.dsn, self.dsn_file, "dsn_file")

    def source(self) -> Source:
        """What is to be read, and how the shape is called."""
        return Source(self.from_table, self.name or self.from_table, self.read_dsn())


def _shape_form(value: object) -> str:
    return FORMS[1] if isinstance(value, dict | FromTableSettings) else FORMS[0]


#: How a shape is given; parts of an error's place that are no part of the user's file.
FORMS = ("a shape's name", "a table")
ShapeSettings = Annotated[
    Annotated[str, Tag(FORMS[0])] | Annotated[FromTableSettings, Tag(FORMS[1])],
    Discriminator(_shape_form),
]


class CaseSettings(Section):
    """One case of the suite; absent values are the suite's or the strategy's own."""

    strategy: str
    """Name of a strategy of the catalogue."""
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    """The strategy's own parameters, such as page_size."""
    shape: ShapeSettings = "orders"
    """Name of a shape of the catalogue, or {from_table = "…"}: one made like an existing table."""
    shape_parameters: dict[str, Parameter] = Field(default_factory=dict)
    """The shape's own parameters, such as customers or width."""
    rows: PositiveInt | None = None
    """Rows per round; default: the suite's."""
    batch_size: PositiveInt | None = None
    """Rows per call of the strategy; default: all rows of the round in one call."""
    transaction: Transaction = "round"
    """"round": one transaction for all batches; "batch": one for each, so that commits are felt."""
    prefill: Annotated[int, Field(ge=0)] = 0
    """Rows that are in the table before each round; the first of the shape's, written untimed."""


def _default_cases() -> tuple[CaseSettings, ...]:
    """The six strategies, and COPY with a commit per 1,000 rows: one commit per 20,000 rows would
    hide what a slow disk or a synchronous standby does. And COPY again on a table with one B-tree
    more: of all ways it leaves most of the time to the server, so it shows best what that costs."""
    six = (
        "orm_add_all",
        "orm_bulk",
        "core_executemany",
        "core_insertmanyvalues",
        "asyncpg_unnest",
        "asyncpg_copy",
    )
    committing = CaseSettings(strategy="asyncpg_copy", batch_size=1000, transaction="batch")
    indexed = CaseSettings(strategy="asyncpg_copy", shape="orders_customer_idx")
    return (*(CaseSettings(strategy=name) for name in six), committing, indexed)


class LoadSettings(Section):
    """Other clients' work during a run, so that it is measured as under production's traffic."""

    clients: Annotated[int, Field(ge=0, le=64)] = 0
    """How many clients, each with a session of its own, in a process of their own. 0: none. The
    role that `role-sql` makes may have 8 sessions in all."""
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Statements per second of all clients together; default: as fast as they can."""
    sql: Annotated[str, Field(min_length=1)] | None = None
    """One statement on {table} (a shape's table), {load} (a table for it to write to, with columns
    id and payload and 10,000 rows) and {n} (a number below rows); default: point reads."""

    @model_validator(mode="after")
    def _often_enough(self) -> LoadSettings:
        # The server ends sessions of ours that are idle for two minutes.
        if self.rate is not None and self.clients > 60 * self.rate:
            raise ValueError("each client would do less than a statement a minute; raise rate")
        return self

    def load(self) -> Load | None:
        """The load, if there is to be one."""
        return Load(self.clients, self.rate, self.sql) if self.clients else None


class SuiteSettings(Section):
    """What a run consists of."""

    rows: PositiveInt = 20_000
    """Rows per round. 20,000: large enough that COPY shows its rate, small enough for 5 s a run."""
    rounds: PositiveInt = 5
    """Rounds of each case in a run. 5: their minimum is the steadiest estimate for its cost."""
    cases: tuple[CaseSettings, ...] = Field(default_factory=_default_cases, min_length=1)
    """The cases; default: the six strategies on `orders`, COPY committing every 1,000 rows, and
    COPY on `orders_customer_idx`, which has an index on customer_id."""
    plugins: tuple[Path, ...] = ()
    """Python files with strategies or shapes of your own."""
    load: LoadSettings = LoadSettings()
    """Other clients' work during a run; default: none."""


class LimitSettings(Section):
    """Bounds on what a run may cost the canary."""

    round_timeout: Duration = 60.0
    """Seconds that a round may take before it is given up as a failure."""
    run_timeout: Duration = 900.0
    """Seconds that a run may take before it is ended."""
    max_table_bytes: ByteSize = ByteSize(1 << 30)
    """Peak size of a canary table with its indexes, in bytes."""
    max_wal_bytes_per_day: ByteSize = ByteSize(32 << 30)
    """WAL that our runs may write in any 24 hours, in bytes, by what was measured."""

    def limits(self) -> Limits:
        return Limits(
            self.round_timeout, self.run_timeout, self.max_table_bytes, self.max_wal_bytes_per_day
        )
