"""Rules and dashboards come through Helm as they are."""

from __future__ import annotations

import json
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.generator.dashboard import RUNBOOKS
from helm import make_chart
from tests.charts import (
    STAND_INS,
    Rendered,
    edited,
    helm,
    project_has_both,
    render,
    values_of,
)
from tests.conftest import missing

MONITORING = values_of("monitoring-values.yaml")


@pytest.fixture(scope="module", params=["stand-ins", "project"])
def source(request: pytest.FixtureRequest) -> Path:
    """Where rules and dashboards come from: stand-ins, and the project's as far as there are."""
    if request.param == "project" and not project_has_both():
        pytest.skip("grafana/ does not hold both rules and dashboards yet")
    return STAND_INS if request.param == "stand-ins" else make_chart.GRAFANA


@pytest.fixture(scope="module")
def rendered(source: Path, stand_in_chart: Path) -> Rendered:
    return render(MONITORING, stand_in_chart if source == STAND_INS else make_chart.CHART)


def parsed_by_promtool(text: bytes, directory: Path) -> Any:
    """The rules of a file, once promtool has found nothing to complain about in them."""
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("promtool is not installed (apt-get install prometheus)")
    path = directory / "rules.yaml"
    path.write_bytes(text)
    done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return yaml.safe_load(text)


def rules_text(rendered: Rendered) -> list[bytes]:
    """The text below `spec:` of every PrometheusRule, as it stood before it was indented."""
    (whole,) = (
        text for name, text in rendered.texts.items() if name.endswith("prometheusrule.yaml")
    )
    pieces = [piece.partition("\nspec:\n")[2] for piece in whole.split("\n---\n")]
    return [_without_indent(piece).encode() for piece in pieces if piece]


def _without_indent(text: str) -> str:
    body = textwrap.dedent(text).strip("\n")
    return "\n".join("" if line.isspace() else line for line in body.split("\n")) + "\n"


def test_rules_are_the_files_byte_for_byte(
    rendered: Rendered, source: Path, tmp_path: Path
) -> None:
    files = make_chart.rule_files(source)
    assert sorted(rules_text(rendered)) == sorted(file.read_bytes() for file in files)
    specs = [rule["spec"] for rule in rendered.of("PrometheusRule")]
    for file, text in zip(sorted(files), rules_text(rendered), strict=True):
        assert parsed_by_promtool(file.read_bytes(), tmp_path) == parsed_by_promtool(text, tmp_path)
        assert yaml.safe_load(file.read_text()) in specs
    assert len(specs) == len(files)


def test_dashboards_are_the_files(rendered: Rendered, source: Path) -> None:
    files = {path.name: path.read_text() for path in make_chart.dashboard_files(source)}
    maps = [item for item in rendered.of("ConfigMap") if "config.toml" not in item["data"]]
    found = {name: text for item in maps for name, text in item["data"].items()}
    assert {name: json.loads(text) for name, text in found.items()} == {
        name: json.loads(text) for name, text in files.items()
    }
    assert {name: text.rstrip("\n") for name, text in found.items()} == {
        name: text.rstrip("\n") for name, text in files.items()
    }
    for item in maps:
        assert item["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert item["metadata"]["namespace"] == "monitoring"


def test_an_alert_can_be_left_out(stand_in_chart: Path) -> None:
    values = edited(
        MONITORING, {"prometheusRule.exclude": ["StandInSlow", "job:ingest_canary_up:min"]}
    )
    (rule,) = render(values, stand_in_chart).of("PrometheusRule")
    (group,) = rule["spec"]["groups"]
    assert [one["alert"] for one in group["rules"]] == ["StandInDown"]
    (kept,) = group["rules"]
    original = yaml.safe_load((STAND_INS / "alerts/stand-in.rules.yaml").read_text())
    assert kept == original["groups"][1]["rules"][0]


def test_links_to_runbooks_lead_where_the_values_say() -> None:
    """All of them, of rules and dashboards; and nothing else is another text."""
    if not project_has_both():
        pytest.skip("grafana/ does not hold both rules and dashboards yet")
    base = "https://wiki.example/runbooks"
    values = edited(MONITORING, {"prometheusRule.runbookUrl": base + "/"})
    plain, moved = render(MONITORING, make_chart.CHART), render(values, make_chart.CHART)
    rules = [r for o in moved.of("PrometheusRule") for g in o["spec"]["groups"] for r in g["rules"]]
    alerts = [rule for rule in rules if "alert" in rule]
    assert alerts
    for alert in alerts:
        assert alert["annotations"]["runbook_url"] == f"{base}/{alert['alert']}.md"
    for name, text in plain.texts.items():
        if name.endswith(("prometheusrule.yaml", "dashboards.yaml")):
            assert RUNBOOKS.removesuffix("/README.md") in text
            assert moved.texts[name] == text.replace(RUNBOOKS.removesuffix("/README.md"), base)


@pytest.mark.parametrize("kind", ["prometheusRule", "dashboards"])
def test_what_is_asked_for_and_not_there_is_an_error(kind: str, tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    shutil.copytree(make_chart.CHART, chart)
    make_chart.build(tmp_path / "nothing", chart)
    values = edited(values_of("default-values.yaml"), {f"{kind}.enabled": True})
    with pytest.raises(helm().HelmError, match="run make chart"):
        render(values, chart)
