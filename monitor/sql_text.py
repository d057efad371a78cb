"""SQL as text: quoted names and literals, and names exchanged in what a server deparsed."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: String literals and quoted identifiers whole, so that nothing inside them is taken for SQL.
_TOKEN = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[A-Za-z_\u0080-\uffff][\w$]*|\s+|.""", re.DOTALL
)


def quote(name: str) -> str:
    """The name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """Schema and name, both quoted."""
    return f"{quote(schema)}.{quote(name)}"


def literal(text: str) -> str:
    """The text as an SQL string literal, for statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


def tokens(text: str) -> list[str]:
    """The text cut into literals, identifiers, white space and single characters."""
    return _TOKEN.findall(text)


def renamed(text: str, names: Mapping[tuple[str, str], str]) -> str:
    """The text with each ``schema.name`` that is a key of ``names`` exchanged for its value."""
    if not names:
        return text
    found, at, parts = tokens(text), 0, []
    while at < len(found):
        pair = (_plain(found[at]), _plain(found[at + 2])) if at + 2 < len(found) else ("", "")
        if pair in names and found[at + 1] == ".":
            parts.append(names[pair])
            at += 3
        else:
            parts.append(found[at])
            at += 1
    return "".join(parts)


def identifiers(text: str) -> set[str]:
    """Every word that could be a name, keywords among them."""
    return {_plain(token) for token in tokens(text) if token[0] == '"' or token[0].isalpha()}


def _plain(token: str) -> str:
    return token[1:-1].replace('""', '"') if token.startswith('"') else token
