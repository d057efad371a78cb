"""What a run stands on besides its cases: tables made ready, and the fingerprint of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from monitor.canary import likenesses, tables
from monitor.canary.connection import Session
from monitor.canary.environment import fingerprint
from monitor.environment import Environment
from monitor.measure.binding import Binding
from monitor.model import Load, Notice
from monitor.source import Blueprint


async def prepare(session: Session, binding: Binding) -> list[Notice]:
    """Make every table of the binding ready; returns what to tell the user about likenesses.

    Call with the lock held. Raises TargetRefused if anything in the way is not ours.
    """
    await tables.prepare(session, binding.tables)
    notices = await likenesses.build(session, binding.blueprints)
    if binding.staging:
        await tables.prepare(session, binding.staging)
    await likenesses.fill(session, binding.blueprints)
    return notices


def with_conditions(
    environment: Environment, blueprints: Sequence[Blueprint], load: Load | None
) -> Environment:
    """The environment with how the rows of likenesses are made, and with the concurrent load."""
    if not blueprints and load is None:
        return environment
    profiles = {
        b.table: "\n".join((environment.tables.get(b.table, ""), *b.profile)) for b in blueprints
    }
    tables_ = {**environment.tables, **profiles}
    client = {**environment.client, **({"concurrent load": str(load)} if load else {})}
    return replace(
        environment,
        client=client,
        tables=tables_,
        fingerprint=fingerprint(environment.server_version, environment.server, client, tables_),
    )
