"""The web server: a thread with a loop of its own, so that it answers while a round runs.

It copies what was last published and never asks for more. Neither health endpoint depends on a
canary: a target that is down must not take the metrics of the others with it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from prometheus_client.exposition import gzip_accepted
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from monitor.errors import PortInUse
from monitor.export.exposition import MetricsText
from monitor.export.openapi import API
from monitor.export.pages import render_missing
from monitor.export.site import HTML, JSON, Contents, problem
from monitor.export.static_files import STATIC, static_files
from monitor.export.web_access import Access, CurrentContext, Guarded

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_HEADERS = {"Cache-Control": "no-store"}  # the others: web_access

#: Seconds after which a thread that computes lets a waiting one run. A request takes turns with a
#: round some ten times; at Python's default of 5 ms it took up to 75 ms. Nobody waiting costs
#: nothing.
SWITCH_SECONDS = 0.001

#: Path segments down to which a browser that finds nothing is answered with a page.
DEEPEST = 4

#: Seconds that the thread gets to end.
STOP_SECONDS = 2.0


@dataclass(slots=True)
class Published:
    """The newest renderings; each replaced as a whole, so a reader never sees half of it."""

    metrics: MetricsText | None = None
    contents: Contents = field(default_factory=dict)


class _Server(uvicorn.Server):
    """Signals are the daemon's business, not uvicorn's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(H11Protocol):
    """HTTP that answers a request once: not again when its body turned out to be wrong."""

    def send_400_response(self, msg: str) -> None:
        super().send_400_response(msg)
        if self.cycle is not None:
            self.cycle.disconnected = True  # else its own answer came too, as an error in our logs
            self.cycle.message_event.set()


class _Config(uvicorn.Config):
    """With a TLS context of ours, which follows its files."""

    def __init__(self, application: ASGIApp, context: ssl.SSLContext | None) -> None:
        super().__init__(
            application, log_config=None, access_log=False, lifespan="off", ws="none",
            http=_Protocol,
            timeout_keep_alive=65, server_header=False,
        )  # fmt: skip
        self._context = context

    def load(self) -> None:
        super().load()
        self.ssl = self._context


class WebServer:
    """Serves what is published on ``host:port``; port 0 takes a free one.

    ``config_file`` is a web config of the Prometheus exporters' form. Raises ConfigurationError
    where it is wrong, PortInUse.
    """

    def __init__(
        self, published: Published, host: str, port: int, config_file: Path | None = None
    ) -> None:
        self._published = published
        self._files = static_files()
        access = Access(config_file)
        self._socket = _listen(host, port)
        self.address: str = _address(self._socket)
        self.url = f"{'https' if access.tls else 'http'}://{self.address}"
        context = CurrentContext.of(access) if access.tls else None
        self._server = _Server(_Config(Guarded(self._application(), access), context))
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)

    def start(self) -> None:
        """Begin to answer; a request need not wait long for a busy interpreter."""
        sys.setswitchinterval(SWITCH_SECONDS)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; idempotent."""
        self._server.should_exit = True
        self._server.force_exit = True
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        self._socket.close()

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def _application(self) -> Starlette:
        application = Starlette(
            routes=[
                Route("/", self._content),
                Route("/targets/{target}", self._content),
                Route(f"{API}/{{path:path}}", self._content),
                Route(f"{STATIC}/{{name}}", self._static),
                Route("/metrics", self._metrics),
                Route("/-/healthy", self._healthy),
                Route("/-/ready", self._ready),
            ],
            exception_handlers={404: self._missing},
        )
        application.router.redirect_slashes = False  # it would go by what the client calls us
        return application

    async def _content(self, request: Request) -> Response:
        path, contents = request.scope["path"], self._published.contents
        content = contents.get(path)
        if content is not None:
            return Response(
                b"".join(content.parts), media_type=content.media_type, headers=_HEADERS
            )
        if contents:
            return await self._missing(request)
        if path.startswith(f"{API}/"):
            return Response(problem("starting"), 503, media_type=JSON, headers=_HEADERS)
        return _plain("starting\n", 503)

    async def _missing(self, request: Request, _error: Exception | None = None) -> Response:
        path, accepted = request.scope["path"], request.headers.get("Accept", "")
        if path.startswith(f"{API}/"):
            return Response(problem("not found"), 404, media_type=JSON, headers=_HEADERS)
        if "text/html" not in accepted or path.count("/") > DEEPEST:
            return _plain("not found\n", 404)
        page = render_missing(path.count("/") - 1)
        return Response(page, 404, media_type=HTML, headers=_HEADERS)

    async def _static(self, request: Request) -> Response:
        file = self._files.get(request.path_params["name"])
        if file is None:
            return _plain("not found\n", 404)
        headers = {"Cache-Control": "private, max-age=31536000, immutable"}  # the URL has a version
        return Response(file.content, media_type=file.media_type, headers=headers)

    async def _metrics(self, request: Request) -> Response:
        metrics = self._published.metrics
        if metrics is None:
            return _plain("starting\n", 503)
        headers = {**_HEADERS, "Vary": "Accept-Encoding"}
        if gzip_accepted(request.headers.get("Accept-Encoding", "")):
            headers["Content-Encoding"] = "gzip"
            return Response(metrics.gzipped(), media_type=METRICS_TYPE, headers=headers)
        return Response(metrics.plain(), media_type=METRICS_TYPE, headers=headers)

    async def _healthy(self, _request: Request) -> Response:
        return _plain("ok\n", 200)

    async def _ready(self, _request: Request) -> Response:
        ready = self._published.metrics is not None
        return _plain("ok\n", 200) if ready else _plain("starting\n", 503)


def _plain(text: str, status: int) -> Response:
    return PlainTextResponse(text, status_code=status, headers=_HEADERS)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        both = host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(address[:2], family=family, backlog=128, dualstack_ipv6=both)
    except OSError as error:
        raise PortInUse(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another port by"
            " INGEST_CANARY_WEB__PORT or --port, or stop what uses it."
        ) from error


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if listening.family == socket.AF_INET6 else f"{host}:{port}"
