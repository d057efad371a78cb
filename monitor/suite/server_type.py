"""A column type by its name on the server, for types that SQLAlchemy knows nothing of."""

from __future__ import annotations

from typing import Any

from sqlalchemy.types import UserDefinedType


class ServerType(UserDefinedType[Any]):
    """A type written as the server writes it; values go to the driver as they are.

    Rendered as a cast of every parameter, like SQLAlchemy's own types for asyncpg.
    """

    cache_ok = True
    render_bind_cast = True

    def __init__(self, text: str) -> None:
        self.text = text

    def get_col_spec(self, **_: Any) -> str:
        """The type's name as in SQL."""
        return self.text
