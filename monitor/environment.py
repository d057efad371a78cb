"""What a run was made with, and how two such fingerprints differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

#: How the value of a setting begins that is known by a keyed hash only, and which client fact
#: names the key.
HASHED = "hash:"
HASH_KEY = "hash key"


@dataclass(frozen=True, slots=True)
class Environment:
    """The fingerprint of a run: all that can change what inserts cost, besides the code under test.

    ``server`` holds settings by name: those that can matter to inserts with their values, others
    that are not at their defaults as keyed hashes, since some hold secrets. ``client`` holds
    versions and host facts, ``tables`` the definition of each of our tables, a line per part.
    """

    server_version: str
    server: Mapping[str, str]
    client: Mapping[str, str]
    tables: Mapping[str, str]
    fingerprint: str

    def as_json(self) -> dict[str, Any]:
        """All of it, as JSON can hold it; ``Environment(**…)`` takes it back."""
        return {
            "server_version": self.server_version,
            "server": dict(self.server),
            "client": dict(self.client),
            "tables": dict(self.tables),
            "fingerprint": self.fingerprint,
        }

    def differences(self, other: Environment) -> tuple[Difference, ...]:
        """What is otherwise in ``other``, the later one, than here: one entry per fact.

        Tables are compared line by line, so that an added index is one entry with nothing before.
        """
        found = [*_changed("client", self.client, other.client)]
        if self.server_version != other.server_version:
            version = Difference("version", "server", self.server_version, other.server_version)
            found.insert(0, version)
        found += _changed("server", *_comparable(self, other))
        for name in sorted({*self.tables, *other.tables}):
            found += _changed_lines(name, self.tables.get(name), other.tables.get(name))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Difference:
    """One fact that differs between two environments; None where it is absent.

    ``name`` is a setting, a library or a table; of a table, ``before`` and ``after`` are lines of
    its definition.
    """

    part: Literal["version", "server", "client", "tables"]
    name: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.name}: added {self.after}"
        if self.after is None:
            return f"{self.name}: removed {self.before}"
        if self.before.startswith(HASHED) and self.after.startswith(HASHED):
            return f"{self.name}: changed (its values are not kept)"
        return f"{self.name}: {self.before} → {self.after}"


def _changed(
    part: Literal["server", "client"], before: Mapping[str, str], after: Mapping[str, str]
) -> list[Difference]:
    names = sorted({*before, *after})
    pairs = [Difference(part, name, before.get(name), after.get(name)) for name in names]
    return [pair for pair in pairs if pair.before != pair.after]


def _comparable(
    before: Environment, after: Environment
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Their server settings; without the hashed ones where another key hashed them."""
    if before.client.get(HASH_KEY) == after.client.get(HASH_KEY):
        return before.server, after.server
    hashed = {
        name
        for server in (before.server, after.server)
        for name, value in server.items()
        if value.startswith(HASHED)
    }
    kept = [
        {name: value for name, value in server.items() if name not in hashed}
        for server in (before.server, after.server)
    ]
    return kept[0], kept[1]


def _changed_lines(table: str, before: str | None, after: str | None) -> list[Difference]:
    if before is None or after is None:
        whole = Difference("tables", table, before, after)
        return [] if before == after else [whole]
    old, new = before.splitlines(), after.splitlines()
    removed = [Difference("tables", table, line, None) for line in old if line not in new]
    added = [Difference("tables", table, None, line) for line in new if line not in old]
    return removed + added
