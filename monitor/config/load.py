"""Where settings come from, and what is said when one is wrong.

Weaker to stronger: defaults, TOML file, environment ``INGEST_CANARY_…`` (nested by ``__``), command
line. Every error is one sentence that names the file and key, variable or option.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsError,
)

from monitor.config.dsn import EXECUTEMANY_MODE
from monitor.config.settings import PREFIX, Settings
from monitor.config.suite import FORMS
from monitor.errors import ConfigurationError

#: Names with our prefix that are not settings: the file itself, and what tests are told.
CONFIG_VARIABLE = f"{PREFIX}CONFIG"
TEST_PREFIX = f"{PREFIX}TEST_"

Location = tuple[int | str, ...]

#: Options of the command line that are not named like the setting they give.
_OPTIONS: Mapping[Location, str] = {
    ("log", "format"): "--log-format",
    ("log", "level"): "--log-level",
    ("web", "config_file"): "--web-config",
}

#: What is said instead of pydantic's words for an error, by its type.
_WORDS: Mapping[str, str] = {
    "missing": "is required",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "tuple_type": "must be a list",
    "int_parsing": "must be a whole number",
    "byte_size": "is not a size; write for example 500MB or 2GiB",
    "byte_size_unit": "is not a size; write for example 500MB or 2GiB",
}


def load(path: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Merge all sources into settings.

    ``path`` is the TOML file (default: ``INGEST_CANARY_CONFIG``), ``overrides`` what the command
    line gave, nested like the settings. Raises ConfigurationError.
    """
    variable = os.environ.get(CONFIG_VARIABLE)
    path = path or (Path(variable) if variable else None)
    content = _read(path) if path else {}
    origin = _Origin(path, content, overrides or {})
    _reject_unknown_variables()
    # pydantic-settings would log every source's values, secrets among them.
    os.environ.pop("PYDANTIC_SETTINGS_DEBUG", None)
    try:
        return _layered(content)(**(overrides or {}))
    except ValidationError as error:
        raise ConfigurationError(_sentence(error.errors(include_input=False), origin)) from None
    except SettingsError as error:
        variable = _variable_with(getattr(error.__cause__, "doc", None))
        raise ConfigurationError(
            f"environment {variable}: not valid JSON, the form of lists and tables in variables."
        ) from None


def _layered(content: dict[str, Any]) -> type[Settings]:
    class LayeredSettings(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, content)

    return LayeredSettings


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not valid TOML: it is not UTF-8 text.") from None


class _Origin:
    """Says in the user's words where the value at a location came from."""

    def __init__(
        self, path: Path | None, content: Mapping[str, Any], overrides: Mapping[str, Any]
    ) -> None:
        self._path = path
        self._content = content
        self._overrides = overrides

    def name(self, location: Location) -> str:
        if not location:  # of the settings as a whole: the sentence names the keys
            return str(self._path or "settings")
        dotted = ".".join(str(part) for part in location)
        if _holds(self._overrides, location):
            return _OPTIONS.get(location, f"--{str(location[-1]).replace('_', '-')}")
        variable = _variable(location)
        for depth in range(len(location), 0, -1):
            if (whole := _variable(location[:depth])) in os.environ:
                return ": ".join((f"environment {whole}", *_joined(location[depth:])))
        if _holds(self._content, location[:1]):
            return f"{self._path}: {dotted}"
        return f"environment {variable}" if _environment_sets(variable) else dotted


def _variable(location: Location) -> str:
    return PREFIX + "__".join(str(part) for part in location).upper()


def _joined(location: Location) -> tuple[str, ...]:
    return (".".join(str(part) for part in location),) if location else ()


def _holds(tree: Any, location: Location) -> bool:
    for part in location:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _environment_sets(variable: str) -> bool:
    return any(name.startswith(f"{variable}__") for name in os.environ)


def _sentence(errors: list[ErrorDetails], origin: _Origin) -> str:
    errors = [_without_forms(error) for error in errors]
    first, *more = (error for error in errors if not _follows(error, errors))
    text = f"{origin.name(first['loc'])}: {_what(first)}"
    return _ended(f"{text} (and {len(more)} more)" if more else text)


def _without_forms(error: ErrorDetails) -> ErrorDetails:
    """Without what pydantic adds to the place to tell the forms of a setting apart."""
    location = tuple(part for part in error["loc"] if part not in FORMS)
    return ErrorDetails(**{**error, "loc": location})


def _ended(text: str) -> str:
    return text if text.endswith("?") else f"{text}."


def _follows(error: ErrorDetails, errors: Sequence[ErrorDetails]) -> bool:
    """Whether it is about a whole of which a part is wrong: a tuple short of a wrong item."""
    depth = len(error["loc"])
    return any(
        len(other["loc"]) > depth and other["loc"][:depth] == error["loc"] for other in errors
    )


def _what(error: ErrorDetails) -> str:
    key = str(error["loc"][-1]) if error["loc"] else ""
    if key == "executemany_mode":
        return EXECUTEMANY_MODE
    if error["type"] == "extra_forbidden":
        return _unknown(key, _known_keys(error["loc"][:-1]), "setting")
    text = error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return _WORDS.get(error["type"], text)


def _unknown(key: str, known: Sequence[str], kind: str, prefix: str = "") -> str:
    """The prefix is left out of the comparison: it would make every name alike."""
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if nearest:
        return f"unknown {kind}; did you mean '{prefix}{nearest[0]}'?"
    return f"unknown {kind}; known here: {', '.join(prefix + name for name in sorted(known))}"


def _known_keys(location: Location) -> list[str]:
    model: type[BaseModel] = Settings
    for part in location:
        field = model.model_fields.get(str(part))
        if field is not None:
            model = next(_models_in(field.annotation), model)
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _reject_unknown_variables() -> None:
    known = [name.upper() for name in Settings.model_fields]
    for variable in sorted(os.environ):
        ours = variable.startswith(PREFIX) and not variable.startswith(TEST_PREFIX)
        if not ours or variable == CONFIG_VARIABLE:
            continue
        key = variable.removeprefix(PREFIX).partition("__")[0]
        if key not in known:
            what = _unknown_variable(key, [*known, CONFIG_VARIABLE.removeprefix(PREFIX)])
            raise ConfigurationError(_ended(f"environment {variable}: {what}"))


def _unknown_variable(key: str, names: Sequence[str]) -> str:
    if key == "EXECUTEMANY_MODE":
        return EXECUTEMANY_MODE
    return _unknown(key, names, "variable", PREFIX)


def _variable_with(value: str | None) -> str:
    """The variable that holds a value that could not be read; the value itself may be secret."""
    names = (name for name, text in os.environ.items() if name.startswith(PREFIX) and text == value)
    return next(names, f"{PREFIX}…")
