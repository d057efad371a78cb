"""The moulds of panels. Sizes are in Grafana's grid, 24 columns wide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

Json = dict[str, Any]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}


def query(expression: str, legend: str = "", *, instant: bool = False, heat: bool = False) -> Json:
    """One question; ``instant`` for tables and numbers, ``heat`` for histograms' buckets."""
    return {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "exemplar": False,
        "expr": expression,
        "format": "table" if instant else "heatmap" if heat else "time_series",
        "instant": instant,
        "legendFormat": legend or "__auto",
        "range": not instant,
    }


def steps(*bounds: tuple[float | None, str]) -> Json:
    """Thresholds: from each value on, a colour; the first value is None."""
    return {
        "mode": "absolute",
        "steps": [{"value": value, "color": color} for value, color in bounds],
    }


PLAIN = steps((None, "green"))


def mapped(texts: Mapping[str, tuple[str, str]]) -> list[Json]:
    """A text and a colour for single values."""
    options = {
        value: {"text": text, "color": color, "index": place}
        for place, (value, (text, color)) in enumerate(texts.items())
    }
    return [{"type": "value", "options": options}]


def override(matcher: str, value: str, **properties: Any) -> Json:
    """Properties of the fields that match: ``byName`` or ``byRegexp``."""
    return {
        "matcher": {"id": matcher, "options": value},
        "properties": [
            {"id": name.replace("__", "."), "value": each} for name, each in properties.items()
        ],
    }


def _panel(
    kind: str,
    title: str,
    description: str,
    queries: Sequence[Json],
    size: tuple[int, int],
    *,
    unit: str,
    options: Json,
    custom: Json | None = None,
    **defaults: Any,
) -> Json:
    repeat = defaults.pop("repeat", None)
    overrides = defaults.pop("overrides", [])
    transformations = defaults.pop("transformations", [])
    panel = {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "gridPos": {"w": size[0], "h": size[1]},
        "targets": [
            each | {"refId": letter} for letter, each in zip(ascii_uppercase, queries, strict=False)
        ],
        "fieldConfig": {
            "defaults": {"unit": unit, "thresholds": PLAIN, **defaults},
            "overrides": overrides,
        },
        "options": options,
        "transformations": transformations,
        "transparent": False,
    }
    if custom is not None:
        panel["fieldConfig"]["defaults"]["custom"] = custom
    if repeat:
        panel |= {"repeat": repeat, "repeatDirection": "h"}
    return panel


def timeseries(
    title: str, description: str, *queries: Json, size: tuple[int, int] = (12, 8), **more: Any
) -> Json:
    """Lines over time. Never stacked: what is left of the wall time may be below zero."""
    legend = {
        "calcs": more.pop("calcs", ["lastNotNull"]),
        "displayMode": more.pop("legend", "table"),
        "placement": "bottom",
        "showLegend": True,
    }
    custom = {
        "drawStyle": "line",
        "lineInterpolation": more.pop("interpolation", "stepAfter"),
        "lineWidth": 1,
        "fillOpacity": 0,
        "showPoints": "never",
        "spanNulls": False,
        "axisPlacement": "auto",
        "scaleDistribution": {"type": "log", "log": 10}
        if more.pop("log", False)
        else {"type": "linear"},
        "stacking": {"mode": "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if "thresholds" in more else "off"},
    }
    options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    return _panel(
        "timeseries", title, description, queries, size, options=options, custom=custom, **more
    )


def stat(
    title: str, description: str, question: Json, size: tuple[int, int] = (4, 4), **more: Any
) -> Json:
    """One number, coloured by its thresholds."""
    fields = more.pop("fields", "")
    options = {
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": fields, "values": False},
        "textMode": "auto",
    }
    return _panel("stat", title, description, [question], size, options=options, **more)


def table(
    title: str, description: str, *queries: Json, size: tuple[int, int] = (24, 8), **more: Any
) -> Json:
    """A row per label set; several questions are merged by their labels."""
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}
    options = {
        "cellHeight": "sm",
        "footer": {"show": False, "countRows": False, "reducer": ["sum"]},
        "frameIndex": 0,
        "showHeader": True,
        "showTypeIcons": False,
        "sortBy": more.pop("sort", []),
    }
    columns: Mapping[str, str] = more.pop("columns")
    return _panel(
        "table", title, description, queries, size, options=options, custom=custom,
        transformations=[{"id": "merge", "options": {}}, organized(columns)], **more,
    )  # fmt: skip


def organized(columns: Mapping[str, str]) -> Json:
    """Only these columns, in this order, under these headings; an empty one hides."""
    shown = [name for name, heading in columns.items() if heading]
    hidden = ["Time", *(name for name, heading in columns.items() if not heading)]
    return {
        "id": "organize",
        "options": {
            "excludeByName": dict.fromkeys(hidden, True),
            "indexByName": {name: place for place, name in enumerate(shown)},
            "renameByName": {name: columns[name] for name in shown if columns[name] != name},
        },
    }


def state_timeline(
    title: str, description: str, *queries: Json, size: tuple[int, int] = (24, 8), **more: Any
) -> Json:
    """A band per series that changes its colour with the state."""
    options = {
        "alignValue": "left",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "mergeValues": True,
        "rowHeight": 0.8,
        "showValue": "auto",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return _panel(
        "state-timeline", title, description, queries, size, options=options,
        custom={"lineWidth": 0, "fillOpacity": 70}, **more,
    )  # fmt: skip


def bar_gauge(
    title: str, description: str, *queries: Json, size: tuple[int, int] = (12, 8), **more: Any
) -> Json:
    """A bar per series, now."""
    options = {
        "displayMode": "gradient",
        "minVizHeight": 10,
        "minVizWidth": 0,
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showUnfilled": True,
        "valueMode": "color",
    }
    return _panel("bargauge", title, description, queries, size, options=options, **more)


def bar_chart(
    title: str, description: str, question: Json, size: tuple[int, int] = (12, 9), **more: Any
) -> Json:
    """Groups of bars over the values of a label."""
    options = {
        "barRadius": 0,
        "barWidth": 0.9,
        "fullHighlight": False,
        "groupWidth": 0.7,
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "orientation": "auto",
        "showValue": "never",
        "stacking": "none",
        "tooltip": {"mode": "multi", "sort": "none"},
        "xTickLabelMaxLength": 24,
        "xTickLabelRotation": -20,
        "xTickLabelSpacing": 0,
    }
    custom = {"lineWidth": 1, "fillOpacity": 80, "gradientMode": "none", "axisPlacement": "auto"}
    return _panel(
        "barchart", title, description, [question], size, options=options, custom=custom, **more
    )


def heatmap(
    title: str, description: str, question: Json, size: tuple[int, int] = (12, 9), **more: Any
) -> Json:
    """A histogram over time."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "exponent": 0.5, "fill": "dark-orange", "mode": "scheme", "reverse": False,
            "scale": "exponential", "scheme": "Oranges", "steps": 64,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"show": True, "yHistogram": False},
        "yAxis": {"axisPlacement": "left", "reverse": False, "unit": more["unit"]},
    }  # fmt: skip
    return _panel("heatmap", title, description, [question], size, options=options, **more)


def row(title: str) -> Json:
    """A heading over the panels that follow."""
    return {"type": "row", "title": title, "collapsed": False, "panels": []}
