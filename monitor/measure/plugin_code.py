"""Code of strategies and shapes while it runs: what it raises is a failure of its case."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from monitor.config.dsn import secrets_of
from monitor.errors import CanaryError, ServerError, TargetError
from monitor.model import Target
from monitor.suite.foreign_code import brief, first_line


@contextmanager
def plugin_code(name: str, target: Target) -> Iterator[None]:
    """Turn whatever is raised, an attempt to end the process included, into ServerError.

    ``name`` says whose code it is. What is meant for it goes on as it is: TargetError, Ctrl-C, and
    the cancellation of our own task.
    """
    try:
        yield
    except (TargetError, KeyboardInterrupt, GeneratorExit):
        raise
    except asyncio.CancelledError as error:
        if cancelled():
            raise
        raise ServerError(f"{name} failed in the client: it cancelled itself") from error
    except BaseException as error:
        text = first_line(error) if isinstance(error, CanaryError) else brief(error)
        for secret in secrets_of(target.dsn):
            text = text.replace(secret, "***")
        raise ServerError(f"{name} failed in the client: {text}") from error


def cancelled() -> bool:
    """Whether somebody cancels the task that this is asked in."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
