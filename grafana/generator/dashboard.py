"""What all dashboards have: variables, annotations, links, and panels laid out left to right."""

from __future__ import annotations

from collections.abc import Sequence

from grafana.generator.panels import DATASOURCE, Json
from grafana.generator.queries import CASE, JOB, TARGET

COLUMNS = 24
RUNBOOKS = "https://github.com/ingest-canary/ingest-canary/blob/main/grafana/runbooks/README.md"


def dashboard(
    name: str,
    title: str,
    description: str,
    variables: Sequence[Json],
    panels: Sequence[Json],
    annotations: Sequence[Json] = (),
    hours: int = 24,
) -> Json:
    """A whole dashboard; its uid, which links name, is ``ingest-canary-`` and its name."""
    return {
        "uid": f"ingest-canary-{name}",
        "title": title,
        "description": description,
        "tags": ["ingest-canary"],
        "schemaVersion": 38,
        "style": "dark",
        "editable": False,
        "graphTooltip": 1,
        "liveNow": False,
        "refresh": "1m",
        "time": {"from": f"now-{hours}h", "to": "now"},
        "timepicker": {},
        "timezone": "utc",
        "weekStart": "",
        "links": _links(),
        "annotations": {"list": [_of_grafana(), *annotations]},
        "templating": {"list": [_datasource(), job(), *variables]},
        "panels": _laid_out(panels),
    }


def _laid_out(panels: Sequence[Json]) -> list[Json]:
    """Left to right, and below what is there when a line is full; numbered from 1."""
    x, y, height = 0, 0, 0
    placed = []
    for number, panel in enumerate(panels, start=1):
        size = panel.get("gridPos", {"w": COLUMNS, "h": 1})
        if x + size["w"] > COLUMNS or panel["type"] == "row":
            x, y, height = 0, y + height, 0
        placed.append(panel | {"id": number, "gridPos": {"x": x, "y": y, **size}})
        x, height = x + size["w"], max(height, size["h"])
    return placed


# --- variables -----------------------------------------------------------------------------------


def _datasource() -> Json:
    return {
        "id": "datasource",
        "name": "datasource",
        "label": "Data source",
        "description": "The Prometheus that scrapes the daemon.",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
    }


def _variable(name: str, label: str, description: str, values_of: str, multi: bool) -> Json:
    found = {
        "id": name,
        "name": name,
        "label": label,
        "description": description,
        "type": "query",
        "datasource": DATASOURCE,
        "query": f"label_values({values_of}, {name})",
        "current": {"selected": False, "text": ["All"], "value": ["$__all"]} if multi else {},
        "hide": 0,
        "includeAll": multi,
        "multi": multi,
        "options": [],
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
    }
    return found | {"allValue": ".+"} if multi else found


def job() -> Json:
    """The daemons, where one Prometheus scrapes several."""
    return _variable("job", "Job", "Scrape jobs of daemons.", "ingest_canary_build_info", True)


def target(*, multi: bool) -> Json:
    """The canary databases."""
    metric = f"ingest_canary_paused{{{JOB}}}"
    return _variable("target", "Target", "Canary databases.", metric, multi)


def strategy() -> Json:
    """The ways to insert."""
    metric = f"ingest_canary_rows_per_second{{{TARGET}}}"
    return _variable("strategy", "Strategy", "Ways to insert a batch of rows.", metric, True)


def shape() -> Json:
    """The tables inserted into."""
    metric = f"ingest_canary_rows_per_second{{{TARGET}}}"
    return _variable("shape", "Shape", "Tables that are inserted into.", metric, True)


# --- annotations: a series' value is the time in milliseconds -----------------------------------


def _of_grafana() -> Json:
    return {
        "builtIn": 1,
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)",
        "name": "Annotations & Alerts",
        "type": "dashboard",
    }


def _annotation(name: str, color: str, expression: str, title: str, tags: str) -> Json:
    return {
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": color,
        "name": name,
        "expr": expression,
        "step": "5m",
        "titleFormat": title,
        "tagKeys": tags,
        "useValueForTime": True,
    }


def change_points(select: str = CASE) -> Json:
    """Where a signal's level shifted. The newest of all cases is asked for: over a range of time
    that gives each in its turn, and one line rather than one a case."""
    metric = f"ingest_canary_change_point_timestamp_seconds{{{select}}}"
    return _annotation(
        "Change points", "red", f"1000 * max by (target, signal) ({metric})",
        "{{target}}: {{signal}} changed", "target,signal",
    )  # fmt: skip


def environment_changes() -> Json:
    """When versions, settings or table definitions became others."""
    metric = f"ingest_canary_environment_changed_timestamp_seconds{{{TARGET}}}"
    return _annotation(
        "Environment changes", "blue", f"1000 * max by (target) ({metric})",
        "{{target}}: environment changed", "target",
    )  # fmt: skip


def restarts() -> Json:
    """When the daemon's process began."""
    metric = f"process_start_time_seconds{{{JOB}}}"
    return _annotation(
        "Daemon starts", "purple", f"1000 * max by (job, instance) ({metric})",
        "{{job}} started on {{instance}}", "job,instance",
    )  # fmt: skip


# --- links ---------------------------------------------------------------------------------------


def link_to(name: str, title: str, values: str) -> Json:
    """From a field to another dashboard, with what is chosen here and the time range."""
    chosen = "${datasource:queryparam}&${job:queryparam}"
    url = f"/d/ingest-canary-{name}?{chosen}&{values}&${{__url_time_range}}"
    return {"title": title, "url": url, "targetBlank": False}


def _links() -> list[Json]:
    shared = {"asDropdown": False, "icon": "", "includeVars": False, "keepTime": False}
    others = shared | {"asDropdown": True, "includeVars": True, "keepTime": True}
    return [
        {**others, "title": "Ingest canary", "type": "dashboards", "tags": ["ingest-canary"],
         "targetBlank": False, "tooltip": "The other dashboards of the canary", "url": ""},
        {**shared, "title": "Runbooks", "type": "link", "tags": [], "icon": "doc",
         "targetBlank": True, "tooltip": "What each alert means and what to do", "url": RUNBOOKS},
    ]  # fmt: skip
