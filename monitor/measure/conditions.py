"""What a run stands on besides its cases: likenesses made ready, and the fingerprint of it all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from monitor.canary import likenesses, tables
from monitor.canary.connection import Session
from monitor.canary.environment import fingerprint, read_environment
from monitor.environment import Environment
from monitor.errors import TargetError, TargetRefused
from monitor.measure.binding import Binding
from monitor.measure.fixtures import fill_parents
from monitor.model import Load, Notice
from monitor.source import Blueprint


async def furnish(
    session: Session, binding: Binding, *, passing: bool
) -> tuple[list[Notice], dict[str, TargetError]]:
    """Build what is made like a table, and staging tables; fill what foreign keys refer to.

    Call after ``tables.prepare``, ``passing`` as there. Returns what to tell the user, and by the
    name of the shape what could not be built here.
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
    await tables.add(session, staging, passing=passing)
    for name, blueprint in binding.blueprints.items():
        if name not in failed:
            await likenesses.fill(session, blueprint)
    await fill_parents(session, binding.parents)
    return notices, failed


async def read_conditions(
    session: Session,
    hash_key: bytes,
    binding: Binding,
    load: Load | None,
    facts: Mapping[str, str],
    *,
    alone: bool,
) -> Environment:
    """The environment with how the rows of likenesses are made, with the concurrent load, and with
    more facts of the client.

    ``alone``: it knows none of our tables but the binding's.
    """
    environment = await read_environment(session, hash_key, binding.names if alone else None)
    return _with_conditions(environment, binding.blueprints.values(), load, facts)


def _with_conditions(
    environment: Environment,
    blueprints: Iterable[Blueprint],
    load: Load | None,
    facts: Mapping[str, str],
) -> Environment:
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
