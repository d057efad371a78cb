"""Overview: are all targets well, what regressed, since when?"""

from __future__ import annotations

from grafana.generator.dashboard import (
    change_points,
    dashboard,
    environment_changes,
    link_to,
    target,
)
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
    CODES,
    STATES,
    TARGET,
    against_baseline,
    of,
    regressed_cases,
    since,
    state_code,
)

#: Codes of states as people read them.
VERDICTS = mapped({str(code): (state, STATES[state]) for state, code in CODES.items()})
BAD_FROM_ONE = steps((None, "green"), (1, "red"))
INFO = of("regression_info", TARGET)
SUSPECT = f'{TARGET},state="suspect"'

#: Prometheus' own account of the alerts; details (info) are left out where they are counted.
FIRING = 'ALERTS{alertname=~"IngestCanary.+",alertstate="firing"}'
CALLING = 'ALERTS{alertname=~"IngestCanary.+",alertstate="firing",severity!="info"}'

TO_TARGET = [link_to("target", "Open the target", "var-target=${__data.fields.target}")]


def build() -> Json:
    return dashboard(
        "overview",
        "Ingest canary / Overview",
        "All canary databases: which are well, which became slower, since when, and why.",
        [target(multi=True)],
        [*_numbers(), *_now(), *_over_time()],
        [change_points(TARGET), environment_changes()],
    )


def _count(expression: str) -> str:
    return f"count({expression}) or vector(0)"


def _numbers() -> list[Json]:
    regressed = f"max without (strategy, shape, batch_size, variant) ({regressed_cases(TARGET)})"
    return [
        stat("Targets", "Canary databases that a daemon knows.",
             query(_count(f"max by (job, target) (ingest_canary_paused{{{TARGET}}})")),
             unit="short", thresholds=steps((None, "text"))),
        stat("Down", "Targets that no replica of the daemon reaches.",
             query(_count(f"{of('up', TARGET)} == 0")), unit="short", thresholds=BAD_FROM_ONE),
        stat("Regressed", "Targets with a case in a confirmed regression that nobody accepted.",
             query(_count(f"{regressed} == 1")), unit="short", thresholds=BAD_FROM_ONE),
        stat("Slower as a whole", "Targets whose server, host or network is slower as a whole.",
             query(_count(f"max without (scope) ({of('target_regressed', TARGET)}) == 1")),
             unit="short", thresholds=BAD_FROM_ONE),
        stat("Suspect", "Cases that might become a regression; extra runs are asked for.",
             query(f"sum({of('verdict', SUSPECT)}) or vector(0)"),
             unit="short", thresholds=steps((None, "green"), (1, "orange"))),
        stat("Alerts", "Alerts of the canary that are firing now, details left out.",
             query(_count(CALLING)), unit="short", thresholds=BAD_FROM_ONE),
    ]  # fmt: skip


def _now() -> list[Json]:
    per = "job, target"
    last = f'ingest_canary_last_run_timestamp_seconds{{{TARGET},outcome=~"ok|partial"}}'
    targets = table(
        "Targets",
        "Each target now. Of baseline: the rate of its worst case as a share of the frozen one.",
        query(f"max by ({per}) (ingest_canary_up{{{TARGET}}})", instant=True),
        query(state_code(TARGET, per), instant=True),
        query(f"sum by ({per}) ({regressed_cases(TARGET)})", instant=True),
        query(f"min by ({per}) ({against_baseline(TARGET)})", instant=True),
        query(f"1000 * max by ({per}) ({last})", instant=True),
        query(f"1000 * max by ({per}) (ingest_canary_next_run_timestamp_seconds{{{TARGET}}})",
              instant=True),
        query(f"max by ({per}) (ingest_canary_paused{{{TARGET}}})", instant=True),
        columns={
            "target": "target", "job": "job", "Value #A": "Up", "Value #B": "Worst verdict",
            "Value #C": "Cases regressed", "Value #D": "Of baseline", "Value #E": "Last run",
            "Value #F": "Next run", "Value #G": "Paused",
        },
        size=(24, 7), unit="short",
        overrides=[
            override("byName", "target", links=TO_TARGET),
            _coloured("Up", mapped({"0": ("down", "red"), "1": ("up", "green")})),
            _coloured("Worst verdict", VERDICTS),
            override("byName", "Cases regressed", thresholds=BAD_FROM_ONE,
                     custom__cellOptions={"type": "color-text"}),
            override("byName", "Of baseline", unit="percentunit", decimals=1),
            override("byRegexp", "/run$/", unit="dateTimeFromNow"),
            _coloured("Paused", mapped({"0": ("no", "text"), "1": ("paused", "orange")})),
        ],
        sort=[{"displayName": "Cases regressed", "desc": True}],
    )  # fmt: skip
    each = "ignoring (component, cause) group_left ()"
    regressions = table(
        "Open regressions",
        "Confirmed and not accepted. Component: the clock that carries the change. Cause: what else"
        " changed at that time. Of baseline: the rate now as a share of the frozen one. A row"
        " without strategy is the target as a whole.",
        query(INFO, instant=True),
        query(f"{INFO} * {each} ({since(TARGET)})", instant=True),
        query(f"{INFO} * {each} {against_baseline(TARGET)}", instant=True),
        columns={
            "target": "target", "strategy": "strategy", "shape": "shape",
            "batch_size": "batch size", "variant": "variant", "component": "Component",
            "cause": "Cause", "Value #B": "Since", "Value #C": "Of baseline",
            "Value #A": "", "job": "",
        },
        unit="short",
        overrides=[
            override("byName", "target", links=TO_TARGET),
            override("byName", "Since", unit="dateTimeFromNow"),
            override("byName", "Of baseline", unit="percentunit", decimals=1),
        ],
        sort=[{"displayName": "Since", "desc": True}],
        noValue="No open regression",
    )  # fmt: skip
    return [row("Now"), targets, regressions]


def _coloured(column: str, mappings: list[Json]) -> Json:
    cell = {"type": "color-text"}
    return override("byName", column, mappings=mappings, custom__cellOptions=cell)


def _over_time() -> list[Json]:
    alerts = f"max by (alertname, severity, target) ({FIRING})"
    return [
        row("Over time"),
        state_timeline(
            "Worst verdict", "The worst verdict over the cases of each target.",
            query(state_code(TARGET, "target"), "{{target}}"), size=(24, 6), unit="short",
            mappings=VERDICTS,
        ),
        timeseries(
            "Rate of the worst case against its baseline",
            "Fast end of the last run over the frozen baseline; 100 % is as ever. A single run says"
            " little: what counts is where it stays.",
            query(f"min by (target) ({against_baseline(TARGET)})", "{{target}}"),
            unit="percentunit", thresholds=steps((None, "transparent"), (1, "green")),
        ),
        state_timeline(
            "Alerts",
            "Alerts of the canary by Prometheus' own account; empty without its rules.",
            query(alerts, "{{alertname}} {{severity}} {{target}}"), size=(12, 8), unit="short",
            mappings=mapped({"1": ("firing", "red")}),
        ),
    ]  # fmt: skip
