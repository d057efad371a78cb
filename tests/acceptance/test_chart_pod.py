"""The pod that the chart describes, as a process: files, variables, probes, and its test."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from monitor.cli.main import group
from monitor.config.load import load
from monitor.errors import ConfigurationError
from tests.acceptance.process import Daemon
from tests.charts import Object, Rendered, edited, lay_out, others_secrets, render, values_of
from tests.conftest import Database

ANY_CERTIFICATE = ssl._create_unverified_context()


def answered(url: str) -> int:
    """The status that kubelet sees; it checks no certificate."""
    try:
        with urllib.request.urlopen(url, timeout=10, context=ANY_CERTIFICATE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def probed(rendered: Rendered, address: str) -> dict[str, int]:
    """Status of every probe that asks for a page."""
    statuses = {}
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        probe = rendered.container[name].get("httpGet")
        if probe:
            statuses[name] = answered(
                f"{probe.get('scheme', 'HTTP').lower()}://{address}{probe['path']}"
            )
    return statuses


def helm_test(rendered: Rendered, address: str) -> subprocess.CompletedProcess[str]:
    """The command of the pod of `helm test`, with the Service's name replaced."""
    (pod,) = rendered.of("Pod")
    container: Object = pod["spec"]["containers"][0]
    script, url, *mode = container["args"]
    scheme, _, service = url.partition("://")
    assert service == "ingest-canary:9988"
    words = [sys.executable, *container["command"][1:], script, f"{scheme}://{address}", *mode]
    return subprocess.run(words, capture_output=True, text=True, timeout=90, check=False)


@pytest.mark.parametrize("scenario", ["default", "tls", "client-certificates"])
def test_the_pod_measures_and_answers_its_probes_and_its_test(
    scenario: str, database: Database, data_dir: Path
) -> None:
    rendered = render(values_of(f"{scenario}-values.yaml"))
    variables = lay_out(rendered, data_dir, others_secrets(rendered, database.dsn))
    own = Path(variables["INGEST_CANARY_DATA_DIR"])
    with Daemon(own, extra=variables) as daemon:
        address = daemon.wait_for_log(r"serving https?://0\.0\.0\.0:(\d+)/")[1]
        address = f"127.0.0.1:{address}"
        daemon.wait_for_log(r"main: run ok")
        probes = 0 if scenario == "client-certificates" else 3
        assert list(probed(rendered, address).values()) == [200] * probes
        done = helm_test(rendered, address)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert done.stdout.startswith("ok: ")
        assert daemon.stop() == 0
        for line in (daemon.log + daemon.output).splitlines():
            assert set(json.loads(line)) == {"at", "level", "logger", "message"}
    assert (own / "store.sqlite").exists()
    assert all(
        path.is_relative_to(own) or not path.is_file() or _given(path)
        for path in data_dir.rglob("*")
    )


def _given(path: Path) -> bool:
    return "etc/ingest-canary" in str(path)


def test_a_migration_brings_the_store_to_the_version(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = edited(values_of("default-values.yaml"), {"store.migrate": True})
    rendered = render(values)
    for name, text in lay_out(rendered, data_dir, others_secrets(rendered)).items():
        monkeypatch.setenv(name, text)
    (container,) = rendered.pod["initContainers"]
    for done in ("created with schema", "is there already"):
        result = CliRunner().invoke(group, container["args"])
        assert (result.exit_code, done in result.output) == (0, True), result.output


def test_the_test_of_helm_fails_where_nobody_answers() -> None:
    rendered = render(values_of("default-values.yaml"))
    (pod,) = rendered.of("Pod")
    script = pod["spec"]["containers"][0]["args"][0].replace(
        "GIVE_UP_AFTER = 60", "GIVE_UP_AFTER = 0"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, "http://127.0.0.1:1"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stdout.startswith("http://127.0.0.1:1 does not answer: ")


def test_what_service_links_would_bring_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why the pod has enableServiceLinks: false."""
    monkeypatch.setenv("INGEST_CANARY_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(ConfigurationError, match="INGEST_CANARY_SERVICE_HOST: unknown variable"):
        load()
