"""The documents of the read-only API: what each field means, in types that make both the JSON and
its description. Times are UTC, units stand in names, null is not known; ratios are changes of cost.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from monitor.detect.story import told_difference
from monitor.environment import Difference
from monitor.judgement import ChangeKind, Component, Ending, State, Where
from monitor.model import FailureReason, RunOutcome, Trigger

Ratio = Annotated[float, Field(description="New value / old value - 1: 0.31 is 31 % more.")]


class Document(BaseModel):
    """What all documents have in common."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Problem(Document):
    """Why there is no answer."""

    error: str


class CaseStatus(Document):
    """A case as of the last run; its figures are null where that run is too old or has none."""

    id: str = Field(description="What stands for the case in paths.")
    strategy: str
    shape: str
    batch_size: int
    variant: str = Field(description="Other differences from the suite as sorted k=v,k=v.")
    rows: int | None = Field(description="Rows of a round.")
    label: str = Field(description="What the strategy does, for people.")
    state: State | None
    rows_per_second: float | None = Field(description="Median of the rounds.")
    rows_per_second_low: float | None
    rows_per_second_high: float | None
    rows_per_second_fast: float | None = Field(description="Fast end: the level that is judged.")
    baseline_rows_per_second: float | None = Field(description="What the fast end is held against.")
    change_ratio: Ratio | None = Field(
        description="Wall time of a row against its baseline: 0.31 is 31 % dearer."
    )
    detectable_change_ratio: Ratio | None = Field(
        description="Smallest rise of the wall time that 12 runs would tell."
    )
    rows_per_call: float | None
    client_seconds_per_row: float | None
    server_seconds_per_row: float | None
    commit_seconds_per_row: float | None
    rest_seconds_per_row: float | None = Field(
        description="Network and waits; below zero where client and server overlap."
    )
    wal_bytes_per_row: float | None


class DifferenceDocument(Document):
    """One fact that differs between two environments; null where it is absent."""

    part: str
    name: str
    before: str | None
    after: str | None
    text: str = Field(description="The same in a line.")

    @classmethod
    def of(cls, difference: Difference) -> DifferenceDocument:
        """The document of a difference."""
        return cls(
            part=difference.part,
            name=difference.name,
            before=difference.before,
            after=difference.after,
            text=told_difference(difference),
        )


class Evidence(Document):
    """One series that shifted: a signal of a case, or of the target as a whole."""

    change_id: str
    kind: ChangeKind
    case: str | None = Field(description="Id of the case; null for the target as a whole.")
    case_label: str
    signal: str
    effect_ratio: Ratio
    rows_per_second_ratio: Ratio | None
    statistic: float = Field(description="How sure: the GLR's G, in standard deviations.")
    since: AwareDatetime
    since_low: AwareDatetime
    since_high: AwareDatetime
    told_at: AwareDatetime
    component: Component
    where: Where
    strategies: int = Field(description="Strategies that moved together,")
    of: int = Field(description="of so many.")
    ending: Ending | None
    ended_at: AwareDatetime | None


class StoryDocument(Document):
    """Changes that began together, told as one."""

    id: str = Field(description="What `ingest-canary accept` takes.")
    target: str
    sentence: str
    effect: str = Field(description="The signal that moved and by how much, for people.")
    since: AwareDatetime
    since_low: AwareDatetime
    since_high: AwareDatetime
    effect_ratio: Ratio
    rows_per_second_ratio: Ratio | None
    alarming: bool = Field(description="For the worse, and above the floors.")
    cause: str = Field(description="In a word; none_recorded where nothing is known.")
    reason: str = Field(description="The cause for people.")
    differences: list[DifferenceDocument]
    evidence: list[Evidence]
    ending: Ending | None = Field(description="Null while it stands.")
    ended_at: AwareDatetime | None


class RunDocument(Document):
    """A run: its outcome and what disturbed it."""

    id: str
    trigger: Trigger
    started_at: AwareDatetime
    duration_seconds: float
    outcome: RunOutcome
    contended: bool = Field(description="Too disturbed to be judged.")
    rounds: int
    disturbed_rounds: dict[str, int] = Field(description="By what disturbed them.")
    failures: dict[FailureReason, int]
    first_failure: str | None
    wal_bytes: int | None


