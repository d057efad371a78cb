"""The pages: what the API's documents say, as HTML that needs no script but for its charts.

All that users, servers and plug-ins name is escaped by the template engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from monitor import __version__
from monitor.detect.story import percent
from monitor.export.describe import case_id
from monitor.export.documents import (
    Environments,
    RunDocument,
    Status,
    StoryDocument,
    SweepDocument,
    TargetDocument,
    TargetSummary,
)
from monitor.export.static_files import STATIC, static_files
from monitor.export.sweep_chart import drawing
from monitor.export.sweeps import newest_of_each
from monitor.judgement import STATES
from monitor.model import CaseKey
from monitor.suite.exploration import PLATEAU_NOISE, TOLERANCE

#: The little lines of the table, in pixels.
_SPARK_WIDTH, _SPARK_HEIGHT = 120, 28
_STROKE = 2


@dataclass(frozen=True, slots=True)
class Page:
    """All that a target's page shows."""

    target: TargetDocument
    changes: Sequence[StoryDocument]
    runs: Sequence[RunDocument]
    environments: Environments
    sparks: Mapping[CaseKey, tuple[float, ...]]
    sweeps: Sequence[SweepDocument] = ()

    @property
    def newest_sweeps(self) -> list[SweepDocument]:
        """The last sweep of each kind."""
        return newest_of_each(self.sweeps)

    @property
    def ended(self) -> list[StoryDocument]:
        """Changes that stand no more."""
        return [change for change in self.changes if change.ending]

    @property
    def worst(self) -> str | None:
        """Id of the case whose charts are drawn first: of those in the worst state the one that
        got dearest, where the change is seen best."""
        known = [case for case in self.target.cases if case.state]
        first = min(
            known,
            key=lambda case: (STATES.index(case.state or "ok"), -(case.change_ratio or 0.0)),
            default=None,
        )
        return first.id if first else None

    @property
    def lines(self) -> dict[str, str]:
        """The little line of each case, as an SVG polyline's points, by the case's id."""
        return {case_id(key): spark(rates) for key, rates in self.sparks.items()}


def render_index(status: Status, pages: Sequence[Page]) -> bytes:
    """The page at ``/``; of a single target it shows everything at once."""
    standing = [change for page in pages for change in page.target.open_changes if change.alarming]
    only = pages[0] if len(pages) == 1 else None
    template = _TEMPLATES.get_template("index.html")
    return template.render(
        at=status.at,
        version=status.version,
        store=status.store,
        targets=sorted(status.targets, key=_worst_first),
        page=only,
        standing=standing,
        root="",
    ).encode()


def _worst_first(target: TargetSummary) -> tuple[bool, int, str]:
    rank = STATES.index(target.state) if target.state else len(STATES)
    return target.up is not False, rank, target.name


def render_target(at: datetime, version: str, page: Page) -> bytes:
    """The page of one target."""
    template = _TEMPLATES.get_template("target.html")
    return template.render(at=at, version=version, page=page, root="../").encode()


@cache
def render_missing(depth: int) -> bytes:
    """The page that is answered where there is none, so many directories below the root."""
    root = "../" * depth
    template = _TEMPLATES.get_template("missing.html")
    return template.render(at=None, version=__version__, root=root).encode()


# --- how values are written ----------------------------------------------------------------------

Filter = Callable[[Any], str]
UNKNOWN = "–"


def known(write: Callable[[float], str]) -> Filter:
    """Writes a value, or a dash where it is not known."""

    def filtered(value: float | None) -> str:
        return UNKNOWN if value is None else write(value)

    return filtered


def rate(value: float) -> str:
    """Rows per second to three digits at least: 1,234,000 is written 1.23 M."""
    if value >= 1e6:
        return f"{value / 1e6:.2f} M"
    return f"{value / 1e3:.1f} k" if value >= 1e4 else f"{value:,.0f}"


def tick(value: float) -> str:
    """A round number of rows per second at an axis: 20 k, 1.5 M."""
    for size_of_unit, unit in ((1e6, " M"), (1e3, " k")):
        if value >= size_of_unit:
            return f"{value / size_of_unit:g}{unit}"
    return f"{value:g}"


def seconds(value: float) -> str:
    """A duration in the unit that suits it."""
    sign, value = "−" if value < 0 else "", abs(value)
    for unit, size, digits in (("s", 1.0, 1), ("ms", 1e-3, 1), ("µs", 1e-6, 2)):
        if value >= size:
            return (
                sign + _long(value) if value >= 120 else f"{sign}{value / size:.{digits}f} {unit}"
            )
    return f"{sign}{value / 1e-6:.2f} µs"


def _long(value: float) -> str:
    minutes, hours = value / 60, value / 3600
    return f"{minutes:.0f} min" if minutes < 120 else f"{hours:.0f} h"


def size(value: float) -> str:
    """Bytes in the unit that suits them."""
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def minute(at: datetime) -> str:
    """A moment for people."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def iso(at: datetime) -> str:
    """A moment for programs."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def breakable(text: str) -> Markup:
    """A name that a narrow column may break after an underscore, escaped."""
    return Markup("_<wbr>").join(text.split("_"))


def spark(rates: Sequence[float]) -> str:
    """The rates as a polyline's points, from the smallest at the bottom to the largest."""
    if len(rates) < 2:
        return ""
    low, span = min(rates), (max(rates) - min(rates)) or 1.0
    step = (_SPARK_WIDTH - 2 * _STROKE) / (len(rates) - 1)
    height = _SPARK_HEIGHT - 2 * _STROKE
    return " ".join(
        f"{_STROKE + n * step:.1f},{_STROKE + height * (1 - (value - low) / span):.1f}"
        for n, value in enumerate(rates)
    )


def _static(name: str) -> str:
    return f"{STATIC[1:]}/{name}?v={static_files()[name].version}"


def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("monitor.export"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(
        {
            "rate": known(rate),
            "tick": tick,
            "seconds": known(seconds),
            "size": known(size),
            "percent": known(percent),
            "count": known(lambda value: f"{value:,.0f}"),
            "minute": minute,
            "iso": iso,
            "breakable": breakable,
        }
    )
    made.filters["drawing"] = drawing
    size_of_spark = {"spark_width": _SPARK_WIDTH, "spark_height": _SPARK_HEIGHT}
    shares = {"tolerance": f"{TOLERANCE:.0%}", "noise": f"{PLATEAU_NOISE:.0%}"}
    made.globals.update({"static": _static, **size_of_spark, **shares})
    return made


_TEMPLATES = _templates()
