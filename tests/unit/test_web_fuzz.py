"""Any bytes sent to the web server: an answer or a closed connection, and it goes on serving."""

from __future__ import annotations

import base64
import logging
import re
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.export.exposition import Exposition
from monitor.export.openapi import API
from monitor.export.site import Site
from monitor.export.web import Published, WebServer
from tests.fuzzing import fuzz
from tests.sites import snapshot, tally

#: Seconds that an answer may take; a server that hangs fails by it, a busy machine does not.
PATIENCE = 20.0
#: Seconds until it is taken that the server waits for more.
MOMENT = 0.02
PASSWORD = "s3cr3t-canary"
SALT = b"$2b$04$abcdefghijklmnopqrstuu"
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PRI", "get", "é"]
PATHS = [
    "/", "/metrics", "/-/healthy", "/-/ready", "/targets/main", f"{API}/status", f"{API}/",
    f"{API}/targets/main/runs", f"{API}/openapi.json", "/static/", "/static/../../etc/passwd",
    "/static/..%2f..%2fetc%2fpasswd", "//", "*", "http://[::1", "http://h/metrics", "/%", "/%00",
    "/%ff%fe", "/\u0430", "/targets/%2e%2e", "/LONG", "/?x=LONG", "/#", "/;",
]  # fmt: skip
HEADERS = [
    "Host: a", "Host:", "Host: a\r\nHost: b", "Content-Length: -1", "Content-Length: 1e9",
    "Content-Length: 5", "Content-Length: 5\r\nContent-Length: 6", "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked", "Expect: 100-continue", "Connection: upgrade",
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Upgrade: h2c", "Authorization: Basic",
    "Authorization: Basic \xe9\xe9", "Authorization: Basic Og==", "Authorization: Bearer x",
    "Authorization: Basic " + base64.b64encode(b"kim:\0").decode(),
    "Authorization: Basic " + base64.b64encode(b"kim:" + b"x" * 5000).decode(),
    "Accept-Encoding: gzip", "Range: bytes=0-", "If-None-Match: *", "X: LONG",
    " folded", "X-Forwarded-For: \xe9, ,", "X-Forwarded-Proto: x", "no colon", ": no name",
    "X: \x01\x7f", "Cookie: a=b",
]  # fmt: skip
method = st.sampled_from(METHODS) | st.text("AZ az\0\t!", max_size=6)
target = st.sampled_from(PATHS) | st.text(max_size=20).map("/".__add__) | st.text(max_size=8)
version = st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "", "HTTP/9999999"])
header = st.sampled_from(HEADERS) | st.text(max_size=12)
credentials = st.binary(max_size=12) | st.text(max_size=8).map(lambda name: f"{name}:x".encode())


@pytest.fixture(scope="module", params=["open", "users"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebServer]:
    """A server of a usual site, for everybody or for one user."""
    config: Path | None = None
    if request.param == "users":
        config = tmp_path_factory.mktemp("web") / "web.yml"
        hashed = bcrypt.hashpw(PASSWORD.encode(), SALT).decode()
        config.write_text(f"basic_auth_users: {{kim: {hashed}}}\n")
    of = snapshot(tally(runs=10, index_at=None))
    found = WebServer(
        Published(Exposition().render(of), Site().contents(of)), "127.0.0.1", 0, config
    )
    found.start()
    yield found
    found.stop()


def send(server: WebServer, content: bytes) -> bytes:
    """Send it, say that no more comes once something is answered, and read until it closes."""
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        try:
            connection.sendall(content)
            select.select([connection], [], [], MOMENT)  # who hangs up at once is not answered
            connection.shutdown(socket.SHUT_WR)
            parts = []
            while part := connection.recv(1 << 16):
                parts.append(part)
        except TimeoutError:
            raise
        except OSError:
            return b""  # closed before all was read, which may be
        return b"".join(parts)


def ask(server: WebServer, content: bytes, caplog: pytest.LogCaptureFixture) -> list[int]:
    """The statuses of what is answered; the server must neither fail nor be gone after it."""
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        answer = send(server, content)
        alive = send(server, b"GET /-/healthy HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert alive.startswith(b"HTTP/1.1 200 "), alive
    assert alive.endswith(b"ok\n"), alive
    wrong = [each for each in caplog.records if each.levelno >= logging.ERROR or each.exc_info]
    assert wrong == []
    assert b"Traceback" not in answer
    assert PASSWORD not in caplog.text
    return [int(status) for status in re.findall(rb"^HTTP/1\.1 (\d{3}) ", answer)]


@fuzz(60)
@given(content=st.binary(max_size=200) | st.text("GET /\r\n:\0aH1.", max_size=80).map(str.encode))
def test_any_bytes(server: WebServer, caplog: pytest.LogCaptureFixture, content: bytes) -> None:
    assert all(status < 500 for status in ask(server, content, caplog))


@fuzz(100)
@given(
    line=st.tuples(method, target, version),
    headers=st.lists(header, max_size=4),
    body=st.binary(max_size=30),
)
@example(line=("GET", "/metrics", "HTTP/1.1"), headers=["Authorization: Basic \xe9"], body=b"")
def test_any_requests(
    server: WebServer,
    caplog: pytest.LogCaptureFixture,
    line: tuple[str, str, str],
    headers: list[str],
    body: bytes,
) -> None:
    head = "\r\n".join([" ".join(line), *headers, "", ""]).replace("LONG", "y" * 70_000)
    statuses = ask(server, head.encode("latin-1", "replace") + body, caplog)
    assert all(status < 500 for status in statuses)


@fuzz(60)
@given(path=st.text(max_size=30) | st.sampled_from(PATHS[:20]), query=st.text(max_size=10))
def test_any_path_and_query(
    server: WebServer, caplog: pytest.LogCaptureFixture, path: str, query: str
) -> None:
    quoted = "".join(f"%{byte:02x}" for byte in path.encode())
    text = f"GET /{quoted}?{query!r} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    (status,) = ask(server, text.encode("ascii", "backslashreplace"), caplog) or [400]
    assert status in (200, 400, 401, 404)


@fuzz(60)
@given(given=credentials, scheme=st.sampled_from(["Basic", "basic", "Digest", ""]))
def test_any_credentials(
    server: WebServer, caplog: pytest.LogCaptureFixture, given: bytes, scheme: str
) -> None:
    encoded = base64.b64encode(given).decode()
    text = f"GET /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: {scheme} {encoded}\r\n"
    statuses = ask(server, f"{text}Connection: close\r\n\r\n".encode(), caplog)
    assert statuses in ([], [200], [401])
