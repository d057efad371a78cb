"""The catalogue: every strategy and shape by name, written down once.

Values are collected from the built-in modules, from installed packages that declare an entry point
in the groups below, and from plug-in files. A name used twice is an error, never an override.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from monitor.errors import ConfigurationError
from monitor.suite import extras, shapes, strategies
from monitor.suite.foreign_code import foreign_code
from monitor.workload import Shape, Strategy

STRATEGY_GROUP = "ingest_canary.strategies"
SHAPE_GROUP = "ingest_canary.shapes"

Named = TypeVar("Named", Strategy, Shape)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Strategies and shapes by name."""

    strategies: Mapping[str, Strategy]
    shapes: Mapping[str, Shape]


def load(plugin_files: Sequence[Path] = ()) -> Catalog:
    """Collect the built-ins, installed entry points and the given plug-in files.

    Raises ConfigurationError naming the file or entry point that cannot be loaded, or the name that
    occurs twice.
    """
    values: list[tuple[str, object]] = []
    for module in (strategies, shapes):
        values += _module_values(module, f"built-in {module.__name__}")
    for group in (STRATEGY_GROUP, SHAPE_GROUP):
        values += _entry_point_values(group)
    for path in plugin_files:
        values += _module_values(_import_file(path), str(path))
    values += _with_extras(_unique(values, Shape))
    return Catalog(
        strategies={value.name: value for value in _unique(values, Strategy)},
        shapes={value.name: value for value in _unique(values, Shape)},
    )


def _with_extras(shapes: Iterable[Shape]) -> list[tuple[str, object]]:
    """The shapes that the extras of others make."""
    return [
        (f"the extras of shape {shape.name}", extras.with_extra(shape, extra))
        for shape in shapes
        for extra in shape.extras
    ]


def _unique(values: Iterable[tuple[str, object]], kind: type[Named]) -> list[Named]:
    found: dict[str, tuple[str, Named]] = {}
    for origin, value in values:
        if not isinstance(value, kind):
            continue
        earlier, known = found.get(value.name, (origin, value))
        if known is not value:
            raise ConfigurationError(
                f"{kind.__name__.lower()} '{value.name}' is defined twice: in {earlier} and in"
                f" {origin}; rename one of them."
            )
        found[value.name] = (origin, value)
    return [value for _, value in found.values()]


def _module_values(module: ModuleType, origin: str) -> list[tuple[str, object]]:
    return [(origin, value) for value in vars(module).values()]


def _entry_point_values(group: str) -> list[tuple[str, object]]:
    values = []
    for point in entry_points(group=group):
        origin = f"entry point {point.name} of {point.dist.name if point.dist else group}"
        with foreign_code(origin, "cannot be loaded"):
            values.append((origin, point.load()))
    return values


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ingest_canary_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"plug-in {path}: not a Python file (name it *.py).")
    if not path.is_file():
        raise ConfigurationError(f"plug-in {path}: there is no such file.")
    module = importlib.util.module_from_spec(spec)
    with foreign_code(f"plug-in {path}", "cannot be loaded"):
        spec.loader.exec_module(module)
    return module
