"""Reads the tables that shapes are made like, where a plan names any."""

from __future__ import annotations

from dataclasses import dataclass, replace

from monitor.canary.source_table import read_table
from monitor.errors import TargetError
from monitor.model import Plan, Target
from monitor.suite.mirror.likeness import likeness
from monitor.workload import Shape


@dataclass(frozen=True, slots=True)
class Reading:
    """A plan whose sources are read as far as possible, and the shapes where that failed."""

    plan: Plan
    failed: dict[str, TargetError]


async def read_sources(plan: Plan, target: Target) -> Reading:
    """Make shapes of the tables that the plan names; what is no likeness stays as it is.

    A source that cannot be read now is no reason to leave the other cases unmeasured: it is
    returned with its error, and may be read the next time.
    """
    made: dict[str, Shape] = {}
    failed: dict[str, TargetError] = {}
    for shape in plan.shapes:
        if shape.source is None or shape.blueprint is not None:
            continue
        own = [case for case in plan.cases if case.shape.name == shape.name]
        rows = max(case.prefill + case.rows for case in own)
        try:
            table = await read_table(shape.source, target)
            like = likeness(table, shape.name, target.schema, max(rows, plan.warm_up_rows))
        except TargetError as error:
            failed[shape.name] = _named(error, shape.source.table)
        else:
            made[shape.name] = replace(like, source=shape.source)
    cases = tuple(replace(case, shape=made.get(case.shape.name, case.shape)) for case in plan.cases)
    return Reading(replace(plan, cases=cases), failed)


def _named(error: TargetError, table: str) -> TargetError:
    """The same error, saying which table it is about."""
    text = str(error)
    return error if text.startswith("from_table ") else type(error)(f"from_table {table}: {text}")
