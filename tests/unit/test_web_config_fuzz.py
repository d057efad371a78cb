"""Any file given as a web config: read, or refused in one sentence that quotes no hash."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.errors import ConfigurationError
from monitor.export.web_access import Access
from tests.fuzzing import fuzz

HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"
NAMES = [
    "tls_server_config", "basic_auth_users", "http_server_config", "cert_file", "key_file",
    "client_ca_file", "client_auth_type", "min_version", "max_version", "headers", "http2", "kim",
    "X-Frame-Options", "Strict-Transport-Security", "rate_limit", "cert", "",
]  # fmt: skip
TEXTS = [
    HASH, HASH[:-1], "tls.crt", "tls.key", "ca.crt", ".", "/", "\0", "a\nb", "TLS12", "TLS13",
    "TLS10", "RequireAndVerifyClientCert", "NoClientCert", "VerifyClientCertIfGiven", "é" * 300,
    "/dev/null",
]  # fmt: skip
scalars = (
    st.sampled_from(TEXTS) | st.integers() | st.floats() | st.booleans() | st.none() | st.dates()
)
keys = st.sampled_from(NAMES) | st.integers() | st.none() | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=10,
)
#: Nine levels of ten references each: a thousand million nodes for whoever follows them all.
LAUGHS = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web")
    authority = trustme.CA()
    own = authority.issue_cert("localhost")
    own.cert_chain_pems[0].write_to_path(folder / "tls.crt")
    own.private_key_pem.write_to_path(folder / "tls.key")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    return folder


def read(folder: Path, content: bytes) -> None:
    path = folder / "web.yml"
    path.write_bytes(content)
    try:
        Access(path).config()
    except ConfigurationError as error:
        text = str(error)
        assert text.startswith(f"web config {path}: ")
        assert len(text.splitlines()) == 1
        assert HASH[7:] not in text
        assert HASH[7:-1] not in text


@fuzz(100)
@given(content=st.binary(max_size=80) | st.text("{}[]:&*!|>%@- \n\t\"'a1#,?<", max_size=60))
@example(LAUGHS)
@example("&a [*a]")
@example("&a {x: *a}")
@example("[" * 100_000)
@example("? [a]\n: b")
@example("? {a: b}\n: b")
@example("x: 2001-99-99")
@example("x: !!int y")
@example("x: !!float y")
@example("x: !!timestamp y")
@example("x: !!bool y")
@example("!!set {a, a}")
@example("x: 1:99999999999999999999:5")
@example(f"x: {'9' * 5000}")
@example("basic_auth_users: {? !!python/name:os.system '' : x}")
def test_any_text(folder: Path, content: bytes | str) -> None:
    read(folder, content if isinstance(content, bytes) else content.encode())


@fuzz(100)
@given(tree=st.dictionaries(keys, values, max_size=4))
def test_any_tables_and_values(folder: Path, tree: dict[Any, Any]) -> None:
    read(folder, yaml.safe_dump(tree).encode())


@fuzz(100)
@given(
    tls=st.dictionaries(st.sampled_from(NAMES[3:9]), st.sampled_from(TEXTS), max_size=6),
    users=st.dictionaries(st.text(max_size=4), st.sampled_from(TEXTS), max_size=3),
    headers=st.dictionaries(st.sampled_from(NAMES[9:]), st.sampled_from(TEXTS), max_size=3),
    right=st.booleans(),
)
def test_what_is_nearly_right(
    folder: Path, tls: dict[str, str], users: dict[str, str], headers: dict[str, str], right: bool
) -> None:
    files = {"cert_file": "tls.crt", "key_file": "tls.key"} if right else {}
    tree = {
        "tls_server_config": files | tls,
        "basic_auth_users": users,
        "http_server_config": {"headers": headers},
    }
    read(folder, json.dumps(tree).encode())
