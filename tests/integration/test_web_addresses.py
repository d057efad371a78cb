"""Where the web server listens."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from monitor.export.web import Published, WebServer
from tests.sites import metrics_text

METRICS = b"ingest_canary_up 1\n"


@pytest.mark.parametrize(
    ("host", "url"), [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")]
)
def test_the_address_is_one_that_can_be_opened(host: str, url: str) -> None:
    with serving(host) as server:
        assert server.url.startswith(url)
        with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
            assert answer.read() == METRICS


def test_all_addresses_of_ipv6_are_those_of_ipv4_too() -> None:
    with serving("::") as server:
        port = server.url.rpartition(":")[2]
        for host in ("127.0.0.1", "[::1]"):
            with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=10) as answer:
                assert answer.read() == METRICS


@contextmanager
def serving(host: str) -> Iterator[WebServer]:
    """A server without a web config."""
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    server = WebServer(Published(metrics_text(METRICS)), host, 0)
    server.start()
    try:
        yield server
    finally:
        server.stop()
