"""As much of a Kubernetes API server as Helm asks when a template looks something up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

#: Kinds by group, as discovery lists them: name, whether in a namespace, kind.
KINDS: Mapping[str, list[tuple[str, bool, str]]] = {
    "": [
        ("configmaps", True, "ConfigMap"),
        ("persistentvolumeclaims", True, "PersistentVolumeClaim"),
        ("pods", True, "Pod"),
        ("secrets", True, "Secret"),
        ("serviceaccounts", True, "ServiceAccount"),
        ("services", True, "Service"),
    ],
    "apps": [("deployments", True, "Deployment")],
    "storage.k8s.io": [("storageclasses", False, "StorageClass")],
}


@contextmanager
def kubernetes_api(objects: Mapping[str, Any]) -> Iterator[str]:
    """A server with these objects by path while the block lasts; the kubeconfig to reach it."""
    pages = {**_discovery(), **objects}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0])
            body = json.dumps(page or _status(404, "NotFound")).encode()
            self.send_response(page["code"] if page and "code" in page else 200 if page else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield json.dumps(_kubeconfig(f"http://127.0.0.1:{server.server_port}"))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def forbidden() -> dict[str, Any]:
    """The answer to who may not read an object."""
    return _status(403, "Forbidden")


def _status(code: int, reason: str) -> dict[str, Any]:
    status = {"status": "Failure", "reason": reason, "message": reason, "code": code}
    return {"kind": "Status", "apiVersion": "v1", **status}


def _discovery() -> dict[str, Any]:
    groups = [name for name in KINDS if name]
    pages: dict[str, Any] = {
        "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [
                {"name": name, "versions": [_version(name)], "preferredVersion": _version(name)}
                for name in groups
            ],
        },
    }
    for name, kinds in KINDS.items():
        path, version = (f"/apis/{name}/v1", f"{name}/v1") if name else ("/api/v1", "v1")
        resources = [
            {"name": one, "namespaced": inside, "kind": kind, "singularName": "", "verbs": ["get"]}
            for one, inside, kind in kinds
        ]
        pages[path] = {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": version,
            "resources": resources,
        }
    return pages


def _version(group: str) -> dict[str, str]:
    return {"groupVersion": f"{group}/v1", "version": "v1"}


def _kubeconfig(url: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
