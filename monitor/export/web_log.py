"""What of the web server's log is news to an operator."""

from __future__ import annotations

import logging

_SERVER = logging.getLogger("uvicorn.error")


class _OurErrors(logging.Filter):
    """Leaves out that an answer could not be sent since the request broke HTTP in mid-body: any
    client can make that happen, and it would be a traceback each time."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return error is None or type(error).__qualname__ != "LocalProtocolError"


_OUR_ERRORS = _OurErrors()


def leave_out_broken_requests() -> None:
    """From now on, in this process; twice is as once."""
    _SERVER.addFilter(_OUR_ERRORS)
