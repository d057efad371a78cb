"""PromQL as tests read it: which metrics, labels and label values an expression names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser
from promql_parser import AggregateExpr, BinaryExpr, Call, Expr, MatrixSelector, VectorSelector

#: Grafana puts these in place before Prometheus sees them.
GRAFANA_DURATIONS = re.compile(r"\$__(rate_interval|interval|range)\b")


@dataclass(frozen=True)
class Selector:
    """A metric as an expression selects it; ``values`` are the label values that are asked for, by
    name, "a|b" taken apart. ``around`` are the expressions it stands in, outermost first."""

    metric: str
    values: dict[str, set[str]]
    around: tuple[Expr, ...]

    @property
    def calls(self) -> list[str]:
        """Names of the functions around it, outermost first."""
        return [str(each.func.name) for each in self.around if isinstance(each, Call)]


def parse(text: str) -> Expr:
    """The expression; Grafana's durations are some duration. Raises ValueError."""
    return promql_parser.parse(GRAFANA_DURATIONS.sub("5m", text))


def walk(
    expression: Expr, around: tuple[Expr, ...] = ()
) -> Iterator[tuple[Expr, tuple[Expr, ...]]]:
    """Each part of an expression with all that it stands in."""
    yield expression, around
    for child in _children(expression):
        yield from walk(child, (*around, expression))


def _children(expression: Expr) -> list[Any]:
    if isinstance(expression, BinaryExpr):
        return [expression.lhs, expression.rhs]
    if isinstance(expression, Call):
        return [each for each in expression.args if isinstance(each, Expr)]
    if isinstance(expression, MatrixSelector):
        return [expression.vector_selector]
    return [expression.expr] if hasattr(expression, "expr") else []


def selectors(text: str) -> list[Selector]:
    """Every metric that an expression selects."""
    return [
        Selector(part.name or _name(part), _values(part), around)
        for part, around in walk(parse(text))
        if isinstance(part, VectorSelector)
    ]


def _name(selector: VectorSelector) -> str:
    return next(m.value for m in selector.matchers.matchers if m.name == "__name__")


def _values(selector: VectorSelector) -> dict[str, set[str]]:
    """Values asked for; a label that is only compared otherwise has none."""
    found: dict[str, set[str]] = {}
    for matcher in selector.matchers.matchers:
        exact = str(matcher.op) in ("MatchOp.Equal", "MatchOp.Re")
        plain = exact and re.fullmatch(r"[\w|]+", matcher.value)
        found[matcher.name] = set(matcher.value.split("|")) if plain else set()
    return found


def grouping_labels(text: str) -> set[str]:
    """Labels that an expression groups or joins by, or leaves out."""
    found: set[str] = set()
    for part, _ in walk(parse(text)):
        if isinstance(part, AggregateExpr) and part.modifier is not None:
            found |= set(part.modifier.labels)
        if isinstance(part, BinaryExpr) and part.modifier is not None:
            if part.modifier.matching is not None:
                found |= set(part.modifier.matching.labels)
            found |= set(part.modifier.group_labels or ())
    return found


def made_labels(text: str) -> set[str]:
    """Labels that an expression makes itself."""
    return {
        part.args[1].val
        for part, _ in walk(parse(text))
        if isinstance(part, Call) and part.func.name in ("label_join", "label_replace")
    }


def numbers(text: str) -> set[float]:
    """Every number that stands in an expression, durations not."""
    return {
        part.val for part, _ in walk(parse(text)) if isinstance(part, promql_parser.NumberLiteral)
    }
