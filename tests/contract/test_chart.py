"""The chart agrees with the project: copies, schema, tables, versions, and with itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from helm import make_chart, values_table
from monitor import __version__
from monitor.config.settings import Settings
from tests.charts import CHART, SCENARIOS, STAND_INS, helm, values_of

METADATA = yaml.safe_load((CHART / "Chart.yaml").read_text())
VALUES = (CHART / "values.yaml").read_text()
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def test_files_are_those_of_grafana_byte_for_byte() -> None:
    assert make_chart.present(CHART) == make_chart.copies(make_chart.GRAFANA), "run make chart"


def test_schema_knows_the_settings_as_they_are() -> None:
    schema = (CHART / "values.schema.json").read_text()
    assert schema == make_chart.values_schema(CHART), "run make chart"


def test_readme_has_the_table_of_values_as_they_are() -> None:
    assert (CHART / "README.md").read_text() == make_chart.readme(CHART), "run make chart"


def test_every_value_is_described() -> None:
    assert values_table.undescribed(VALUES) == []


def test_the_chart_is_of_the_programs_version() -> None:
    assert METADATA["appVersion"] == __version__
    assert f"ingest-canary:{__version__} ." in (CHART.parents[1] / "Dockerfile").read_text()


def test_defaults_are_valid_and_every_section_is_in_the_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(yaml.safe_load(VALUES), SCHEMA)
    assert set(SCHEMA["properties"]) == {*yaml.safe_load(VALUES), "global"}


def test_settings_that_the_chart_gives_are_not_to_be_given_twice() -> None:
    config = SCHEMA["properties"]["config"]["properties"]
    own = {"data_dir", "targets", "fingerprint_key", "fingerprint_key_file", "embedded_bin_dir"}
    own |= {"grace_period", "holder", "node"}
    assert set(config) | own == set(Settings.model_fields)
    assert not own & set(config)
    assert "dsn" not in SCHEMA["$defs"]["target"]["properties"]


@pytest.mark.parametrize("scenario", ["", *SCENARIOS])
@pytest.mark.parametrize("kubernetes", ["1.29", "1.37"])
def test_lint_strict(scenario: str, kubernetes: str) -> None:
    values = values_of(scenario) if scenario else {}
    report = helm().lint(CHART, values, strict=True, kube_version=kubernetes)
    complaints = [found for found in report["messages"] if found["severity"] > 1]
    assert (report["total_charts_linted"], complaints, report["errors"]) == (1, [], [])


def test_rules_are_told_from_their_tests() -> None:
    assert list(make_chart.copies(STAND_INS)) == [
        "alerts/stand-in.rules.yaml",
        "dashboards/stand-in.json",
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("alerts/odd.yaml", "rules: []"),
        ("alerts/empty.yml", ""),
        ("alerts/both.yaml", "groups: []\nother: 1"),
        ("dashboards/odd.json", "{}"),
    ],
)
def test_a_file_that_is_none_of_these_is_not_left_out_unseen(
    tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(content)
    with pytest.raises(make_chart.NotForTheChart, match=re.escape(name)):
        make_chart.copies(tmp_path)


def test_two_rule_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("alerts", "alerts/more"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.yaml").write_text("groups: []")
    with pytest.raises(make_chart.NotForTheChart, match="same name"):
        make_chart.copies(tmp_path)


def test_files_that_are_gone_from_grafana_leave_the_chart(
    stand_in_chart: Path, tmp_path: Path
) -> None:
    chart = tmp_path / "chart"
    for name in ("values.yaml", "values.schema.json", "README.md"):
        chart.mkdir(exist_ok=True)
        (chart / name).write_bytes((stand_in_chart / name).read_bytes())
    make_chart.build(STAND_INS, chart)
    assert len(make_chart.present(chart)) == 2
    make_chart.build(tmp_path / "none", chart)
    assert make_chart.present(chart) == {}


def test_the_table_takes_descriptions_over_lines_and_nested_names() -> None:
    text = "# @section One\n\na:\n  # -- First | line\n  # and second.\n  b: 1\n# plain\nc: {}\n"
    assert values_table.rows(text) == [
        values_table.Row("One", "a.b", 1, "First | line and second.")
    ]
    assert values_table.undescribed(text) == ["c"]
    page = f"x\n{values_table.BEGIN}\nold\n{values_table.END}\ny\n"
    assert "| `a.b` | `1` | First \\| line and second. |" in values_table.with_table(page, text)
    assert "old" not in values_table.with_table(page, text)
    with pytest.raises(ValueError, match="no lines"):
        values_table.with_table("none", text)
