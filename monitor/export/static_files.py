"""Scripts, styles and pictures of the pages: files of the package, read once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

STATIC = "/static"
_MEDIA_TYPES: Mapping[str, str] = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}


class StaticFile(NamedTuple):
    """A file as it is served; ``version`` changes with its content."""

    content: bytes
    media_type: str
    version: str


@cache
def static_files() -> Mapping[str, StaticFile]:
    """Every static file by its name."""
    found = {}
    for entry in files("monitor.export").joinpath("static").iterdir():
        content = entry.read_bytes()
        media_type = _MEDIA_TYPES[entry.name.rpartition(".")[2]]
        found[entry.name] = StaticFile(content, media_type, sha256(content).hexdigest()[:10])
    return found
