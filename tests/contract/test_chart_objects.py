"""What the chart renders for every file of values: valid, restricted, and fitting together."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
from click.testing import CliRunner
from kubernetes_validate import utils

from monitor.cli.main import group
from tests.charts import (
    NAMESPACE,
    SCENARIOS,
    Object,
    Rendered,
    lay_out,
    others_secrets,
)

SCHEMAS = Path(__file__).parent / "schemas"
KUBERNETES = [f"1.{minor}" for minor in range(29, 38)]
CUSTOM = {"ServiceMonitor": "servicemonitor.json", "PrometheusRule": "prometheusrule.json"}

pytestmark = pytest.mark.parametrize("scenario", SCENARIOS)


@pytest.fixture
def rendered(scenario: str, scenarios: Mapping[str, Rendered]) -> Rendered:
    return scenarios[scenario]


@pytest.fixture(autouse=True, scope="module")
def schemas_are_read_once() -> Iterator[None]:
    """It reads 1.5 MB of definitions for every object otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utils, "schema_contents", functools.cache(utils.schema_contents))
        yield


def pod_specs(rendered: Rendered) -> list[Object]:
    """Every pod that comes of it: the program's and the one of `helm test`."""
    tests = [item["spec"] for item in rendered.of("Pod")]
    return [rendered.pod, *tests]


def containers(pod: Object) -> list[Object]:
    return [*pod["containers"], *pod.get("initContainers", [])]


@pytest.mark.parametrize("kubernetes", KUBERNETES)
def test_objects_are_valid_strictly(rendered: Rendered, kubernetes: str) -> None:
    standard = [item for item in rendered.objects if item["kind"] not in CUSTOM]
    assert {"Deployment", "ConfigMap", "Service"} <= {item["kind"] for item in standard}
    for item in standard:
        assert kubernetes_validate.validate(item, kubernetes, strict=True) == kubernetes


def test_custom_objects_fit_their_definitions(rendered: Rendered) -> None:
    for item in rendered.objects:
        if item["kind"] in CUSTOM:
            schema = json.loads((SCHEMAS / CUSTOM[item["kind"]]).read_text())
            jsonschema.validate(item, schema)


