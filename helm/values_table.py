"""The table of values in the chart's README, from the comments in values.yaml.

A comment that begins with ``# --`` describes the value below it, over several lines if need be;
``# @section`` begins a table of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

BEGIN = "<!-- values: begin; made by `make chart` from the comments in values.yaml -->"
END = "<!-- values: end -->"


@dataclass(frozen=True)
class Row:
    """A value: its section and dotted name, its default, what is said of it."""

    section: str
    name: str
    default: Any
    description: str


def rows(text: str) -> list[Row]:
    """Every value that has a description, in the file's order."""
    defaults = yaml.safe_load(text)
    return [
        Row(section, ".".join(path), _at(defaults, path), description)
        for section, path, description in _described(text)
    ]


def undescribed(text: str) -> list[str]:
    """Values that no comment describes, neither by themselves nor with what they are part of."""
    told = {row.name for row in rows(text)}
    return [name for name in _leaves(yaml.safe_load(text), ()) if not _covered(name, told)]


def with_table(readme: str, values: str) -> str:
    """The README with its tables renewed. Raises ValueError if it has no place for them."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the README has no lines '{BEGIN}' and '{END}'")
    return f"{before}{BEGIN}\n{_tables(rows(values))}\n{END}{after}"


def _described(text: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    section, said, path = "", [], []
    for line in text.splitlines():
        if match := re.fullmatch(r"# @section (.+)", line):
            section = match[1]
        elif match := re.fullmatch(r" *# -- (.+)", line):
            said = [match[1]]
        elif said and (match := re.fullmatch(r" *# (.+)", line)):
            said.append(match[1])
        elif match := re.match(r"( *)([A-Za-z0-9_]+):", line):
            path[len(match[1]) // 2 :] = [match[2]]
            if said:
                yield section, tuple(path), " ".join(said)
            said = []
        else:
            said = []


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        tree = tree[part]
    return tree


def _leaves(tree: Any, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from _leaves(value, (*path, key))
    else:
        yield ".".join(path)


def _covered(name: str, told: set[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:length]) in told for length in range(1, len(parts) + 1))


def _tables(values: list[Row]) -> str:
    lines: list[str] = []
    section = None
    for row in values:
        if row.section != section:
            section = row.section
            lines += ["", f"### {section}", "", "| value | default | meaning |", "|---|---|---|"]
        default = json.dumps(row.default, ensure_ascii=False)
        cells = f"`{row.name}`", f"`{default}`", row.description
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
