"""Examine a target: look at it and at this host for a while, and say what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter

from monitor.canary.checks.diagnosis import diagnose
from monitor.canary.checks.facts import Facts, Host, Workload
from monitor.canary.checks.finding import Finding, error, ok, worst_first
from monitor.canary.checks.gather import gather
from monitor.canary.checks.machine import this_host
from monitor.errors import TargetError
from monitor.measure.disturbance import host_activity, pressure_ratio, steal_ratio
from monitor.model import Target

#: What to look at first when a target cannot be reached, by the error's reason.
_REMEDIES: Mapping[str, str] = {
    "unavailable": "look whether the server runs and lets this host in (pg_hba.conf, firewall)",
    "authentication": "look at role and password of the DSN, and at pg_hba.conf",
    "server_error": "look at connect.server_settings and at what the DSN sends",
}


@dataclass(frozen=True, slots=True)
class Examination:
    """What was seen of a target, None if it could not be reached, and what that means."""

    facts: Facts | None
    findings: tuple[Finding, ...]


async def examine(target: Target, workload: Workload, window: float = 1.0) -> Examination:
    """Look for some ``window`` seconds, changing nothing; never raises TargetError."""
    host = this_host()
    before, started = host_activity(), perf_counter()
    try:
        facts = await gather(target, workload, host, window)
    except TargetError as failed:
        return Examination(None, (unreachable(failed),))
    seconds = perf_counter() - started
    after = host_activity()
    seen: Host = replace(
        host,
        seconds=seconds,
        steal_ratio=steal_ratio(before, after),
        pressure_ratio=pressure_ratio(before, after, seconds),
    )
    facts = replace(facts, host=seen)
    reached = ok("connection", f"reached database {facts.identity.database} as {facts.role.name}")
    return Examination(facts, worst_first((reached, *diagnose(facts))))


def unreachable(failed: TargetError) -> Finding:
    """The finding of a target that could not be looked at."""
    return error("connection", str(failed).rstrip("."), _REMEDIES.get(failed.reason, ""))
