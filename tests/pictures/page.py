"""A dashboard as a page: its panels where they lie, drawn from what Prometheus answers."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from tests.acceptance.prometheus import Prometheus
from tests.pictures import charts
from tests.pictures.charts import COLORS, PALETTE, Line
from tests.pictures.units import text_of

Json = dict[str, Any]

COLUMN, ROW, GAP = 66, 34, 8


class Page:
    """Draws one dashboard; ``chosen`` are the values of its variables."""

    def __init__(
        self, prometheus: Prometheus, chosen: Mapping[str, str], span: tuple[float, float]
    ) -> None:
        self._prometheus = prometheus
        self._chosen = chosen
        self._span = span
        self._step = (span[1] - span[0]) / 360

    def html(self, dashboard: Json) -> tuple[str, int]:
        """The page and its height in pixels."""
        self._marks = [
            (float(value) / 1000, COLORS[annotation["iconColor"]])
            for annotation in dashboard["annotations"]["list"][1:]
            for series in self._range(annotation["expr"])
            for _, value in series["values"]
        ]
        body, bottom = [], 0
        for panel in self._expanded(dashboard["panels"]):
            place = panel["gridPos"]
            bottom = max(bottom, (place["y"] + place["h"]) * (ROW + GAP))
            body.append(self._framed(panel))
        title = f"<h1>{escape(dashboard['title'])}</h1>"
        return f"<style>{_STYLE}</style>{title}<main>{''.join(body)}</main>", bottom + 70

    def _expanded(self, panels: list[Json]) -> Iterator[Json]:
        """A panel per strategy for one that repeats; what is below moves down."""
        moved = 0
        for panel in panels:
            panel = copy.deepcopy(panel)
            panel["gridPos"]["y"] += moved
            if "repeat" not in panel:
                yield panel
                continue
            values = sorted(
                {s["metric"]["strategy"] for s in self._now(panel["targets"][0]["expr"])}
            )
            for number, value in enumerate(values):
                one = copy.deepcopy(panel)
                one["gridPos"] |= {"x": 6 * (number % 4), "w": 6}
                one["gridPos"]["y"] += panel["gridPos"]["h"] * (number // 4)
                one["title"] = one["title"].replace("$strategy", value)
                for target in one["targets"]:
                    target["expr"] = target["expr"].replace("$strategy", value)
                yield one
            moved += panel["gridPos"]["h"] * ((len(values) - 1) // 4)

    def _framed(self, panel: Json) -> str:
        place = panel["gridPos"]
        left, top = place["x"] * COLUMN, place["y"] * (ROW + GAP)
        width, height = place["w"] * COLUMN - GAP, place["h"] * (ROW + GAP) - GAP
        where = f"left:{left}px;top:{top}px;width:{width}px;height:{height}px"
        if panel["type"] == "row":
            return f'<h2 style="{where}">{escape(panel["title"])}</h2>'
        draw = getattr(self, "_" + panel["type"].replace("-", "_"))
        inside = draw(panel, (width - 20, height - 38))
        return f'<section style="{where}"><h3>{escape(panel["title"])}</h3>{inside}</section>'

    # --- questions -------------------------------------------------------------------------------

    def _asked(self, text: str) -> str:
        text = re.sub(r"\$__(rate_interval|interval)\b", "20m", text).replace("$__range", "24h")
        for name, value in self._chosen.items():
            text = text.replace(f"${name}", value)
        return text

    def _now(self, text: str) -> list[Json]:
        return self._prometheus.query(self._asked(text), self._span[1])

    def _range(self, text: str) -> list[Json]:
        return self._prometheus.query_range(self._asked(text), *self._span, self._step)

    def _series(self, panel: Json) -> Iterator[tuple[str, Json]]:
        for target in panel["targets"]:
            for found in self._range(target["expr"]):
                yield _named(target["legendFormat"], found["metric"]), found

    # --- panels ----------------------------------------------------------------------------------

    def _timeseries(self, panel: Json, size: tuple[int, int]) -> str:
        defaults = panel["fieldConfig"]["defaults"]
        found = [
            Line(name, [(float(at), float(value)) for at, value in series["values"]],
                 bool(re.search(r"baseline|low$|high$|floor|threshold", name)))
            for name, series in self._series(panel)
        ]  # fmt: skip
        names = [
            f'<span style="color:{PALETTE[n % len(PALETTE)]}">━</span> {escape(line.name)}'
            f" <b>{escape(text_of(line.points[-1][1], defaults['unit']))}</b>"
            for n, line in enumerate(found)
        ]
        rows = -(-len(names) // max(1, size[0] // 260))
        below = min(16 * rows + 4, size[1] // 2)
        chart = charts.lines(
            found, self._span, (size[0], size[1] - below), defaults["unit"],
            defaults["custom"]["scaleDistribution"]["type"] == "log", self._marks,
        )  # fmt: skip
        return f'{chart}<p class="legend">{"".join(f"<i>{name}</i>" for name in names)}</p>'

    def _stat(self, panel: Json, _: tuple[int, int]) -> str:
        found = self._now(panel["targets"][0]["expr"])
        if not found:
            return f'<p class="stat">{panel["fieldConfig"]["defaults"].get("noValue", "-")}</p>'
        text, color = _shown(float(found[0]["value"][1]), panel["fieldConfig"]["defaults"])
        return f'<p class="stat" style="color:{color}">{escape(text)}</p>'

    def _state_timeline(self, panel: Json, size: tuple[int, int]) -> str:
        found = []
        for name, series in self._series(panel):
            states: list[tuple[float, float, str, str]] = []
            for at, value in series["values"]:
                text, color = _shown(float(value), panel["fieldConfig"]["defaults"])
                begin = float(at)
                if states and states[-1][2] == text and begin - states[-1][1] < 2 * self._step:
                    begin = states.pop()[0]
                states.append((begin, float(at) + self._step, text, color))
            found.append((name, states))
        return charts.bands(found, self._span, size)

    def _table(self, panel: Json, _: tuple[int, int]) -> str:
        options = next(t for t in panel["transformations"] if t["id"] == "organize")["options"]
        rows = self._merged(panel)
        columns = sorted(options["indexByName"], key=options["indexByName"].get)
        headings = {each: options["renameByName"].get(each, each) for each in columns}
        for sort in panel["options"]["sortBy"]:
            name = next(each for each in columns if headings[each] == sort["displayName"])
            rows.sort(key=lambda row: _order(row.get(name)), reverse=sort["desc"])
        head = "".join(f"<th>{escape(headings[each])}</th>" for each in columns)
        body = "".join(
            f"<tr>{''.join(_cell(row.get(c, ''), headings[c], panel) for c in columns)}</tr>"
            for row in rows
        )
        return f"<table><tr>{head}</tr>{body}</table>"

    def _merged(self, panel: Json) -> list[Json]:
        """Rows of all questions, those of the same labels together."""
        rows: dict[tuple[tuple[str, str], ...], Json] = {}
        several = len(panel["targets"]) > 1
        for target in panel["targets"]:
            name = f"Value #{target['refId']}" if several else "Value"
            for found in self._now(target["expr"]):
                labels = found["metric"]
                row = rows.setdefault(tuple(sorted(labels.items())), dict(labels))
                row[name] = float(found["value"][1])
        return list(rows.values())

    def _bargauge(self, panel: Json, size: tuple[int, int]) -> str:
        found = [
            (_named(target["legendFormat"], each["metric"]), float(each["value"][1]))
            for target in panel["targets"]
            for each in self._now(target["expr"])
        ]
        return charts.gauge(found, size, panel["fieldConfig"]["defaults"]["unit"])

    def _barchart(self, panel: Json, size: tuple[int, int]) -> str:
        matrix = next(t for t in panel["transformations"] if t["id"] == "groupingToMatrix")[
            "options"
        ]
        table: dict[str, dict[str, float]] = {}
        for each in self._now(panel["targets"][0]["expr"]):
            row = table.setdefault(each["metric"][matrix["rowField"]], {})
            row[each["metric"][matrix["columnField"]]] = float(each["value"][1])
        if matrix["rowField"] in ("batch_size", "value"):
            table = dict(sorted(table.items(), key=lambda row: int(row[0])))
        return charts.bars(table, size, panel["fieldConfig"]["defaults"]["unit"])

    def _heatmap(self, panel: Json, size: tuple[int, int]) -> str:
        found = {
            series["metric"]["le"]: {float(at): float(value) for at, value in series["values"]}
            for series in self._range(panel["targets"][0]["expr"])
        }
        rows, before = [], {}
        for edge in sorted(found, key=float):
            row = [(at, value - before.get(at, 0)) for at, value in found[edge].items()]
            rows.append((edge, row))
            before = found[edge]
        return charts.cells(rows, self._span, size, self._step)


def _named(legend: str, labels: Json) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), legend).strip()


def _shown(value: float, field: Json) -> tuple[str, str]:
    """Text and colour of a value, by mappings or thresholds."""
    for mapping in field.get("mappings", ()):
        option = mapping["options"].get(f"{value:g}")
        if option:
            return option["text"], COLORS[option["color"]]
    steps = field["thresholds"]["steps"]
    color = [step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]
    return text_of(value, field["unit"], field.get("decimals")), COLORS[color]


def _cell(value: Any, heading: str, panel: Json) -> str:
    if not isinstance(value, float):
        return f"<td>{escape(str(value))}</td>"
    field = {"unit": "short", "thresholds": {"steps": [{"value": None, "color": "text"}]}}
    for override in panel["fieldConfig"]["overrides"]:
        matcher = override["matcher"]
        by_name = matcher["id"] == "byName" and matcher["options"] == heading
        pattern = matcher["options"].strip("/")
        if by_name or (matcher["id"] == "byRegexp" and re.search(pattern, heading)):
            field |= {each["id"]: each["value"] for each in override["properties"]}
    text, color = _shown(value, field)
    return f'<td style="color:{color}">{escape(text)}</td>'


def _order(value: Any) -> tuple[bool, Any]:
    return isinstance(value, float), value if isinstance(value, float) else str(value)


_STYLE = """
body { margin: 16px; background: #111217; color: #ccccdc;
  font: 12px Inter, "DejaVu Sans", sans-serif }
h1 { font-size: 17px; font-weight: 500; margin: 4px 0 14px }
main { position: relative }
section { position: absolute; background: #181b1f; border: 1px solid #25272c; overflow: hidden;
  box-sizing: border-box; padding: 6px 9px; border-radius: 2px }
h2 { position: absolute; font-size: 14px; font-weight: 500; margin: 8px 0 }
h3 { font-size: 13px; font-weight: 500; margin: 2px 0 6px }
svg text { fill: #9fa7b3; font-size: 11px }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: 5px 8px; border-bottom: 1px solid #25272c }
th { color: #6e9fff; font-weight: 500 }
.stat { font-size: 27px; margin: 18px 6px; font-weight: 500 }
.legend { margin: 2px 0; columns: 230px; font-size: 11px; color: #9fa7b3 }
.legend i { font-style: normal; display: block; white-space: nowrap; overflow: hidden }
"""
