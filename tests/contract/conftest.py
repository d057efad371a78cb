"""The chart rendered once per session for every file of values in its ci/."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from helm import make_chart
from tests.charts import (
    SCENARIOS,
    STAND_INS,
    Rendered,
    chart_with,
    project_has_both,
    render,
    values_of,
)


@pytest.fixture(scope="session")
def stand_in_chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart with the stand-ins' rules and dashboard."""
    return chart_with(STAND_INS, tmp_path_factory.mktemp("stand-ins"))


@pytest.fixture(scope="session")
def scenarios(stand_in_chart: Path) -> Mapping[str, Rendered]:
    """Every file of values, with the project's rules and dashboards, or stand-ins for them."""
    chart = make_chart.CHART if project_has_both() else stand_in_chart
    return {name: render(values_of(name), chart) for name in SCENARIOS}