class EnvironmentDocument(Document):
    """What the last run was made with."""

    fingerprint: str
    server_version: str
    server: dict[str, str] = Field(description="Settings; those not on our list as keyed hashes.")
    client: dict[str, str]
    tables: dict[str, str] = Field(description="Definitions, a line per part.")


class EnvironmentChangeDocument(Document):
    """The first run with another environment than the one before."""

    at: AwareDatetime
    fingerprint_before: str
    fingerprint_after: str
    differences: list[DifferenceDocument]


class TargetSummary(Document):
    """A target in a line."""

    name: str
    state: State | None = Field(
        description="The worst of its cases; regressed too while the target as a whole is."
    )
    up: bool | None
    paused: bool
    measuring: bool
    interval_seconds: float
    round_trip_seconds: float | None
    last_run_id: str | None
    last_run_at: AwareDatetime | None
    last_run_outcome: RunOutcome | None
    last_run_duration_seconds: float | None
    next_run_at: AwareDatetime | None
    consecutive_failures: int
    open_regressions: int
    cases_by_state: dict[State, int]


class TargetDocument(TargetSummary):
    """A target as of its last run."""

    cases: list[CaseStatus]
    open_changes: list[StoryDocument]
    probes: dict[str, float] = Field(description="Median seconds of each probe in the last run.")
    expected_false_alarms_per_month: float | None
    notices: list[str]


class StoreDocument(Document):
    """The store's health."""

    samples: int
    errors: int
    dropped_samples: int
    spooled_samples: int
    size_bytes: int | None


class Status(Document):
    """Everything in short."""

    at: AwareDatetime
    version: str
    python: str
    targets: list[TargetSummary]
    store: StoreDocument | None


class Runs(Document):
    """A target's last runs, newest first."""

    runs: list[RunDocument]


class Changes(Document):
    """A target's changes, those that stand and those that ended, newest first."""

    changes: list[StoryDocument]


class Environments(Document):
    """A target's environment, and its last changes, newest first."""

    environment: EnvironmentDocument | None
    changes: list[EnvironmentChangeDocument]


class SweepPoint(Document):
    """One value of a strategy's sweep; figures are null where no round of it was valid."""

    value: int
    rounds: int
    failures: int
    rows_per_second: float | None = Field(description="Median of the rounds.")
    rows_per_second_low: float | None
    rows_per_second_high: float | None
    rows_per_second_fast: float | None = Field(description="The fastest round.")
    sags: bool = Field(description="Whether later batches took longer than the first ones.")


class SweepCurve(Document):
    """A strategy's rate by value, beside the last sweep of the same kind if that had it."""

    strategy: str
    points: list[SweepPoint]
    elbow: int | None = Field(description="The value where the plateau begins.")
    plateau_rows_per_second: float | None
    elbow_before: int | None
    plateau_change_ratio: float | None = Field(
        description="New plateau / old plateau - 1: -0.1 is 10 % fewer rows per second."
    )


class SweepDocument(Document):
    """Throughput over one number, as `ingest-canary sweep` found it."""

    id: str
    started_at: AwareDatetime
    subject: str = Field(description="What sweeps must have in common to be compared.")
    over: str = Field(description="The number that was varied.")
    shape: str
    rows: int | None = Field(description="Rows of a round; null where they were varied.")
    rounds: int
    rising: bool = Field(description="Whether rates rise to a plateau with the value, or fall.")
    values: list[int]
    curves: list[SweepCurve]
    server_version: str | None
    before_at: AwareDatetime | None = Field(description="The last one of its kind, if any.")
    differences: list[DifferenceDocument] = Field(description="Of the environment, since then.")


class Sweeps(Document):
    """A target's last sweeps, newest first."""

    sweeps: list[SweepDocument]


class Points(Document):
    """A case's runs of the last seven days, before them hours: a list of values per point, by the
    names in ``columns``, oldest first."""

    columns: list[str]
    points: list[list[float | None]]
