"""What the sections of the settings are made of: durations, ratios, names, secrets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

_DURATIONS = "write for example 30s, 10min or 1h"
_UNITS = {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_DURATION = rf"^\s*\d+(\.\d+)?\s*({'|'.join(_UNITS)})?\s*$"
_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def told(text: str) -> str:
    """A wrong value as an error may tell it: not what may be a DSN in the wrong place."""
    return "a URL" if "://" in text else f"'{text}'"


def parse_duration(value: object) -> object:
    """Seconds from a number or from text such as ``30s``, ``10min``, ``1h``; else unchanged."""
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is not a duration; {_DURATIONS}")
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", value.lower())
    if match is None or match[2] not in {"", *_UNITS}:
        raise ValueError(f"{told(value)} is not a duration; {_DURATIONS}")
    return float(match[1]) * _UNITS.get(match[2], 1)


Duration = Annotated[
    float,
    BeforeValidator(
        parse_duration,  # what it takes, for JSON schemas
        json_schema_input_type=Annotated[float, Field(gt=0)]
        | Annotated[str, Field(pattern=_DURATION)],
    ),
    Field(gt=0, allow_inf_nan=False),
]
Share = Annotated[float, Field(gt=0, lt=1)]
Ratio = Annotated[float, Field(gt=0, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(gt=0)]


def _schema_name(name: str) -> str:
    if not _SCHEMA_NAME.fullmatch(name):
        raise ValueError(
            f"{told(name)} cannot be the schema: use lower-case letters, digits and _, a letter or"
            " _ first, at most 63"
        )
    return name


SchemaName = Annotated[str, AfterValidator(_schema_name)]


def read_secret(value: SecretStr | None, file: Path | None, name: str) -> str | None:
    """A secret given as such or as the file that holds it. Raises ValueError."""
    if file is None:
        return value.get_secret_value() if value else None
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        where = f"{name}, given a URL" if ":/" in str(file) else f"{name} {file}"
        raise ValueError(f"{where}: {why}") from None


class Section(BaseModel):
    """A part of the settings; unknown keys are errors, and errors tell no value."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, frozen=True, use_attribute_docstrings=True
    )
