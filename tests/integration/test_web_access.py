"""The web server over real connections: TLS, client certificates, users, headers, renewal."""

from __future__ import annotations

import base64
import http.client
import logging
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import trustme
from starlette.responses import PlainTextResponse

from monitor.export import web_access
from monitor.export.web import Published, WebServer
from monitor.export.web_access import SECURITY_HEADERS
from tests.sites import metrics_text

PASSWORD = "s3cr3t-canary"
#: Of one salt, so that parallel workers name tests alike.
SALT = b"$2b$04$abcdefghijklmnopqrstuu"
HASH = bcrypt.hashpw(PASSWORD.encode(), SALT).decode()
TLS = "tls_server_config: {cert_file: tls.crt, key_file: tls.key"
USERS = f"basic_auth_users:\n  kim: {HASH.replace('$2b$', '$2y$')}\n"
METRICS = b"ingest_canary_up 1\n"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def put_certificate(folder: Path, authority: trustme.CA) -> None:
    """Write a new certificate and key, as a renewal does."""
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "tls.crt")
    issued.private_key_pem.write_to_path(folder / "tls.key")
    authority.cert_pem.write_to_path(folder / "ca.crt")


@dataclass
class Site:
    """A server by a web config, and connections to it."""

    folder: Path
    server: WebServer
    published: Published

    @property
    def port(self) -> int:
        return int(self.server.address.rpartition(":")[2])

    def write(self, text: str) -> None:
        """Another web config, put in place at once as a mounted Secret is."""
        (self.folder / "new").write_text(text)
        (self.folder / "new").rename(self.folder / "web.yml")

    def ask(self, path: str = "/metrics", *, method: str = "GET", **client: Any) -> Answer:
        """One request over a connection of its own."""
        client_context = client.pop("tls", None)
        connection = (
            http.client.HTTPSConnection("localhost", self.port, timeout=10, context=client_context)
            if client_context
            else http.client.HTTPConnection("localhost", self.port, timeout=10)
        )
        try:
            connection.request(method, path, headers=client.get("headers", {}))
            answer = connection.getresponse()
            peer = connection.sock.getpeercert(True) if client_context else None
            return Answer(answer.status, answer.read(), dict(answer.getheaders()), peer)
        finally:
            connection.close()


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    certificate: bytes | None = None


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path, authority: trustme.CA) -> Iterator[Site]:
    """A running server; the parameter is the text of its web config."""
    put_certificate(tmp_path, authority)
    (tmp_path / "web.yml").write_text(request.param)
    published = Published(metrics_text(METRICS))
    server = WebServer(published, "localhost", 0, tmp_path / "web.yml")
    server.start()
    yield Site(tmp_path, server, published)
    server.stop()


