"""How a setting is changed for our sessions alone."""

from __future__ import annotations

from monitor.canary.checks.facts import Facts
from monitor.canary.identifiers import quote


def ours_by_choice(facts: Facts, name: str) -> bool:
    """Whether the target's own ``connect.server_settings`` sets it."""
    return name in dict(facts.target.connect.server_settings)


def for_our_sessions(facts: Facts, name: str, value: str) -> str:
    """One line that gives a setting another value in our sessions only."""
    if ours_by_choice(facts, name):
        return f"{name} = {value} in the target's connect.server_settings"
    return f"ALTER ROLE {quote(facts.role.name)} SET {name} = {value}"
