"""Target: one canary database in full."""

from __future__ import annotations

from grafana.generator.dashboard import (
    change_points,
    dashboard,
    environment_changes,
    shape,
    strategy,
    target,
)
from grafana.generator.overview import BAD_FROM_ONE, VERDICTS
from grafana.generator.panels import (
    Json,
    mapped,
    override,
    query,
    row,
    stat,
    state_timeline,
    steps,
    table,
    timeseries,
)
from grafana.generator.queries import (
    CASE,
    CASE_LEGEND,
    JOB,
    TARGET,
    against_baseline,
    of,
    regressed_cases,
    state_code,
)

OF_STRATEGY = "{{shape}} {{batch_size}} {{variant}}"


def build() -> Json:
    return dashboard(
        "target",
        "Ingest canary / Target",
        "One canary database: rates with baseline and interval, where the time of a row goes, the"
        " work done for it, and what changed when.",
        [target(multi=False), strategy(), shape()],
        [*_now(), *_rates(), *_clocks(), *_detector(), *_work(), *_surroundings()],
        [change_points(), environment_changes()],
        hours=48,
    )


def _now() -> list[Json]:
    last = f'ingest_canary_last_run_timestamp_seconds{{{TARGET},outcome=~"ok|partial"}}'
    return [
        stat("Verdict", "The worst verdict over the chosen cases.",
             query(state_code(CASE, "target"), "verdict"), unit="short", mappings=VERDICTS),
        stat("Up", "Whether the last look at the database reached it.",
             query(f"max(ingest_canary_up{{{TARGET}}})"), unit="short",
             mappings=mapped({"0": ("down", "red"), "1": ("up", "green")})),
        stat("Cases regressed", "Chosen cases in a confirmed regression that nobody accepted.",
             query(f"sum({regressed_cases(CASE)})"), unit="short", thresholds=BAD_FROM_ONE),
        stat("Worst rate", "Rate of the worst chosen case as a share of its frozen baseline.",
             query(f"min({against_baseline(CASE)})"), unit="percentunit", decimals=1,
             thresholds=steps((None, "red"), (0.75, "orange"), (0.95, "green"))),
        stat("Last run", "When the last run ended that measured anything.",
             query(f"1000 * max({last})"), unit="dateTimeFromNow"),
        stat("Next run", "When the next run is due.",
             query(f"1000 * max(ingest_canary_next_run_timestamp_seconds{{{TARGET}}})"),
             unit="dateTimeFromNow"),
    ]  # fmt: skip


def _rates() -> list[Json]:
    lines = {
        "": "rows_per_second",
        " low": "rows_per_second_low",
        " high": "rows_per_second_high",
        " fast end": "rows_per_second_fast",
        " baseline": "baseline_rows_per_second",
    }
    thin = {"fill": "dash", "dash": [2, 4]}
    return [
        row("Rows per second"),
        timeseries(
            "$strategy",
            "Median of each run's rounds with its 95 % interval (dotted); the fast end, which is"
            " judged; and the frozen baseline that it is judged against (dashed).",
            *(query(of(metric, CASE), OF_STRATEGY + name) for name, metric in lines.items()),
            size=(8, 8), unit="rowsps", repeat="strategy", legend="list", calcs=[],
            overrides=[
                override("byRegexp", "/ (low|high)$/", custom__lineStyle=thin),
                override("byRegexp", "/ baseline$/", custom__lineWidth=2,
                         custom__lineStyle={"fill": "dash", "dash": [10, 10]}),
            ],
        ),
    ]  # fmt: skip


def _clocks() -> list[Json]:
    clocks = {
        "client": "CPU of the inserting thread.",
        "server": "Execution on the server, by pg_stat_statements.",
        "commit": "The wait for COMMIT, which no statement statistic counts.",
        "rest": "What is left of the wall time: network and waits. Below zero where client and"
        " server work at the same time, as in COPY.",
    }
    return [
        row("Where the time of a row goes"),
        *(
            timeseries(
                f"{clock.capitalize()} per row", text,
                query(of("seconds_per_row", f'{CASE},component="{clock}"'), CASE_LEGEND), unit="s",
            )
            for clock, text in clocks.items()
        ),
    ]  # fmt: skip


