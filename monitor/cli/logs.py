"""Logs on stderr, a line each, with every known secret masked."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime


def set_up_logging(form: str, level: str, secrets: Sequence[str]) -> None:
    """Send all logs to stderr as ``plain`` or ``json`` lines from ``level`` up."""
    handler = logging.StreamHandler(sys.stderr)
    inner = _JsonFormatter() if form == "json" else _plain_formatter()
    handler.setFormatter(_Masking(inner, secrets))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Its every job submission; ours says what matters of a run.
    for library in ("apscheduler", "alembic"):
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def mask(text: str) -> str:
    """The text without the secrets that logs are kept free of, once they are set up."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, _Masking):
            text = handler.formatter.mask(text)
    return text


def _plain_formatter() -> logging.Formatter:
    formatter = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    return formatter


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        fields = {
            "at": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


class _Masking(logging.Formatter):
    """The last thing that touches a line, so that a secret cannot come in by a traceback."""

    def __init__(self, inner: logging.Formatter, secrets: Sequence[str]) -> None:
        super().__init__()
        self._inner = inner
        # JSON writes some characters otherwise; a secret may be part of another.
        escaped = {json.dumps(secret, ensure_ascii=False)[1:-1] for secret in secrets}
        self._secrets = sorted({*secrets, *escaped}, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        return self.mask(self._inner.format(record))

    def mask(self, line: str) -> str:
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return line
