"""What Grafana and compose load: the SDK's types know all of it, files refer to what is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.generator.__main__ import BUILDERS, DIRECTORY
from tests.conftest import missing
from tests.contract.rule_files import GRAFANA, RULE_FILES, load

COMPOSE = GRAFANA / "compose" / "compose.yaml"

#: Fields of an annotation that Grafana reads and the SDK's type lacks.
UNKNOWN_OF_ANNOTATIONS = {"builtIn", "step", "titleFormat", "tagKeys", "useValueForTime"}


@pytest.fixture(scope="module", autouse=True)
def plugins() -> None:
    register_default_plugins()


@pytest.mark.parametrize("name", BUILDERS)
def test_a_dashboard_loads_through_the_types_of_grafanas_sdk_without_loss(name: str) -> None:
    plain = json.loads((DIRECTORY / f"{name}.json").read_text())
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(plain)))
    for annotation in plain["annotations"]["list"]:
        for field in UNKNOWN_OF_ANNOTATIONS & annotation.keys():
            del annotation[field]
    assert list(lost(plain, again)) == []


def lost(plain: Any, again: Any, path: str = "") -> Iterator[str]:
    """What is otherwise in ``again``, or not there; the SDK's own defaults may have been added."""
    if isinstance(plain, dict) and isinstance(again, dict):
        for key, value in plain.items():
            if key in again:
                yield from lost(value, again[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(plain, list) and isinstance(again, list) and len(plain) == len(again):
        for number, (one, two) in enumerate(zip(plain, again, strict=True)):
            yield from lost(one, two, f"{path}[{number}]")
    elif plain != again:
        yield f"{path}: {plain!r} became {again!r}"


# --- provisioning and compose --------------------------------------------------------------------


def services() -> dict[str, Any]:
    found: dict[str, Any] = load(COMPOSE)["services"]
    return found


def mounts(service: str) -> dict[str, str]:
    """What is mounted where, files of ours only."""
    pairs = [each.split(":")[:2] for each in services()[service]["volumes"]]
    return {inside: outside for outside, inside in pairs if outside.startswith(".")}


def test_what_compose_mounts_is_there_and_volumes_are_declared() -> None:
    declared = load(COMPOSE)["volumes"].keys()
    for name, service in services().items():
        for outside in mounts(name).values():
            assert (COMPOSE.parent / outside).exists()
        named = {each.split(":")[0] for each in service["volumes"] if not each.startswith(".")}
        assert named <= declared


def test_grafana_finds_the_dashboards_and_prometheus_where_compose_puts_them() -> None:
    inside = mounts("grafana")
    (provider,) = load(GRAFANA / "provisioning" / "dashboards" / "ingest-canary.yaml")["providers"]
    assert (COMPOSE.parent / inside[provider["options"]["path"]]).resolve() == DIRECTORY
    assert inside["/etc/grafana/provisioning"] == "../provisioning"
    (source,) = load(GRAFANA / "provisioning" / "datasources" / "prometheus.yaml")["datasources"]
    environment = services()["grafana"]["environment"]
    name = re.fullmatch(r"\$\{(\w+)\}", source["url"])
    assert source["type"] == "prometheus"
    assert name
    assert environment[name[1]] == "http://prometheus:9090"
    home = environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/overview.json"


def test_prometheus_finds_the_rules_and_the_daemon() -> None:
    config = load(GRAFANA / "compose" / "prometheus.yaml")
    (pattern,) = config["rule_files"]
    directory, _, files = pattern.rpartition("/")
    outside = COMPOSE.parent / mounts("prometheus")[directory]
    assert sorted(outside.resolve().glob(files)) == RULE_FILES
    (job,) = config["scrape_configs"]
    (address,) = job["static_configs"][0]["targets"]
    host, _, port = address.partition(":")
    assert f"127.0.0.1:{port}:{port}" in services()[host]["ports"]
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("promtool is not installed (apt-get install prometheus)")
    done = subprocess.run(
        [promtool, "check", "config", "--syntax-only", GRAFANA / "compose" / "prometheus.yaml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_ports_are_open_to_this_machine_only() -> None:
    for service in services().values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
