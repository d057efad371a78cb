"""Numbers as Grafana writes them, for the units that the dashboards use."""

from __future__ import annotations

import math
import time


def text_of(value: float, unit: str, decimals: int | None = None) -> str:
    """A value with its unit."""
    if math.isnan(value):
        return "-"
    if unit == "percentunit":
        return f"{value * 100:.{1 if decimals is None else decimals}f}%"
    if unit == "s":
        return _seconds(value)
    if unit == "bytes":
        return _scaled(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB"), " ")
    if unit == "dateTimeFromNow":
        return _from_now(value / 1000 - time.time())
    suffix = " rows/s" if unit == "rowsps" else ""
    return _scaled(value, 1000, ("", "K", "Mil", "Bil"), " ").strip() + suffix


def _scaled(value: float, step: int, names: tuple[str, ...], gap: str) -> str:
    place = 0
    while abs(value) >= step and place < len(names) - 1:
        value, place = value / step, place + 1
    return f"{value:.3g}{gap}{names[place]}"


def _seconds(value: float) -> str:
    for bound, factor, name in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1, 1e3, "ms")):
        if abs(value) < bound:
            return f"{value * factor:.3g} {name}"
    return f"{value:.3g} s"


def _from_now(seconds: float) -> str:
    size = abs(seconds)
    for bound, length, name in ((90, 1, "seconds"), (5400, 60, "minutes"), (129600, 3600, "hours")):
        if size < bound:
            text = f"{size / length:.0f} {name}"
            break
    else:
        text = f"{size / 86400:.0f} days"
    return f"in {text}" if seconds > 0 else f"{text} ago"
