"""Strategies compared: the ways to insert, side by side on one target."""

from __future__ import annotations

from grafana.generator.dashboard import (
    change_points,
    dashboard,
    environment_changes,
    link_to,
    shape,
    strategy,
    target,
)
from grafana.generator.panels import (
    Json,
    bar_chart,
    bar_gauge,
    heatmap,
    override,
    query,
    row,
    table,
    timeseries,
)
from grafana.generator.queries import CASE, CASE_LEGEND, TARGET, increase, of

#: The histogram of rounds knows target and strategy only.
ROUNDS = f'{TARGET},strategy=~"$strategy"'

#: What cases of one strategy and shape differ in.
DIFFER = ("batch_size", "variant")


def build() -> Json:
    return dashboard(
        "strategies",
        "Ingest canary / Strategies compared",
        "Which way to insert is how fast on this target, what it spends its time on, and how that"
        " depends on the batch size.",
        [target(multi=False), strategy(), shape()],
        [*_now(), *_sweeps(), *_batches(), *_over_time()],
        [change_points(), environment_changes()],
    )


def _now() -> list[Json]:
    def clock(name: str) -> Json:
        only = f'{CASE},component="{name}"'
        return query(of("seconds_per_row", only, "component"), instant=True)

    return [
        row("Last run"),
        bar_gauge(
            "Rows per second", "Median of the last run's rounds.",
            query(f"sort_desc({of('rows_per_second', CASE)})", CASE_LEGEND), size=(12, 9),
            unit="rowsps", min=0, color={"mode": "continuous-BlPu"},
        ),
        bar_chart(
            "Where the time of a row goes",
            "Side by side and not stacked: the rest is below zero where client and server work at"
            " the same time.",
            query(f"max by (case, component) ({_named('seconds_per_row', 'strategy', *DIFFER)})",
                  instant=True),
            unit="s",
            transformations=[_matrix("component", "case")],
        ),
        table(
            "All figures", "Medians of the last run; rates with their 95 % interval.",
            query(of("rows_per_second", CASE), instant=True),
            query(of("rows_per_second_low", CASE), instant=True),
            query(of("rows_per_second_high", CASE), instant=True),
            query(of("rows_per_second_fast", CASE), instant=True),
            clock("client"), clock("server"), clock("commit"), clock("rest"),
            query(of("rows_per_call", CASE), instant=True),
            query(of("mean_exec_time_seconds", CASE), instant=True),
            query(of("wal_bytes_per_row", CASE), instant=True),
            size=(24, 9), unit="short",
            columns={
                "strategy": "strategy", "shape": "shape", "batch_size": "batch size",
                "variant": "variant", "Value #A": "Rows/s", "Value #B": "Low", "Value #C": "High",
                "Value #D": "Fast end", "Value #E": "Client", "Value #F": "Server",
                "Value #G": "Commit", "Value #H": "Rest", "Value #I": "Rows per call",
                "Value #J": "Statement", "Value #K": "WAL per row",
                "job": "", "target": "",
            },
            overrides=[
                override("byName", "strategy", links=[link_to(
                    "target", "Its history",
                    "${target:queryparam}&var-strategy=${__data.fields.strategy}")]),
                override("byRegexp", "/^(Rows.s|Low|High|Fast end)$/", unit="rowsps"),
                override("byRegexp", "/^(Client|Server|Commit|Rest|Statement)$/", unit="s"),
                override("byName", "WAL per row", unit="bytes"),
            ],
            sort=[{"displayName": "Rows/s", "desc": True}],
        ),
    ]  # fmt: skip


def _named(metric: str, *labels: str) -> str:
    """A metric with one label ``case`` made of several."""
    names = ", ".join(f'"{label}"' for label in labels)
    return f'label_join(ingest_canary_{metric}{{{CASE}}}, "case", " ", {names})'


def _matrix(column: str, rows: str) -> Json:
    """A table of label values against label values."""
    return {
        "id": "groupingToMatrix",
        "options": {"columnField": column, "rowField": rows, "valueField": "Value"},
    }


