"""A server's settings with their units, as far as the role may see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_BYTES: Mapping[str, int] = {"B": 1, "kB": 1 << 10, "8kB": 1 << 13, "MB": 1 << 20, "GB": 1 << 30}
_SECONDS: Mapping[str, float] = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of pg_settings; ``context`` tells how it can be changed."""

    name: str
    value: str
    unit: str = ""
    context: str = "user"
    source: str = "default"
    pending_restart: bool = False

    def __str__(self) -> str:
        if self.unit in _BYTES and self.value.lstrip("-").isdigit() and int(self.value) > 0:
            return _as_size(int(self.value) * _BYTES[self.unit])
        separator = " " if self.unit and self.value.lstrip("-").isdigit() else ""
        return f"{self.value}{separator}{self.unit if separator else ''}"


def _as_size(count: int) -> str:
    for unit in ("GB", "MB", "kB"):
        if count % _BYTES[unit] == 0:
            return f"{count // _BYTES[unit]} {unit}"
    return f"{count} B"


class Settings(Mapping[str, Setting]):
    """Settings by name. One that is absent is unknown: to the server, or to this role."""

    def __init__(self, settings: Mapping[str, Setting]) -> None:
        self._settings = dict(settings)

    def __getitem__(self, name: str) -> Setting:
        return self._settings[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings)

    def __len__(self) -> int:
        return len(self._settings)

    def text(self, name: str) -> str | None:
        """The value as the server stores it."""
        found = self.get(name)
        return None if found is None else found.value

    def number(self, name: str) -> float | None:
        """The value as a number, in the setting's own unit."""
        try:
            return float(self[name].value)
        except (KeyError, ValueError):
            return None

    def size(self, name: str) -> int | None:
        """The value in bytes; -1 and other special values stay as they are."""
        number = self.number(name)
        if number is None or number <= 0:
            return None if number is None else int(number)
        return int(number * _BYTES.get(self[name].unit, 1))

    def seconds(self, name: str) -> float | None:
        """The value in seconds; 0 and -1 mean what they mean to the server."""
        number = self.number(name)
        if number is None or number <= 0:
            return number
        return number * _SECONDS.get(self[name].unit, 1)

    def on(self, name: str) -> bool | None:
        """Whether a switch is on."""
        value = self.text(name)
        return None if value is None else value == "on"