def test_pods_meet_the_standard_restricted(rendered: Rendered) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards, level restricted."""
    volumes = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
    for pod in pod_specs(rendered):
        assert not {"hostNetwork", "hostPID", "hostIPC"} & {key for key in pod if pod[key]}
        assert {kind for volume in pod.get("volumes", []) for kind in volume} <= {"name", *volumes}
        shared = pod["securityContext"]
        for container in containers(pod):
            own = container["securityContext"]
            both = {**shared, **own}
            assert both["runAsNonRoot"] is True
            assert both.get("runAsUser", 1) != 0
            assert both["seccompProfile"]["type"] in ("RuntimeDefault", "Localhost")
            assert own["allowPrivilegeEscalation"] is False
            assert own["capabilities"]["drop"] == ["ALL"]
            assert not own["capabilities"].get("add")
            assert not own.get("privileged")
            assert not any("hostPort" in port for port in container.get("ports", []))


def test_beyond_restricted_the_root_is_read_only_and_there_is_no_token(rendered: Rendered) -> None:
    for pod in pod_specs(rendered):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
    assert rendered.container["securityContext"]["readOnlyRootFilesystem"] is True
    for account in rendered.of("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_names_are_unique_and_every_object_says_where_it_belongs(rendered: Rendered) -> None:
    keys = [
        (item["kind"], item["metadata"]["namespace"], item["metadata"]["name"])
        for item in rendered.objects
    ]
    assert len(keys) == len(set(keys))
    for item in rendered.objects:
        name = item["metadata"]["name"]
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name) and len(name) <= 63, name


def test_selectors_find_the_programs_pod_and_only_that(rendered: Rendered) -> None:
    labels = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    found = [
        rendered.one("Deployment")["spec"]["selector"]["matchLabels"],
        rendered.one("Service")["spec"]["selector"],
        *(item["spec"]["podSelector"]["matchLabels"] for item in rendered.of("NetworkPolicy")),
        *(item["spec"]["selector"]["matchLabels"] for item in rendered.of("PodDisruptionBudget")),
    ]
    for selector in found:
        assert selector
        assert selector.items() <= labels.items()
        assert not any("version" in key or "chart" in key for key in selector)
        for test in rendered.of("Pod"):
            assert not selector.items() <= test["metadata"]["labels"].items()
    service = rendered.one("Service")
    for monitor in rendered.of("ServiceMonitor"):
        assert (
            monitor["spec"]["selector"]["matchLabels"].items()
            <= service["metadata"]["labels"].items()
        )
        assert monitor["spec"]["namespaceSelector"]["matchNames"] == [NAMESPACE]
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] == service["spec"]["ports"][0]["name"]
        assert monitor["spec"]["jobLabel"] in service["metadata"]["labels"]


def test_mounts_have_volumes_and_nothing_but_data_and_tmp_is_written(rendered: Rendered) -> None:
    volumes = {volume["name"] for volume in rendered.pod["volumes"]}
    mounts = rendered.container["volumeMounts"]
    assert {mount["name"] for mount in mounts} <= volumes
    written = {mount["mountPath"] for mount in mounts if not mount.get("readOnly")}
    assert written == {"/var/lib/ingest-canary", "/tmp"}
    assert len({mount["mountPath"] for mount in mounts}) == len(mounts)


def test_the_strategy_fits_the_store(rendered: Rendered) -> None:
    deployment = rendered.one("Deployment")["spec"]
    (data,) = (volume for volume in rendered.pod["volumes"] if volume["name"] == "data")
    if deployment["replicas"] > 1:
        assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
        assert "emptyDir" in data
        assert "affinity" in rendered.pod
    else:
        assert deployment["strategy"] == {"type": "Recreate"}
    claims = [claim["metadata"]["name"] for claim in rendered.of("PersistentVolumeClaim")]
    if "persistentVolumeClaim" in data:
        assert data["persistentVolumeClaim"]["claimName"] in [*claims, "canary-history"]
    else:
        assert claims == []


def test_no_secret_stands_outside_of_secrets(rendered: Rendered) -> None:
    secret = re.compile(r"p%40ss|:secret@|0123456789abcdef0123456789abcdef\b(?!0)|\$2y\$")
    for item in rendered.objects:
        if item["kind"] != "Secret":
            text = json.dumps(item).replace("sha256:" + "0123456789abcdef" * 4, "")
            assert secret.search(text) is None, item["kind"]
    assert secret.search(rendered.notes) is None


def test_notes_name_targets_and_how_to_look(rendered: Rendered) -> None:
    name = rendered.one("Deployment")["metadata"]["name"]
    assert "main" in rendered.notes.splitlines()[0]
    assert f"deployment/{name}" in rendered.notes
    assert "helm --namespace measuring test ingest-canary" in rendered.notes
    assert "{{" not in rendered.notes and "<no value>" not in rendered.notes


def test_a_migration_runs_last_before_the_program_and_sees_what_it_sees(rendered: Rendered) -> None:
    first = rendered.pod.get("initContainers", [])
    for one in first:
        if one["name"] == "migrate-store":
            assert one is first[-1]
            for same in ("image", "env", "volumeMounts", "securityContext"):
                assert one[same] == rendered.container[same]


def test_config_check_accepts_what_the_pod_would_find(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pod's own files and variables; only the root of the paths is another."""
    environment = lay_out(rendered, tmp_path, others_secrets(rendered))
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    result = CliRunner().invoke(group, ["config", "check"])
    assert result.exit_code == 0, repr(result.exception)
    assert result.output.startswith("ok: ")
    assert "main" in result.output
