"""The API's description, made from the documents' types: OpenAPI 3.1."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from monitor import __version__
from monitor.export.documents import (
    Changes,
    Environments,
    Points,
    Problem,
    Runs,
    Status,
    Sweeps,
    TargetDocument,
)

API = "/api/v1"
_SCHEMAS = "#/components/schemas/{model}"
_PARAMETERS = {
    "target": "Name of a target, as in the status.",
    "case": "Id of a case, as in the target's document.",
}


class Resource(NamedTuple):
    """One path of the API and what is answered there."""

    path: str
    model: type[BaseModel]
    summary: str


RESOURCES = (
    Resource("/status", Status, "Everything in short"),
    Resource("/targets/{target}", TargetDocument, "A target, its cases, and what stands"),
    Resource("/targets/{target}/runs", Runs, "The last runs and what disturbed them"),
    Resource("/targets/{target}/changes", Changes, "Changes with cause and evidence"),
    Resource("/targets/{target}/environments", Environments, "What runs were made with"),
    Resource("/targets/{target}/sweeps", Sweeps, "The last sweeps with their elbows"),
    Resource("/targets/{target}/cases/{case}/points", Points, "What the charts of a case show"),
)


def description() -> bytes:
    """The OpenAPI description as JSON."""
    of_all: list[type[BaseModel]] = [*(resource.model for resource in RESOURCES), Problem]
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (each, "serialization") for each in of_all
    ]
    _, schemas = models_json_schema(models, ref_template=_SCHEMAS)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "ingest-canary",
            "version": __version__,
            "description": (
                "What the status page shows, read only. Times are UTC, units stand in names, null"
                " is not known. Answers are those of the newest finished run; asking costs the"
                " canary and the store nothing."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "."}],
        "paths": {
            **{each.path: _path(each) for each in RESOURCES},
            "/openapi.json": {"get": _description_of_itself()},
        },
        "components": {"schemas": schemas["$defs"]},
    }
    return json.dumps(document, indent=1).encode()


def _path(resource: Resource) -> dict[str, Any]:
    named = [name for name in _PARAMETERS if "{" + name + "}" in resource.path]
    problems = {"503": _answer(Problem, "Nothing is published yet; ask again in a second.")}
    if named:
        problems["404"] = _answer(Problem, "There is no such target or case.")
    operation = {
        "operationId": resource.model.__name__.removesuffix("Document").lower(),
        "summary": resource.summary,
        "responses": {"200": _answer(resource.model, resource.summary + "."), **problems},
    }
    return {"get": operation, "parameters": [_parameter(name) for name in named]}


def _description_of_itself() -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "operationId": "openapi",
        "summary": "This description",
        "responses": {"200": {"description": "This description.", "content": content}},
    }


def _parameter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": _PARAMETERS[name],
        "schema": {"type": "string", "minLength": 1},
    }


def _answer(model: type[BaseModel], text: str) -> dict[str, Any]:
    schema = {"$ref": _SCHEMAS.format(model=model.__name__)}
    return {"description": text, "content": {"application/json": {"schema": schema}}}
