"""Explained statements of a target: asked for by hand, or once in every new environment.

Kept for each environment, they are the evidence before and after a change.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from uuid import uuid4

from monitor.canary.connection import Canary
from monitor.config.settings import Settings
from monitor.daemon.assembly import stored, wal_ledger
from monitor.daemon.fingerprint_key import fingerprint_key
from monitor.daemon.ledger import Entry
from monitor.daemon.replicas import client_facts
from monitor.environment import Environment
from monitor.errors import StoreError, TargetError
from monitor.measure.explain import Explained, explain
from monitor.measure.explained import case_as_json, subject_of
from monitor.model import Plan
from monitor.store.explorations import Exploration, keep, newest

log = logging.getLogger(__name__)


async def explain_target(
    settings: Settings,
    plan: Plan,
    canary: Canary,
    wait_seconds: float,
    *,
    passing: bool = False,
) -> Explained:
    """Explain the plan's cases on a target, within its WAL budget.

    ``passing``: the plan's tables are not the suite's and go again. Raises TargetError.
    """
    ledger, now = wal_ledger(settings), datetime.now(UTC)
    limits = settings.limits.limits()
    found = await explain(
        canary,
        plan,
        limits,
        hash_key=fingerprint_key(settings),
        facts=client_facts(settings),
        wal_allowance=ledger.allowance(canary.target.name, limits.wal_bytes_per_day, now),
        wait_seconds=wait_seconds,
        passing=passing,
    )
    if found.wal_bytes is not None:
        ledger.add(Entry(now, canary.target.name, found.wal_bytes))
    return found


def to_keep(explained: Explained) -> list[Exploration]:
    """What the store shall hold: a finding for each case that came through."""
    return [
        Exploration(
            uuid4().hex,
            explained.target,
            explained.at,
            "explain",
            subject_of(each),
            explained.environment,
            case_as_json(each),
        )
        for each in explained.explanations
        if each.sent
    ]


async def keep_evidence(
    settings: Settings, plan: Plan, canary: Canary, environment: Environment
) -> bool:
    """Explain the plan and keep that, unless the store has statements of this environment.

    Returns whether nothing is left to be done: what cannot be done now, or not be kept, is done
    after the next run. Between runs: it takes the target's lock.
    """
    name = canary.target.name
    try:
        async with stored(settings, create=True) as database:
            known = await newest(database, "explain", target=name)
            if environment.fingerprint in {
                e.environment.fingerprint for e in known if e.environment
            }:
                return True
            found = await explain_target(settings, plan, canary, wait_seconds=0.0)
            await keep(database, to_keep(found))
    except (StoreError, TargetError) as error:
        log.info("%s: statements not explained: %s", name, error)
        return False
    log.info("%s: the statements of a new environment are explained and kept", name)
    return True
