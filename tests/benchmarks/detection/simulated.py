"""Noise that nothing changed in, and changes put into it; logarithms of cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import log, pi, sin, sqrt
from random import Random

Model = Callable[[Random, int], list[float]]


def white(choice: Random, runs: int, deviation: float = 0.012) -> list[float]:
    """Independent, as the minima of rounds on a quiet machine."""
    return [choice.gauss(0, deviation) for _ in range(runs)]


def correlated(
    choice: Random, runs: int, memory: float = 0.5, deviation: float = 0.015
) -> list[float]:
    """First-order autoregressive."""
    values, value = [], 0.0
    for _ in range(runs):
        value = memory * value + choice.gauss(0, deviation * sqrt(1 - memory * memory))
        values.append(value)
    return values


def host(choice: Random, runs: int) -> list[float]:
    """What is left of a shared host after correction by probes, with outliers (5 %)."""
    slow = correlated(choice, runs, 0.3, 0.008)
    spikes = [choice.expovariate(1 / 0.03) if choice.random() < 0.05 else 0.0 for _ in range(runs)]
    return [a + b + choice.gauss(0, 0.011) for a, b in zip(slow, spikes, strict=True)]


def diurnal(choice: Random, runs: int) -> list[float]:
    """A day's swing of 1.5 % on strongly correlated noise."""
    slow = correlated(choice, runs, 0.7, 0.015)
    return [0.015 * sin(2 * pi * n / 144) + slow[n] + choice.gauss(0, 0.01) for n in range(runs)]


def heavy(choice: Random, runs: int) -> list[float]:
    """Student's t with three degrees of freedom."""
    return [
        0.01 * choice.gauss(0, 1) / sqrt(choice.gammavariate(1.5, 1) / 1.5) for _ in range(runs)
    ]


def two_levels(choice: Random, runs: int) -> list[float]:
    """A second level 12 % higher, held for six runs at a time, a third of all."""
    values, high = [], False
    for _ in range(runs):
        if choice.random() < (1 / 6 if high else 1 / 12):
            high = not high
        values.append(0.12 * high + choice.gauss(0, 0.012))
    return values


def bursts(choice: Random, runs: int) -> list[float]:
    """One episode of 5 to 35 % in a hundred runs, three runs long on average."""
    values, at = white(choice, runs), 0
    while at < runs:
        at += int(choice.expovariate(1 / 100)) + 1
        length, height = int(choice.expovariate(1 / 2)) + 1, choice.uniform(0.05, 0.35)
        for n in range(at, min(runs, at + length)):
            values[n] += height
        at += length
    return values


MODELS: dict[str, Model] = {
    "white": white,
    "AR(1) 0.5": correlated,
    "shared host": host,
    "diurnal": diurnal,
    "heavy tails": heavy,
    "two levels": two_levels,
    "bursts": bursts,
}


def bootstrapped(recorded: Sequence[float], block: int = 12) -> Model:
    """Recorded runs in which nothing changed, drawn anew in blocks."""
    return partial(_drawn, recorded, block)


def _drawn(recorded: Sequence[float], block: int, choice: Random, runs: int) -> list[float]:
    values: list[float] = []
    while len(values) < runs:
        start = choice.randrange(len(recorded) - block + 1)
        values += recorded[start : start + block]
    return values[:runs]


def slowed(values: Sequence[float], at: int, drop: float) -> list[float]:
    """Rows per second fall by ``drop`` from run ``at`` on."""
    return [value - log(1 - drop) * (n >= at) for n, value in enumerate(values)]
