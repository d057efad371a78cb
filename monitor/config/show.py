"""Settings as TOML: those in force with secrets masked, or the defaults with their comments."""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from monitor.config.dsn import without_secrets
from monitor.config.settings import Settings
from monitor.config.suite import CaseSettings, FromTableSettings, LoadSettings, SuiteSettings
from monitor.config.targets import ConnectSettings, TargetSettings


def masked(settings: Settings) -> str:
    """The settings in force, as a file that would bring them about but for the secrets."""
    values = settings.model_dump(by_alias=True, exclude_none=True)
    for name, target in settings.targets.items():
        if target.dsn is not None:
            values["targets"][name]["dsn"] = without_secrets(target.dsn.get_secret_value())
        sent = values["targets"][name]["connect"]["server_settings"]
        sent |= {each: "***" for each in sent if "." in each}  # an extension's may hold a secret
    _mask_sources(settings.suite, values["suite"])
    for name, suite in settings.suites.items():
        _mask_sources(suite, values["suites"][name])
    if settings.store.url is not None:
        values["store"]["url"] = without_secrets(settings.store.url.get_secret_value())
    if settings.fingerprint_key is not None:
        values["fingerprint_key"] = "***"
    return "\n".join(_table(values, ())).strip() + "\n"


def _mask_sources(suite: SuiteSettings, values: Mapping[str, Any]) -> None:
    for case, shown in zip(suite.cases, values["cases"], strict=True):
        if isinstance(case.shape, FromTableSettings) and case.shape.dsn is not None:
            shown["shape"]["dsn"] = without_secrets(case.shape.dsn.get_secret_value())


def _table(values: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    for key, value in values.items():
        if key not in tables:
            yield f"{_key(key)} = {_literal(value)}"
    for key, value in tables.items():
        yield from ("", f"[{'.'.join((*path, key))}]")
        yield from _table(value, (*path, key))


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _literal(name)


def _literal(value: Any) -> str:
    if isinstance(value, Mapping):
        items = [f"{_key(key)} = {_literal(item)}" for key, item in value.items() if item != {}]
        return f"{{ {', '.join(items)} }}"
    if isinstance(value, list | tuple):
        items = [_literal(item) for item in value]
        if any(isinstance(item, Mapping) for item in value):
            return "[\n" + "".join(f"  {item},\n" for item in items) + "]"
        return f"[{', '.join(items)}]"
    if isinstance(value, Path):
        value = str(value)
    return json.dumps(value, ensure_ascii=False)


def commented_defaults() -> str:
    """A file with every setting, its documentation above it, its default commented out."""
    lines = ["# ingest-canary: every setting with its default; uncomment what you change."]
    for model, path in (
        (Settings, ""),
        *((field.annotation, name) for name, field in _sections()),
        (LoadSettings, "suite.load"),
        (CaseSettings, "[suite.cases]"),
        (FromTableSettings, "suite.cases.shape"),
        (TargetSettings, "targets.main"),
        (ConnectSettings, "targets.main.connect"),
    ):
        lines += _commented(model, path)
    return "\n".join(lines) + "\n"


def _sections() -> list[tuple[str, FieldInfo]]:
    return [(name, field) for name, field in Settings.model_fields.items() if _is_section(field)]


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _commented(model: Any, path: str) -> Iterator[str]:
    yield ""
    if path:
        yield from _comment(inspect.getdoc(model) or "")
        yield f"# [{path}]"
    for name, field in model.model_fields.items():
        if _is_section(field) or name in ("targets", "cases"):
            continue
        yield from _comment(field.description or "")
        default = field.get_default(call_default_factory=True)
        absent = field.is_required() or default is None
        yield f"# {field.alias or name} = {'…' if absent else _literal(default)}"


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(" ".join(text.split()), 96):
        yield f"## {line}"