def _detector() -> list[Json]:
    floor = "max(ingest_canary_threshold{" + JOB + ',name="regression_floor_ratio"})'
    scopes = of("target_regressed", TARGET)
    return [
        row("What the detector says"),
        state_timeline(
            "Verdict by case", "The verdict on each case over time.",
            query(state_code(CASE, "strategy, shape, batch_size, variant"), CASE_LEGEND),
            size=(12, 10), unit="short", mappings=VERDICTS,
        ),
        timeseries(
            "Effect by signal",
            "How much dearer the dearest chosen case is now than at its frozen baseline, by signal:"
            " 10 % is a tenth more time or work per row. Floor: what is the least to alarm.",
            query(f"max by (signal) (ingest_canary_change_ratio{{{CASE}}})", "{{signal}}"),
            query(floor, "floor"),
            size=(12, 10), unit="percentunit",
            overrides=[override("byName", "floor",
                                custom__lineStyle={"fill": "dash", "dash": [10, 10]})],
        ),
        state_timeline(
            "Server, host and network", "Whether the server, the daemon's host or the way between"
            " them is slower as a whole, by the probes and the median over all strategies.",
            query(scopes, "{{scope}}"), size=(12, 7), unit="short",
            mappings=mapped({"0": ("ok", "green"), "1": ("slower", "red")}),
        ),
        table(
            "Open changes", "Signals whose level shifted and stands: since when, and by how much.",
            query(f"1000 * {of('change_point_timestamp_seconds', CASE)}", instant=True),
            query(of("change_ratio", CASE), instant=True),
            query(of("regressed", CASE), instant=True),
            size=(12, 7), unit="short",
            columns={"strategy": "strategy", "shape": "shape", "batch_size": "batch size",
                     "variant": "variant", "signal": "signal", "Value #A": "Since",
                     "Value #B": "Effect", "Value #C": "Regression", "job": "", "target": ""},
            overrides=[
                override("byName", "Since", unit="dateTimeFromNow"),
                override("byName", "Effect", unit="percentunit", decimals=1),
                override("byName", "Regression", custom__cellOptions={"type": "color-text"},
                         mappings=mapped({"0": ("no", "text"), "1": ("yes", "red")})),
            ],
            sort=[{"displayName": "Since", "desc": True}],
        ),
    ]  # fmt: skip


def _work() -> list[Json]:
    return [
        row("Work per row"),
        timeseries("Rows per call", "Rows that a statement inserts, by pg_stat_statements. One"
                   " means no batching.", query(of("rows_per_call", CASE), CASE_LEGEND),
                   size=(8, 8), unit="short", log=True),
        timeseries("WAL per row", "Bytes of WAL that a row's insert writes. On identical rounds it"
                   " does not vary: a step is an index, a trigger, a setting.",
                   query(of("wal_bytes_per_row", CASE), CASE_LEGEND), size=(8, 8), unit="bytes"),
        timeseries("Time of a statement", "Mean execution time of a statement, by"
                   " pg_stat_statements.", query(of("mean_exec_time_seconds", CASE), CASE_LEGEND),
                   size=(8, 8), unit="s", log=True),
        timeseries("Cost of each index", "Wall time with the index over that without it, minus 1,"
                   " measured in pairs. 30 % is 30 % slower.",
                   query(of("index_overhead_ratio", CASE), "{{index}} {{strategy}}"),
                   unit="percentunit", min=0),
        timeseries("Cost of each foreign key", "Wall time with the foreign key over that without"
                   " it, minus 1, measured in pairs.",
                   query(of("foreign_key_overhead_ratio", CASE), "{{foreign_key}} {{strategy}}"),
                   unit="percentunit", min=0),
    ]  # fmt: skip


def _surroundings() -> list[Json]:
    changed = f"1000 * max(ingest_canary_environment_changed_timestamp_seconds{{{TARGET}}})"
    return [
        row("Server, host, network, environment"),
        timeseries("Probes", "Small fixed workloads: a loop on the client's CPU, a round trip, an"
                   " insert on the server alone, a commit. What moves here is no strategy's doing.",
                   query(of("probe_seconds", TARGET), "{{probe}}"), unit="s", log=True),
        timeseries("Round trip", "The fastest of five SELECT 1, between runs.",
                   query(of("round_trip_seconds", TARGET), "round trip"), unit="s", min=0),
        table("Environment", "What the last run was made with. The fingerprint is one for all"
              " settings, versions and table definitions.",
              query(of("environment_info", TARGET), instant=True), size=(20, 5), unit="short",
              columns={"server_version": "PostgreSQL", "sqlalchemy": "SQLAlchemy",
                       "asyncpg": "asyncpg", "python": "Python", "fingerprint": "fingerprint",
                       "Value": "", "job": "", "target": ""}),
        stat("Environment changed", "Start of the first run with the present fingerprint.",
             query(changed), (4, 5), unit="dateTimeFromNow", noValue="not seen to"),
    ]  # fmt: skip
