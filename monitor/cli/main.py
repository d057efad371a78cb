"""The command group, and how errors end: one line on stderr, a traceback only with --debug."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import click

from monitor import __version__
from monitor.cli.admin import cleanup, role_sql
from monitor.cli.changes import accept, changes
from monitor.cli.config import config
from monitor.cli.detect import detect
from monitor.cli.doctor import doctor
from monitor.cli.explain import explain
from monitor.cli.history import history
from monitor.cli.logs import mask
from monitor.cli.measure import measure
from monitor.cli.overhead import overhead
from monitor.cli.pause import pause, resume
from monitor.cli.replay import replay_command
from monitor.cli.run import run
from monitor.cli.store import store
from monitor.cli.sweep import sweep
from monitor.errors import CanaryError

PROGRAM = "ingest-canary"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=PROGRAM)
def group() -> None:
    """Notices that bulk inserts into PostgreSQL got slower, by how much, since when, and why.

    Exit codes: 0 fine, 1 the work found a failure, 2 bad input or a refused target.
    """


for command in (
    run,
    measure,
    sweep,
    overhead,
    explain,
    doctor,
    history,
    changes,
    accept,
    detect,
    replay_command,
    pause,
    resume,
    store,
    config,
    role_sql,
    cleanup,
):
    group.add_command(command)


def main() -> None:
    """Run the command line and exit."""
    sys.exit(_exit_code())


@contextmanager
def _ended_politely() -> Iterator[None]:
    """Let SIGTERM end any command as Ctrl-C does, so that no rows are left behind.

    Also in the background of a script, where shells have a command ignore Ctrl-C.
    """
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    terminate = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, terminate)
        signal.signal(signal.SIGINT, interrupt)


def _exit_code() -> int:
    try:
        with _ended_politely():
            code = group.main(prog_name=PROGRAM, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except CanaryError as error:
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:
        return 1
    except Exception as error:
        return _fail(f"internal error: {type(error).__name__}: {error}; --debug shows where", 1)
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    if "--debug" in sys.argv:
        click.echo(mask(traceback.format_exc()), err=True, nl=False)
    click.echo(mask(f"{PROGRAM}: {' '.join(message.split())}"), err=True)
    return code