def _by_number(label: str) -> list[Json]:
    """Rows of a table in the order of a label that is a number, which stays a text for the axis."""

    def converted(kind: str) -> Json:
        to = {"targetField": label, "destinationType": kind}
        return {"id": "convertFieldType", "options": {"conversions": [to], "fields": {}}}

    rising = {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": label}]}}
    return [converted("number"), rising, converted("string")]


def _sweeps() -> list[Json]:
    """Where more rows per batch, or larger pages, bring no more rows per second."""
    rates = of("sweep_rows_per_second", f'{CASE},parameter="batch_size"')
    return [
        row("Sweeps"),
        bar_chart(
            "Rows per second over batch size",
            "The newest sweep of each strategy over the batch size, made by hand with"
            " ingest-canary sweep. Empty: none was made.",
            query(f"max by (value, strategy) ({rates})", instant=True), unit="rowsps", min=0,
            transformations=[*_by_number("value"), _matrix("strategy", "value")],
        ),
        table(
            "Elbows", "Of the newest sweep of each strategy, shape and parameter: the value from"
            " which on more gains nothing (for a shape's parameter: up to which it costs nothing),"
            " and the rate there.",
            query(of("sweep_elbow", CASE), instant=True),
            query(of("sweep_plateau_rows_per_second", CASE), instant=True),
            query(f"1000 * {of('sweep_timestamp_seconds', CASE)}", instant=True),
            size=(12, 9), unit="short",
            columns={"parameter": "swept", "shape": "shape", "strategy": "strategy",
                     "Value #A": "Elbow", "Value #B": "Plateau", "Value #C": "When",
                     "job": "", "target": ""},
            overrides=[
                override("byName", "Elbow", unit="none"),
                override("byName", "Plateau", unit="rowsps"),
                override("byName", "When", unit="dateTimeFromNow"),
            ],
            sort=[{"displayName": "swept", "desc": False}],
        ),
    ]  # fmt: skip


def _batches() -> list[Json]:
    """What the suite itself measures at several batch sizes."""
    by_batch = f"max by (batch_size, case) ({_named('rows_per_second', 'strategy', 'variant')})"
    return [
        row("Batch size"),
        bar_chart(
            "Rows per second by batch size",
            "Of strategies that the suite measures at several batch sizes: the elbow is where"
            " larger batches bring no more. One group only: the suite has one batch size.",
            query(by_batch, instant=True), unit="rowsps", min=0,
            transformations=[*_by_number("batch_size"), _matrix("case", "batch_size")],
        ),
        table(
            "By batch size and variant", "The same in figures, with what else cases differ in, such"
            " as page_size.",
            query(of("rows_per_second", CASE), instant=True),
            query(of("rows_per_call", CASE), instant=True),
            size=(12, 9), unit="short",
            columns={"strategy": "strategy", "batch_size": "batch size", "variant": "variant",
                     "shape": "shape", "Value #A": "Rows/s", "Value #B": "Rows per call",
                     "job": "", "target": ""},
            overrides=[override("byName", "Rows/s", unit="rowsps")],
            sort=[{"displayName": "strategy", "desc": False}],
        ),
    ]  # fmt: skip


def _over_time() -> list[Json]:
    rates, others = of("rows_per_second", CASE), "(strategy, batch_size, variant)"
    best = f"ignoring {others} group_left () max without {others} ({rates})"
    buckets = increase("insert_duration_seconds_bucket", ROUNDS, "le, strategy")
    return [
        row("Over time"),
        timeseries(
            "Rows per second", "Median of each run's rounds.",
            query(rates, CASE_LEGEND), unit="rowsps", min=0,
        ),
        timeseries(
            "Share of the fastest", "Each case's rate as a share of the fastest one on its shape.",
            query(f"{rates} / {best}", CASE_LEGEND),
            unit="percentunit", min=0, max=1,
        ),
        timeseries(
            "Time of a round", "Median and 95 % quantile of the rounds of an hour, by the buckets"
            " of a histogram: as exact as those are wide.",
            query(f"histogram_quantile(0.5, {buckets})", "{{strategy}} median"),
            query(f"histogram_quantile(0.95, {buckets})", "{{strategy}} 95 %"),
            size=(12, 9), unit="s",
        ),
        heatmap(
            "Rounds by how long they took", "Rounds of an hour, chosen strategies together. Two"
            " humps are two states of the system, a long tail single events.",
            query(increase("insert_duration_seconds_bucket", ROUNDS, "le"), "{{le}}", heat=True),
            unit="s",
        ),
    ]  # fmt: skip