def trusting(authority: trustme.CA, **settings: Any) -> ssl.SSLContext:
    """A client's context that trusts the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def with_certificate(authority: trustme.CA, signed_by: trustme.CA) -> ssl.SSLContext:
    context = trusting(authority)
    signed_by.issue_cert("prometheus@example.org").configure_cert(context)
    return context


def basic(user: str, password: str) -> dict[str, str]:
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


config = pytest.mark.parametrize


@config("site", [TLS + "}"], indirect=True)
def test_tls_serves_who_trusts_it_and_nobody_in_clear(site: Site, authority: trustme.CA) -> None:
    assert site.server.url.startswith("https://")
    answer = site.ask(tls=trusting(authority))
    assert (answer.status, answer.body) == (200, METRICS)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        site.ask()
    with pytest.raises(ssl.SSLCertVerificationError):
        site.ask(tls=ssl.create_default_context())


@config(
    ("site", "served"),
    [
        (TLS + "}", True),
        (TLS + ", min_version: TLS13}", False),
        (TLS + ", max_version: TLS12}", True),
    ],
    indirect=["site"],
)
def test_the_minimum_version_holds(site: Site, served: bool, authority: trustme.CA) -> None:
    old = trusting(authority, maximum_version=ssl.TLSVersion.TLSv1_2)
    if served:
        assert site.ask(tls=old).status == 200
    else:
        with pytest.raises(ssl.SSLError):
            site.ask(tls=old)
        assert site.ask(tls=trusting(authority)).status == 200


DEMANDED = TLS + ", client_ca_file: ca.crt, client_auth_type: RequireAndVerifyClientCert}"
OPTIONAL = TLS + ", client_ca_file: ca.crt, client_auth_type: VerifyClientCertIfGiven}"


@config("site", [DEMANDED], indirect=True)
def test_client_certificates_are_demanded_and_verified(site: Site, authority: trustme.CA) -> None:
    assert site.ask(tls=with_certificate(authority, authority)).status == 200
    for other in (trusting(authority), with_certificate(authority, trustme.CA())):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            site.ask(tls=other)


@config("site", [OPTIONAL], indirect=True)
def test_a_client_certificate_is_verified_if_given(site: Site, authority: trustme.CA) -> None:
    assert site.ask(tls=trusting(authority)).status == 200
    assert site.ask(tls=with_certificate(authority, authority)).status == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        site.ask(tls=with_certificate(authority, trustme.CA()))


@config("site", [USERS], indirect=True)
def test_users_are_admitted_by_their_password_only(site: Site) -> None:
    assert site.server.url.startswith("http://")
    assert site.ask(headers=basic("kim", PASSWORD)).body == METRICS
    for headers in (
        {},
        basic("kim", "wrong"),
        basic("kim", ""),
        basic("eve", PASSWORD),
        basic("", ""),
        basic("kim", PASSWORD + "\0"),
        basic("kim", PASSWORD * 20),
        {"Authorization": "Basic"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"kim").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"\xff:x").decode()},
        {"Authorization": f"Bearer {PASSWORD}"},
    ):
        answer = site.ask(headers=headers)
        assert (answer.status, answer.body) == (401, b"unauthorized\n"), headers
        assert answer.headers["www-authenticate"].startswith('Basic realm="ingest-canary"')


@config("site", [USERS], indirect=True)
def test_only_health_is_open_and_other_ways_to_write_a_path_are_not(site: Site) -> None:
    assert site.ask("/-/healthy").status == 200
    assert site.ask("/-/ready").status == 200
    for path in (
        "/",
        "/none",
        "/-/healthy/",
        "/-/healthy/../metrics",
        "//-/healthy",
        "/%2d/ready/x",
    ):
        assert site.ask(path).status == 401, path


def test_a_password_is_right_as_a_whole_and_not_by_its_beginning(
    tmp_path: Path, authority: trustme.CA
) -> None:
    longest = "x" * 72
    hashed = bcrypt.hashpw(longest.encode(), SALT).decode()
    (tmp_path / "web.yml").write_text(f"basic_auth_users: {{kim: {hashed}}}")
    server = WebServer(Published(metrics_text(METRICS)), "localhost", 0, tmp_path / "web.yml")
    server.start()
    try:
        site = Site(tmp_path, server, Published())
        assert site.ask(headers=basic("kim", longest)).status == 200
        assert site.ask(headers=basic("kim", longest + "y")).status == 401
    finally:
        server.stop()


@config("site", [USERS], indirect=True)
def test_a_scrape_costs_one_check_of_its_password(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks, check = [], bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        checks.append(password)
        return check(password, hashed)

    monkeypatch.setattr(web_access.bcrypt, "checkpw", counted)
    for _ in range(3):
        assert site.ask(headers=basic("kim", PASSWORD)).status == 200
        assert site.ask(headers=basic("kim", "wrong")).status == 401
    assert checks == [PASSWORD.encode(), b"wrong"]


@config("site", [TLS + "}\n" + USERS], indirect=True)
def test_a_renewed_certificate_and_a_removed_user_need_no_restart(
    site: Site, authority: trustme.CA
) -> None:
    first = site.ask(tls=trusting(authority), headers=basic("kim", PASSWORD))
    assert first.status == 200
    put_certificate(site.folder, authority)
    second = site.ask(tls=trusting(authority), headers=basic("kim", PASSWORD))
    assert second.status == 200
    assert second.certificate != first.certificate
    site.write(TLS + "}\n" + USERS.replace("kim", "eve"))
    assert site.ask(tls=trusting(authority), headers=basic("kim", PASSWORD)).status == 401
    assert site.ask(tls=trusting(authority), headers=basic("eve", PASSWORD)).status == 200


@config("site", [DEMANDED], indirect=True)
def test_a_replaced_ca_shuts_out_who_the_old_one_signed(site: Site, authority: trustme.CA) -> None:
    assert site.ask(tls=with_certificate(authority, authority)).status == 200
    newer = trustme.CA()
    newer.cert_pem.write_to_path(site.folder / "ca.crt")
    assert site.ask(tls=with_certificate(authority, newer)).status == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        site.ask(tls=with_certificate(authority, authority))


@config("site", [USERS], indirect=True)
@config("text", ["basic_auth_users: [", TLS + "}", "nonsense: 1"])
def test_a_file_that_becomes_wrong_is_reported_once_and_changes_nothing(
    site: Site, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    site.write(text)
    for _ in range(3):
        assert site.ask(headers=basic("kim", PASSWORD)).status == 200
        assert site.ask().status == 401
    (record,) = [found for found in caplog.records if found.levelno >= logging.ERROR]
    assert "The last good one stays in force." in record.getMessage()
    (site.folder / "web.yml").unlink()
    assert site.ask().status == 401
    site.write("")
    assert site.ask().status == 200


@config("site", ["", USERS], indirect=True)
@config(
    ("path", "method"),
    [
        ("/", "GET"),
        ("/metrics", "GET"),
        ("/-/healthy", "GET"),
        ("/none", "GET"),
        ("/metrics", "POST"),
    ],
)
def test_every_answer_bears_the_security_headers(site: Site, path: str, method: str) -> None:
    answer = site.ask(path, method=method)
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name.lower()] == value, (answer.status, name)
    assert "server" not in answer.headers
    assert "'unsafe" not in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@config("site", [""], indirect=True)
def test_a_server_with_nothing_to_show_bears_them_too(site: Site) -> None:
    site.published.metrics = None
    answer = site.ask()
    assert answer.status == 503
    assert answer.headers["x-content-type-options"] == "nosniff"


@config(
    "site",
    [
        "http_server_config:\n  headers:\n    X-Frame-Options: sameorigin\n"
        "    Strict-Transport-Security: max-age=60\n    Content-Security-Policy: ''\n"
    ],
    indirect=True,
)
def test_the_file_sets_and_unsets_headers(site: Site) -> None:
    headers = site.ask("/").headers
    assert headers["x-frame-options"] == "sameorigin"
    assert headers["strict-transport-security"] == "max-age=60"
    assert "content-security-policy" not in headers
    assert headers["x-content-type-options"] == "nosniff"


@config("site", [TLS + "}\n" + USERS], indirect=True)
def test_no_hash_and_no_password_is_logged(
    site: Site, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    site.ask(tls=trusting(authority), headers=basic("kim", PASSWORD))
    site.ask(tls=trusting(authority), headers=basic("kim", "wrong-s3cr3t"))
    site.write(f"basic_auth_users: {{kim: {PASSWORD}}}")
    site.ask(tls=trusting(authority))
    assert "not a bcrypt hash" in caplog.text
    assert "s3cr3t" not in caplog.text
    assert "$2" not in caplog.text


@config("site", ["", USERS, TLS + "}", TLS + "}\n" + USERS, DEMANDED], indirect=True)
def test_the_images_health_check_sees_every_kind_of_server(site: Site) -> None:
    assert health_check(site.port) == 0


def test_the_images_health_check_sees_that_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert health_check(port) == 1


def test_the_images_health_check_is_not_content_with_any_answer() -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("no", status_code=500)(scope, receive, send)

    server = WebServer(Published(metrics_text(METRICS)), "127.0.0.1", 0)
    server._server.config.app = refuse
    server.start()
    try:
        assert health_check(int(server.address.rpartition(":")[2])) == 1
    finally:
        server.stop()


def health_check(port: int) -> int:
    """Exit code of the image's HEALTHCHECK for a server on this port."""
    script = Path(__file__).parents[2] / "docker" / "healthcheck.py"
    environment = {"INGEST_CANARY_WEB__PORT": str(port)}
    words = [sys.executable, "-I", "-S", str(script)]
    return subprocess.run(words, env=environment, timeout=30, check=False).returncode


@pytest.mark.parametrize("site", ["{}"], indirect=True)
def test_a_request_whose_body_is_wrong_is_answered_once(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    request = b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n"
    for _ in range(20):  # who comes first is a matter of turns
        with socket.create_connection(("localhost", site.port), timeout=10) as connection:
            connection.sendall(request)
            answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
        assert answer.count(b"HTTP/1.1 ") == 1
    assert site.ask().status == 200
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []
