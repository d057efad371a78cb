"""What the chart refuses, and that each refusal says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.charts import edited, helm, render, values_of

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
