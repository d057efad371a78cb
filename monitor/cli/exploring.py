"""What the exploring commands share: options, and lines about a run that is not a schedule's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import wraps
from typing import Any

import click
from rich.console import Console

from monitor.cli.table import remarks
from monitor.model import Estimate, Run, Transaction
from monitor.suite.exploration import Conditions


class Numbers(click.ParamType):  # type: ignore[type-arg]  # takes none before click 8.2
    """Whole numbers above zero with commas between; ``_`` and ``k`` are understood: 1k,25_000."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The numbers. Ends the command with a sentence where it is none."""
        if isinstance(value, tuple):
            return value
        found = []
        for word in str(value).split(","):
            digits = word.strip().lower().replace("_", "")
            factor = 1000 if digits.endswith("k") else 1
            digits = digits.removesuffix("k")
            if not digits.isdigit() or int(digits) == 0:
                self.fail(f"'{word}' is no whole number above 0; write for example 100,500,1k.")
            found.append(int(digits) * factor)
        return tuple(found)


NUMBERS = Numbers()


def exploring_options(function: Callable[..., int]) -> Callable[..., int]:
    """Options of every command that measures a plan of its own.

    The function gets what all its cases have in common as ``conditions``.
    """

    @wraps(function)
    def command(
        *,
        strategies: tuple[str, ...],
        shape: str | None,
        batch_size: int | None,
        transaction: Transaction,
        prefill: int,
        **others: Any,
    ) -> int:
        conditions = Conditions(
            strategies, shape, batch_size=batch_size, transaction=transaction, prefill=prefill
        )
        return function(conditions=conditions, **others)

    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one object."),
        click.option("--wait", "wait_seconds", type=click.FloatRange(min=0), default=60.0,
                     show_default=True, help="Seconds to wait for another run to end."),
        click.option("--batch-size", type=click.IntRange(min=1),
                     help="Rows per call of the strategy; default: all of the round."),
        click.option("--transaction", type=click.Choice(["round", "batch"]), default="round",
                     show_default=True, help="Commit once a round, or after every batch."),
        click.option("--prefill", type=click.IntRange(min=0), default=0, show_default=True,
                     help="Rows that are in the table before each round."),
        click.option("--shape", metavar="NAME", help="Table to insert into; default: orders."),
        click.option("--strategy", "strategies", multiple=True, metavar="NAME",
                     help="Only this strategy; may be given several times."),
        click.option("--target", metavar="NAME", help="Only this target; default: each in turn."),
    ):  # fmt: skip
        command = option(command)
    return command


def say(lines: Iterator[str], to: Console) -> None:
    """Lines as they are, however wide."""
    for line in lines:
        to.print(line, soft_wrap=True, markup=False)


def run_remarks(run: Run) -> Iterator[str]:
    """What failed, was disturbed or should be known of a run."""
    yield from remarks(run)


def estimate_as_json(estimate: Estimate | None) -> dict[str, float] | None:
    """An estimate with its interval and coverage."""
    if estimate is None:
        return None
    return {
        "median": estimate.median,
        "low": estimate.low,
        "high": estimate.high,
        "coverage": estimate.coverage,
    }


def run_as_json(run: Run) -> dict[str, Any]:
    """What is said of a run whose rounds are summed up elsewhere."""
    return {
        "id": run.id,
        "target": run.target,
        "started_at": run.started_at.isoformat(),
        "finished_at": run.finished_at.isoformat(),
        "outcome": run.outcome,
        "wal_bytes": run.wal_bytes,
        "failures": [
            {"reason": each.reason, "message": each.message, "case": str(each.case or "")}
            for each in run.failures
        ],
        "notices": [asdict(notice) for notice in run.notices],
        "server_version": run.environment.server_version if run.environment else None,
        "fingerprint": run.environment.fingerprint if run.environment else None,
    }


def exit_code(run: Run) -> int:
    """2 for a refused target, 1 for any failure."""
    if run.failure and run.failure.reason == "refused":
        return 2
    return 0 if run.outcome == "ok" else 1
