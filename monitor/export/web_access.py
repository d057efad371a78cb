"""Who is answered and with which headers: what stands before every page.

The web config is looked at again with every request and every TLS connection, as exporters do, so
that renewed certificates and removed users need no restart. A file that became wrong is reported
once, and the last good one stays in force.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import secrets
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bcrypt
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.errors import ConfigurationError
from monitor.export.web_config import WebConfig, read_web_config, tls_context

log = logging.getLogger(__name__)

#: On every answer. Pages bring scripts and styles as files of ours; nothing else is loaded, and no
#: other page may show one of ours in a frame.
SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
#: Answered without a password: kubelet has none, and they tell nothing but that the process lives.
OPEN_PATHS = ("/-/healthy", "/-/ready")

#: bcrypt looks at no more; longer passwords would otherwise be right by their beginning.
_LONGEST_PASSWORD = 72
#: Answers that are remembered, so that a scrape does not cost 70 ms of CPU beside a timed round.
_REMEMBERED = 100


class Access:
    """The web config in force. Raises ConfigurationError where the file is wrong at the start."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._config = WebConfig()
        self._context: ssl.SSLContext | None = None
        self._stamp: tuple[object, ...] | None = None
        if path is not None:
            self._load(path)
            self._stamp = self._stamped(path)

    @property
    def tls(self) -> bool:
        """Whether TLS is served; decided at the start."""
        return self._context is not None

    def config(self) -> WebConfig:
        """The file's content as it is now, or as it last was right."""
        self._look_again()
        return self._config

    def context(self) -> ssl.SSLContext:
        """The TLS context for a new connection."""
        self._look_again()
        return self._context or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without TLS never asked

    def _look_again(self) -> None:
        if self._path is None or (stamp := self._stamped(self._path)) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._load(self._path)
        except ConfigurationError as error:
            log.error("%s The last good one stays in force.", error)
            return
        log.info("web config %s was read again", self._path)

    def _load(self, path: Path) -> None:
        config = read_web_config(path)
        tls = config.tls_server_config
        context = tls_context(path, tls) if tls else None
        if self._stamp is not None and (context is None) != (self._context is None):
            raise ConfigurationError(
                f"web config {path}: TLS is turned on or off by a restart only."
            )
        self._config, self._context = config, context

    def _stamped(self, path: Path) -> tuple[object, ...]:
        """What changes when one of the files does; a mounted Secret changes its inode."""
        return tuple(_stamp(file) for file in (path, *self._config.files()))


def _stamp(path: Path) -> object:
    try:
        status = path.stat()
    except OSError as error:
        return error.errno
    return status.st_mtime_ns, status.st_size, status.st_ino


class CurrentContext(ssl.SSLContext):
    """A context for a listening socket whose every connection is served by the one in force."""

    access: Access

    @classmethod
    def of(cls, access: Access) -> CurrentContext:
        context = cls(ssl.PROTOCOL_TLS_SERVER)
        context.access = access
        return context

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        return self.access.context().wrap_bio(*arguments, **options)


class Guarded:
    """An application behind users and security headers."""

    def __init__(self, application: ASGIApp, access: Access) -> None:
        self._application = application
        self._access = access
        self._users = _Users()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        config = self._access.config()
        headers = {**SECURITY_HEADERS, **config.headers()}

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = MutableHeaders(scope=message)
                for name, value in headers.items():
                    if value:
                        present[name] = value
            await send(message)

        answer: ASGIApp = self._application
        users = config.basic_auth_users
        if users and scope["path"] not in OPEN_PATHS:
            given = Headers(scope=scope).get("authorization", "")
            if not await self._users.admits(users, given):
                answer = _UNAUTHORIZED
        await answer(scope, receive, send_guarded)


_UNAUTHORIZED = PlainTextResponse(
    "unauthorized\n",
    status_code=401,
    headers={"WWW-Authenticate": 'Basic realm="ingest-canary", charset="UTF-8"'},
)


class _Users:
    """Passwords checked one at a time, beside the loop, and remembered by a keyed hash."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._answers: OrderedDict[bytes, bool] = OrderedDict()
        self._one_check = asyncio.Lock()

    async def admits(self, users: Mapping[str, str], authorization: str) -> bool:
        """Whether the header names a user and their password."""
        found = _credentials(authorization)
        if found is None:
            return False
        name, password = found
        # Without such a user another's hash is compared: the time taken does not tell who there is.
        hashed = users.get(name, next(iter(users.values()))).encode()
        check = self._remembered_as(name, hashed, password)
        async with self._one_check:
            if check not in self._answers:
                self._answers[check] = await asyncio.to_thread(_matches, password, hashed)
                if len(self._answers) > _REMEMBERED:
                    self._answers.popitem(last=False)
            self._answers.move_to_end(check)
            return name in users and self._answers[check]

    def _remembered_as(self, name: str, hashed: bytes, password: bytes) -> bytes:
        text = b"\0".join((name.encode(), hashed, password))
        return hmac.digest(self._key, text, hashlib.sha256)


def _credentials(authorization: str) -> tuple[str, bytes] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).partition(b":")
        return (name.decode(), password) if colon else None
    except ValueError:  # no base64, no ASCII, or no UTF-8 in it
        return None


def _matches(password: bytes, hashed: bytes) -> bool:
    too_long = len(password) > _LONGEST_PASSWORD
    try:
        return bcrypt.checkpw(password[:_LONGEST_PASSWORD], hashed) and not too_long
    except ValueError:  # a hash that only looks like one, or a NUL in the password
        return False
