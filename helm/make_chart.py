"""`make chart`: brings into the chart what is made from other files of the project.

Rules and dashboards come from grafana/, the schema of `config` from the program's settings, the
table of values in the README from the comments of values.yaml. A test compares all of it.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from helm.config_schema import config_definitions
from helm.values_table import with_table

CHART = Path(__file__).parent / "ingest-canary"
GRAFANA = Path(__file__).parents[1] / "grafana"


class NotForTheChart(ValueError):
    """A file in grafana/ that is neither rules nor a test of rules nor a dashboard."""


def rule_files(grafana: Path) -> list[Path]:
    """Files of rules: those that have groups and nothing else; promtool's tests lie beside them.

    Raises NotForTheChart for a file of which this cannot be told, so that none is left out unseen.
    """
    found = []
    for path in sorted((grafana / "alerts").rglob("*")):
        if path.suffix not in (".yaml", ".yml"):
            continue
        keys = set(yaml.safe_load(path.read_text()) or {})
        if keys == {"groups"}:
            found.append(path)
        elif not keys & {"tests", "rule_files"}:
            raise NotForTheChart(f"{path}: neither rules (groups) nor a test of rules (tests)")
    return found


def dashboard_files(grafana: Path) -> list[Path]:
    """Dashboards, each a JSON object with panels. Raises NotForTheChart for any other."""
    found = sorted((grafana / "dashboards").rglob("*.json"))
    for path in found:
        if "panels" not in json.loads(path.read_text()):
            raise NotForTheChart(f"{path}: a dashboard has panels")
    return found


def copies(grafana: Path) -> dict[str, bytes]:
    """What lies below the chart's files/, by path. Raises NotForTheChart for two of one name."""
    wanted: dict[str, bytes] = {}
    for folder, files in (
        ("alerts", rule_files(grafana)),
        ("dashboards", dashboard_files(grafana)),
    ):
        for path in files:
            if f"{folder}/{path.name}" in wanted:
                raise NotForTheChart(f"{path}: another file has the same name")
            wanted[f"{folder}/{path.name}"] = path.read_bytes()
    return wanted


def present(chart: Path) -> dict[str, bytes]:
    """What does lie there."""
    return {
        str(path.relative_to(chart / "files")): path.read_bytes()
        for folder in ("alerts", "dashboards")
        for path in sorted((chart / "files" / folder).glob("*"))
    }


def values_schema(chart: Path) -> str:
    """The chart's schema with `config` and targets as the program's settings are now."""
    schema: dict[str, Any] = json.loads((chart / "values.schema.json").read_text())
    schema["properties"]["config"], schema["$defs"] = config_definitions()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def readme(chart: Path) -> str:
    """The chart's README with the table of values as they are now."""
    return with_table((chart / "README.md").read_text(), (chart / "values.yaml").read_text())


def build(grafana: Path = GRAFANA, chart: Path = CHART) -> list[str]:
    """Write all of it; returns the names of the copies."""
    wanted = copies(grafana)
    for folder in ("alerts", "dashboards"):
        shutil.rmtree(chart / "files" / folder, ignore_errors=True)
    for name, content in wanted.items():
        path = chart / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (chart / "values.schema.json").write_text(values_schema(chart))
    (chart / "README.md").write_text(readme(chart))
    return list(wanted)


if __name__ == "__main__":
    try:
        copied = build()
    except NotForTheChart as error:
        sys.exit(f"make chart: {error}")
    print(
        f"schema, README and {len(copied)} files of grafana/: {', '.join(copied) or 'none there'}"
    )
