"""Horizontal bars of block characters, with the interval's upper end and a mark."""

from __future__ import annotations

from monitor.model import Estimate

_EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(estimate: Estimate, most: float, width: int, mark: float | None = None) -> str:
    """A bar as long as the median, a whisker to the interval's upper end; exactly ``width`` wide.

    ``most`` is what the whole width stands for; ``mark`` draws a line at that height where the bar
    leaves room for it.
    """
    cells = [" "] * width
    scale = width / most if most > 0 else 0.0
    whole, eighths = divmod(round(estimate.median * scale * 8), 8)
    end = min(round(estimate.high * scale), width)
    for at in range(min(whole, width)):
        cells[at] = "█"
    if whole < width and eighths:
        cells[whole] = _EIGHTHS[eighths]
    if mark is not None:
        at = min(round(mark * scale), width - 1)
        cells[at] = "┊" if cells[at] == " " else cells[at]
    for at in range(whole + (1 if eighths else 0), end):
        cells[at] = "─"
    if end - 1 > whole:
        cells[end - 1] = "┤"
    return "".join(cells)
