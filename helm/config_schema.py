"""The JSON schema of the values `config` and `targets.*.settings`, from the program's settings."""

from __future__ import annotations

from typing import Any

from monitor.config.settings import Settings

#: Settings that the chart gives itself, from other values: by the name of their table.
CHARTS_OWN = {
    "": (
        "data_dir",
        "targets",
        "fingerprint_key",
        "fingerprint_key_file",
        "embedded_bin_dir",
        "grace_period",
        "holder",
        "node",
    ),
    "TargetSettings": ("dsn", "dsn_file"),
    "StoreSettings": ("url", "url_file"),
    "WebSettings": ("host", "port", "config_file"),
}
#: The target's settings have a name of their own in the schema: they are not part of `config`.
TARGET = "target"


def config_definitions() -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of `config`, and what it and the one of `targets` refer to."""
    schema = Settings.model_json_schema()
    definitions: dict[str, Any] = schema.pop("$defs")
    for name, definition in ("", schema), *definitions.items():
        for setting in CHARTS_OWN.get(name, ()):
            definition["properties"].pop(setting, None)
        for described in definition.get("properties", {}).values():
            described.pop("default", None)  # stands in values.yaml where the chart has its own
            described.pop("title", None)
            described.pop("gt", None)  # pydantic's own words, said of a duration as a whole
            described.pop("ge", None)
        definition.pop("title", None)
    definitions[TARGET] = definitions.pop("TargetSettings")
    return {**schema, "default": {}}, definitions
