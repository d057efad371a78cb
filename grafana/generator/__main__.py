"""Writes ``grafana/dashboards/*.json``: ``python -m grafana.generator``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from grafana.generator import health, overview, strategies, target
from grafana.generator.panels import Json

DIRECTORY = Path(__file__).parents[1] / "dashboards"

BUILDERS: dict[str, Callable[[], Json]] = {
    "overview": overview.build,
    "target": target.build,
    "strategies": strategies.build,
    "health": health.build,
}


def text_of(name: str) -> str:
    """A dashboard's file."""
    return json.dumps(BUILDERS[name](), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all files."""
    for name in BUILDERS:
        (DIRECTORY / f"{name}.json").write_text(text_of(name))


if __name__ == "__main__":
    main()
