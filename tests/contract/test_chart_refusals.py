"""What the chart refuses, and that each refusal says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.charts import CHART, NAMESPACE, RELEASE, edited, helm, render, values_of
from tests.kubernetes_api import forbidden, kubernetes_api

#: Values in force, what is changed in them, and a part of the sentence.
REFUSED = [
    ("default", {"targets": {}}, "no target is configured: set targets.<name>.existingSecret"),
    (
        "default",
        {"targets.main.dsn": "postgresql://h/d"},
        "has both dsn and existingSecret: keep one",
    ),
    ("default", {"targets.other": {}}, "targets.other has no DSN: set existingSecret"),
    ("default", {"targets.other": {"existingSecret": ""}}, "targets.other has no DSN"),
    ("replicas", {"store.url": "postgresql://h/d"}, "store has both url and existingSecret"),
    ("replicas", {"fingerprintKey.value": "k"}, "fingerprintKey has both value and existingSecret"),
    ("tls", {"webConfig.existingSecret": "s"}, "webConfig has both content and existingSecret"),
    ("tls", {"webConfig.content": {}}, "webConfig.tlsSecret is set, but nothing uses it"),
    ("default", {"webConfig.tls": True}, "say what a file of webConfig.existingSecret does"),
    ("default", {"replicaCount": 3}, "replicaCount is 3, but the store is SQLite on a volume"),
    ("replicas", {"store.existingSecret": ""}, "set store.existingSecret or store.url"),
    ("replicas", {"fingerprintKey.existingSecret": ""}, "replicas need the same fingerprint key"),
    ("replicas", {"persistence.existingClaim": "c"}, "persistence.existingClaim is a volume"),
    ("default", {"podDisruptionBudget.enabled": True}, "podDisruptionBudget.enabled needs several"),
    ("default", {"persistence.storageClass": "nfs-client"}, "network file system"),
    (
        "default",
        {"persistence.storageClass": "fast-efs"},
        "the storage class fast-efs, by its name",
    ),
    ("default", {"persistence.storageClass": "rook-cephfs"}, "is a network file system"),
    ("default", {"persistence.storageClass": "azurefile-premium"}, "is a network file system"),
]


@pytest.mark.parametrize(("scenario", "changes", "sentence"), REFUSED)
def test_refused_with_a_sentence(scenario: str, changes: dict[str, Any], sentence: str) -> None:
    values = edited(values_of(f"{scenario}-values.yaml"), changes)
    with pytest.raises(helm().HelmError) as refused:
        render(values)
    assert "ingest-canary: " in str(refused.value)
    assert sentence in str(refused.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(helm().HelmError) as refused:
        render({"replicaCount": 2})
    for part in ("no target is configured", "the store is SQLite", "the same fingerprint key"):
        assert part in str(refused.value)


@pytest.mark.parametrize(
    "storage_class", ["gp3", "premium-rwo", "ceph-rbd", "local-path", "transmfsx", "managed-csi"]
)
def test_block_devices_are_not_taken_for_network_file_systems(storage_class: str) -> None:
    values = edited(values_of("default-values.yaml"), {"persistence.storageClass": storage_class})
    assert render(values).one("PersistentVolumeClaim")["spec"]["storageClassName"] == storage_class


def test_a_network_file_system_is_fine_for_a_spool() -> None:
    values = edited(
        values_of("default-values.yaml"),
        {"persistence.storageClass": "nfs", "store.existingSecret": "s"},
    )
    assert render(values).of("PersistentVolumeClaim")


CLASS = "/apis/storage.k8s.io/v1/storageclasses/shared"
CLAIM = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims/history"
NAMED = {"persistence.storageClass": "shared", "persistence.checkStorageClass": True}
CLAIMED = {"persistence.existingClaim": "history", "persistence.checkStorageClass": True}


def storage_class(provisioner: str) -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "shared"},
        "provisioner": provisioner,
    }


def claim(mode: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "history", "namespace": NAMESPACE},
        "spec": {"accessModes": [mode], "storageClassName": "shared"},
    }


@pytest.mark.parametrize(
    ("changes", "objects", "phrase"),
    [
        (NAMED, {CLASS: storage_class("efs.csi.aws.com")}, "shared (provisioner efs.csi.aws.com)"),
        (
            NAMED,
            {CLASS: storage_class("cluster.local/nfs-subdir")},
            "(provisioner cluster.local/nfs",
        ),
        (NAMED, {CLASS: storage_class("file.csi.azure.com")}, "(provisioner file.csi.azure.com)"),
        (NAMED, {CLASS: storage_class("rook-ceph.cephfs.csi.ceph.com")}, "cephfs"),
        (NAMED, {CLASS: storage_class("ebs.csi.aws.com")}, None),
        (NAMED, {CLASS: storage_class("rook-ceph.rbd.csi.ceph.com")}, None),
        (NAMED, {CLASS: storage_class("pd.csi.storage.gke.io")}, None),
        (NAMED, {}, None),
        ({"persistence.storageClass": "shared"}, {CLASS: forbidden()}, None),
        (CLAIMED, {CLAIM: claim("ReadWriteMany")}, "history, which many nodes may write, is a"),
        (
            CLAIMED,
            {CLAIM: claim("ReadWriteOnce"), CLASS: storage_class("smb.csi.k8s.io")},
            "(provisioner smb.csi.k8s.io)",
        ),
        (CLAIMED, {CLAIM: claim("ReadWriteOnce")}, None),
        (CLAIMED, {}, None),
    ],
)
def test_the_cluster_is_asked_for_network_file_systems(
    changes: dict[str, Any], objects: dict[str, Any], phrase: str | None
) -> None:
    values = edited(values_of("default-values.yaml"), changes)
    with kubernetes_api(objects) as kubeconfig, pytest.raises(helm().HelmError) as ended:
        installation(values, kubeconfig)
    if phrase:
        assert phrase in str(ended.value)
        assert "network file system" in str(ended.value)
    else:  # rendered; what comes next the server does not know
        assert "unable to build kubernetes objects" in str(ended.value)


def installation(values: dict[str, Any], kubeconfig: str) -> None:
    """`helm install --dry-run=server`."""
    with helm().Config(kubeconfig_content=kubeconfig, namespace=NAMESPACE) as cluster:
        cluster.install(str(CHART), RELEASE, values, namespace=NAMESPACE, dry_run="server")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config.intervall": "5min"}, "intervall"),
        ({"config.suite": {"rows": 0}}, "rows"),
        ({"config.targets": {}}, "targets"),
        ({"config.web": {"port": 1}}, "port"),
        ({"config.store": {"url": "postgresql://h/d"}}, "url"),
        ({"config.data_dir": "/tmp"}, "data_dir"),
        ({"config.interval": "often"}, "interval"),
        ({"targets.Main": {"existingSecret": "s"}}, "Main"),
        ({"targets.main.settings": {"dsn": "postgresql://h/d"}}, "dsn"),
        ({"targets.main.settings": {"skip_whlie": "SELECT 1"}}, "skip_whlie"),
        ({"targets.main.password": "x"}, "password"),
        ({"targets.other": {"dsn": "mysql://h/d"}}, "dsn"),
        ({"replicas": 2}, "replicas"),
        ({"replicaCount": "2"}, "replicaCount"),
        ({"persistence.accessMode": "ReadWriteMany"}, "accessMode"),
        ({"image.digest": "sha256:abc"}, "digest"),
        ({"terminationGracePeriodSeconds": 1}, "terminationGracePeriodSeconds"),
    ],
)
def test_the_schema_refuses_what_is_no_value(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(helm().HelmError) as refused:
        render(edited(values_of("default-values.yaml"), changes))
    assert words in str(refused.value)
