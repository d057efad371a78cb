"""The key of the hashes in fingerprints: given, or made once and kept in the data directory."""

from __future__ import annotations

import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path

from monitor.config.settings import Settings

log = logging.getLogger(__name__)

_NAME = "fingerprint.key"


def fingerprint_key(settings: Settings) -> bytes:
    """The configured key, or our own; where it cannot be kept, one for this process only."""
    given = settings.read_fingerprint_key()
    if given is not None:
        return given.encode()
    path = settings.data_dir / _NAME
    try:
        return _kept(path)
    except OSError as error:
        log.warning("fingerprint key %s cannot be kept: %s", path, error.strerror)
        return secrets.token_bytes(32)


def _kept(path: Path) -> bytes:
    """The key in the file, which is made with one if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.new")
    if not path.exists():
        temporary.write_text("")
        temporary.chmod(0o600)
        temporary.write_text(secrets.token_hex(32))
        with suppress(FileExistsError):  # another process was faster; its key counts
            os.link(temporary, path)
        temporary.unlink()
    return path.read_text().strip().encode()
