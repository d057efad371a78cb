"""All families of checks in order."""

from __future__ import annotations

from monitor.canary.checks.access import access
from monitor.canary.checks.checkpoints import checkpoints
from monitor.canary.checks.durability import durability
from monitor.canary.checks.facts import Facts
from monitor.canary.checks.finding import Finding, worst_first
from monitor.canary.checks.hooks import hooks
from monitor.canary.checks.host import host
from monitor.canary.checks.maintenance import maintenance
from monitor.canary.checks.replication import replication
from monitor.canary.checks.server import server
from monitor.canary.checks.statements import statements
from monitor.canary.checks.way import way

FAMILIES = (
    access,
    statements,
    way,
    hooks,
    checkpoints,
    maintenance,
    replication,
    durability,
    server,
    host,
)


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """What every check found, the worst first."""
    return worst_first(finding for family in FAMILIES for finding in family(facts))
