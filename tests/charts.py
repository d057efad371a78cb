"""The chart as tests see it: rendered by Helm's own engine, as objects, and as a pod's files."""

from __future__ import annotations

import base64
import copy
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
import yaml

from helm import make_chart
from tests.conftest import missing

try:
    import helm_python
except ImportError:  # no wheel for this machine
    helm_python = None

Object = dict[str, Any]

CHART = make_chart.CHART
#: Rules and a dashboard for as long as grafana/ has none, and with what is hard for Helm.
STAND_INS = Path(__file__).parent / "contract" / "grafana"
SCENARIOS = sorted(path.name for path in (CHART / "ci").glob("*-values.yaml"))
RELEASE, NAMESPACE = "ingest-canary", "measuring"
#: Stands for what an external Secret holds, by the end of the path that it is mounted at.
ANY_DSN = "postgresql://ingest_canary:p%40ss@db.example:5432/canary"


@dataclass(frozen=True)
class Rendered:
    """What Helm makes of a chart and values."""

    texts: Mapping[str, str]
    objects: tuple[Object, ...]

    @property
    def notes(self) -> str:
        return next(text for name, text in self.texts.items() if name.endswith("/NOTES.txt"))

    def of(self, kind: str) -> list[Object]:
        """The objects of a kind."""
        return [item for item in self.objects if item["kind"] == kind]

    def one(self, kind: str) -> Object:
        """The only object of a kind."""
        (item,) = self.of(kind)
        return item

    @property
    def pod(self) -> Object:
        """The specification of the Deployment's pod."""
        spec: Object = self.one("Deployment")["spec"]["template"]["spec"]
        return spec

    @property
    def container(self) -> Object:
        """The program's container."""
        (found,) = (one for one in self.pod["containers"] if one["name"] == "ingest-canary")
        return dict(found)

    @property
    def config(self) -> str:
        """The program's TOML file."""
        name = self.one("Deployment")["metadata"]["name"]
        (found,) = (item for item in self.of("ConfigMap") if item["metadata"]["name"] == name)
        return str(found["data"]["config.toml"])


def project_has_both() -> bool:
    """Whether grafana/ holds rules and dashboards."""
    names = make_chart.copies(make_chart.GRAFANA)
    return {name.partition("/")[0] for name in names} == {"alerts", "dashboards"}


def helm() -> Any:
    """The Helm engine, or the test is skipped."""
    if helm_python is None:
        missing("helm-python-sdk has no wheel for this machine")
    return helm_python


def chart_with(grafana: Path, directory: Path) -> Path:
    """A copy of the chart with files from ``grafana`` in it."""
    chart = directory / "ingest-canary"
    shutil.copytree(CHART, chart)
    make_chart.build(grafana, chart)
    return chart


def values_of(scenario: str) -> Object:
    """The values of a file in ci/."""
    values: Object = yaml.safe_load((CHART / "ci" / scenario).read_text())
    return values


def render(
    values: Object, chart: Path = CHART, *, name: str = RELEASE, upgrade: bool = False
) -> Rendered:
    """Render as ``helm install`` or ``upgrade`` would, without a cluster."""
    with helm().Chart.load(chart) as loaded:
        texts = loaded.render(
            values, name=name, namespace=NAMESPACE, is_install=not upgrade, is_upgrade=upgrade
        )
    return Rendered(texts, tuple(_objects(texts)))


def _objects(texts: Mapping[str, str]) -> Iterator[Object]:
    for name, text in sorted(texts.items()):
        if name.endswith((".yaml", ".yml")):
            yield from (item for item in yaml.safe_load_all(text) if item)


def edited(values: Object, changes: Mapping[str, Any]) -> Object:
    """Values with some set, by dotted name."""
    result = copy.deepcopy(values)
    for name, value in changes.items():
        *path, last = name.split(".")
        part = result
        for step in path:
            part = part.setdefault(step, {})
        part[last] = value
    return result


def lay_out(rendered: Rendered, root: Path, secrets: Mapping[str, str]) -> dict[str, str]:
    """Write below ``root`` what the program's container would find mounted; returns its variables.

    ``secrets`` are texts by path that the chart does not make itself. Paths in the settings and in
    the variables get the root before them.
    """
    volumes = {volume["name"]: volume for volume in rendered.pod["volumes"]}
    for mount in rendered.container["volumeMounts"]:
        place = root / mount["mountPath"].lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        for path, content in _content(volumes[mount["name"]], rendered).items():
            _write(place / path, content)
    for name, text in secrets.items():
        _write(root / name.lstrip("/"), text.encode())
    config = root / "etc/ingest-canary/config/config.toml"
    config.write_text(_moved(config.read_text(), root))
    # What has no value here is a field of the pod that it runs in.
    variables = {one["name"]: str(one.get("value", "a")) for one in rendered.container["env"]}
    return {name: _moved(f'"{text}"', root)[1:-1] for name, text in variables.items()}


def _moved(text: str, root: Path) -> str:
    return re.sub(r'"(?=/(etc|var/lib)/ingest-canary\b)', f'"{root}', text)


def others_secrets(rendered: Rendered, dsn: str = ANY_DSN) -> dict[str, str]:
    """What Secrets that are not the chart's would hold, by path in the container."""
    authority = trustme.CA()
    issued = authority.issue_cert(RELEASE, "127.0.0.1")
    texts = {
        "targets/": dsn,
        "store-url": dsn,
        "fingerprint-key": "0123456789abcdef",
        "web/web-config.yml": "tls_server_config: {cert_file: tls.crt, key_file: tls.key,"
        " client_ca_file: ca.crt, client_auth_type: RequireAndVerifyClientCert}",
        "web/tls.crt": issued.cert_chain_pems[0].bytes().decode(),
        "web/tls.key": issued.private_key_pem.bytes().decode(),
        "web/ca.crt": authority.cert_pem.bytes().decode(),
    }
    own = {item["metadata"]["name"] for item in rendered.of("Secret")}
    return {
        path: next(text for part, text in texts.items() if f"/{part}" in path)
        for path, secret in secret_paths(rendered).items()
        if secret not in own
    }


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _content(volume: Object, rendered: Rendered) -> dict[str, bytes]:
    """Files of a volume by path."""
    if "configMap" in volume:
        data = _data(rendered, "ConfigMap", volume["configMap"]["name"])
        return dict(data)
    files = {}
    for source in volume.get("projected", {}).get("sources", []):
        data = _data(rendered, "Secret", source["secret"]["name"])
        for item in source["secret"]["items"]:
            if item["key"] in data:
                files[item["path"]] = data[item["key"]]
    return files


def _data(rendered: Rendered, kind: str, name: str) -> dict[str, bytes]:
    for item in rendered.of(kind):
        if item["metadata"]["name"] == name and kind == "Secret":
            return {key: base64.b64decode(text) for key, text in item["data"].items()}
        if item["metadata"]["name"] == name:
            return {key: text.encode() for key, text in item["data"].items()}
    return {}


def secret_paths(rendered: Rendered) -> dict[str, str]:
    """Where the container finds secrets, and the Secret that each comes from."""
    (mount,) = (one for one in rendered.container["volumeMounts"] if one["name"] == "secrets")
    (volume,) = (one for one in rendered.pod["volumes"] if one["name"] == "secrets")
    return {
        f"{mount['mountPath']}/{item['path']}": source["secret"]["name"]
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }
