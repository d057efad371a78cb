"""What a run stands on besides its cases: likenesses made ready, and the fingerprint of it all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from monitor.canary import likenesses, tables
from monitor.canary.connection import Session
from monitor.canary.environment import fingerprint
from monitor.environment import Environment
from monitor.errors import TargetError, TargetRefused
from monitor.measure.binding import Binding
from monitor.model import Load, Notice
from monitor.source import Blueprint


async def prepare_likenesses(
    session: Session, binding: Binding
) -> tuple[list[Notice], dict[str, TargetError]]:
    """Build what is made like a table, and staging tables; call after ``tables.prepare``.

    Returns what to tell the user, and by the name of the shape what could not be built here.
    """
    notices: list[Notice] = []
    failed: dict[str, TargetError] = {}
    for name, blueprint in binding.blueprints.items():
        try:
            notices += await likenesses.build(session, blueprint)
        except TargetRefused as error:
            failed[name] = error
    ready = [bound for name, bound in binding.shapes.items() if name not in failed]
    staging = [bound.staging for bound in ready if bound.staging is not None]
    if staging:
        await tables.prepare(session, staging)
    for name, blueprint in binding.blueprints.items():
        if name not in failed:
            await likenesses.fill(session, blueprint)
    return notices, failed


def with_conditions(
    environment: Environment,
    blueprints: Iterable[Blueprint],
    load: Load | None,
    facts: Mapping[str, str],
) -> Environment:
    """The environment with how the rows of likenesses are made, with the concurrent load, and with
    more facts of the client."""
    profiles = {
        b.table: "\n".join((environment.tables[b.table], *b.profile))
        for b in blueprints
        if b.table in environment.tables
    }
    if not profiles and load is None and not facts:
        return environment
    definitions = {**environment.tables, **profiles}
    under = {"concurrent load": str(load)} if load else {}
    client = {**environment.client, **under, **facts}
    return replace(
        environment,
        client=client,
        tables=definitions,
        fingerprint=fingerprint(
            environment.server_version, environment.server, client, definitions
        ),
    )
