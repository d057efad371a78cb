"""The web config: what is accepted, and the sentence about each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner

from monitor.cli.main import group
from monitor.errors import ConfigurationError
from monitor.export.web_access import Access
from monitor.export.web_config import read_web_config

HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"
#: A file per mistake, and beside it what is said of it.
BAD = Path(__file__).parents[1] / "bad_web_configs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate, its key, another's key and a CA, as files."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    own, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    own.cert_chain_pems[0].write_to_path(folder / "tls.crt")
    own.private_key_pem.write_to_path(folder / "tls.key")
    other.private_key_pem.write_to_path(folder / "other.key")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    (folder / "empty.pem").write_text("")
    return folder


def test_everything_that_the_format_shares_with_us(folder: Path) -> None:
    path = folder / "all.yml"
    path.write_text(
        "tls_server_config:\n"
        "  cert_file: tls.crt\n"
        f"  key_file: {folder}/tls.key\n"
        "  client_ca_file: ca.crt\n"
        "  client_auth_type: RequireAndVerifyClientCert\n"
        "  min_version: TLS13\n"
        "  max_version: TLS13\n"
        "http_server_config:\n"
        "  http2: true\n"
        "  headers: {Strict-Transport-Security: max-age=31536000, X-Frame-Options: ''}\n"
        f"basic_auth_users:\n  prometheus: {HASH}\n"
    )
    config = read_web_config(path)
    assert config.tls_server_config is not None
    assert config.files() == (folder / "tls.crt", folder / "tls.key", folder / "ca.crt")
    assert config.basic_auth_users == {"prometheus": HASH}
    assert Access(path).tls


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_an_empty_file_asks_for_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "web.yml"
    path.write_text(text)
    access = Access(path)
    assert not access.tls
    assert access.config().basic_auth_users == {}


@pytest.mark.parametrize("name", sorted(path.stem for path in BAD.glob("*.yml")))
def test_a_mistake_is_said_in_one_sentence(folder: Path, name: str) -> None:
    path = folder / "web.yml"
    path.write_bytes((BAD / f"{name}.yml").read_bytes())
    with pytest.raises(ConfigurationError) as raised:
        Access(path)
    sentence = (BAD / f"{name}.txt").read_text().strip().replace("FOLDER", str(folder))
    assert str(raised.value) == f"web config {path}: {sentence}"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "No such file or directory."), (b"\xff\xfe", "not YAML: it is not UTF-8 text.")],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "web.yml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=sentence):
        Access(path)


def test_an_encrypted_key_is_an_error_and_not_a_question_at_the_terminal(folder: Path) -> None:
    path = folder / "web.yml"
    path.write_text("tls_server_config: {cert_file: tls.crt, key_file: encrypted.key}")
    (folder / "encrypted.key").write_text(ENCRYPTED)
    with pytest.raises(ConfigurationError, match="or the key is encrypted"):
        Access(path)


@pytest.mark.parametrize("command", [["config", "check"], ["run"]])
def test_commands_refuse_a_wrong_file_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("INGEST_CANARY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("INGEST_CANARY_WEB__PORT", "0")
    monkeypatch.setenv("INGEST_CANARY_WEB__CONFIG_FILE", str(tmp_path / "none.yml"))
    result = CliRunner().invoke(group, command)
    assert isinstance(result.exception, ConfigurationError)
    assert result.exception.exit_code == 2
    assert "none.yml" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


#: A key for tests only, encrypted with the password "x".
ENCRYPTED = """-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAg+T/5tf6kdMAICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEH467Ckus07Lb4f5upTEA4gEgZBn
/Jbr9mYIVmW0WlCTfp+FCeZQdnwGsK74H62VgZXEkU4QAcOC9XDClUPISekkoOBb
b2LLLgnYmzN/pR/cVDHokIewDv8iqOsbFJuDe79HP0hDJPJhHP2FDTAOBxIlUJWt
amauUkLzOLgPUQzuSBevkeaxd8xxGhUBBYd/JIBRbs1SPgjc5KBH8e5/yifjvrQ=
-----END ENCRYPTED PRIVATE KEY-----
"""
