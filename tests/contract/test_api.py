"""The API keeps what its OpenAPI description says, and names cannot break out of a page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from monitor.export.describe import case_id
from monitor.export.openapi import API, RESOURCES, description
from monitor.export.site import Contents, Site
from monitor.export.snapshot import TargetTally
from monitor.model import CaseKey, Failure
from tests.builders import AT, change, judgement, usual_run
from tests.sites import served, snapshot, tally
from tests.sweeps import several

DESCRIPTION = json.loads(description())
HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"


@pytest.fixture(scope="module")
def contents() -> Contents:
    """A target with a long past, one with a single run, one that was never measured."""
    young, swept = tally("young", 1, None), tally(runs=80, index_at=40)
    swept.past.set_sweeps(several())
    never = TargetTally("never", 600.0, young.planned)
    return Site().contents(snapshot(swept, young, never))


def body(contents: Contents, path: str) -> bytes:
    return b"".join(contents[path].parts)


def schema_of(path: str) -> dict[str, Any]:
    """The schema of what is answered for a path that exists."""
    for template, item in DESCRIPTION["paths"].items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path.removeprefix(API)):
            answer: dict[str, Any] = item["get"]["responses"]["200"]["content"]["application/json"]
            return {**answer["schema"], "components": DESCRIPTION["components"]}
    raise AssertionError(f"{path} is not described")


def closed(schema: Any) -> Any:
    """The schema with nothing allowed that it does not name."""
    if isinstance(schema, dict):
        more = {"additionalProperties": False} if "properties" in schema else {}
        return {**{name: closed(part) for name, part in schema.items()}, **more}
    return [closed(part) for part in schema] if isinstance(schema, list) else schema


def test_every_document_is_what_its_description_says_and_no_more(contents: Contents) -> None:
    documents = [path for path in contents if path.startswith(API)]
    assert len(documents) > 3 * len(RESOURCES)
    for path in documents:
        document = json.loads(body(contents, path))
        schema = schema_of(path)
        Draft202012Validator.check_schema(schema)
        errors = [e.message for e in Draft202012Validator(closed(schema)).iter_errors(document)]
        assert errors == [], path


def test_every_described_path_is_served(contents: Contents) -> None:
    names = {"{target}": "main", "{case}": "orm_bulk.orders.20000"}
    for resource in RESOURCES:
        path = API + resource.path
        for name, value in names.items():
            path = path.replace(name, value)
        assert path in contents


def test_every_field_is_required_so_that_unknown_is_null_and_never_absent() -> None:
    for name, schema in DESCRIPTION["components"]["schemas"].items():
        if "properties" in schema:
            assert set(schema["properties"]) == set(schema["required"]), name


def test_units_stand_in_the_names_of_numbers() -> None:
    units = ("_seconds", "_per_second", "_ratio", "_bytes", "_per_row", "_low", "_high", "_fast")
    counts = {"rows", "batch_size", "rows_per_call", "statistic", "strategies", "of", "rounds",
              "consecutive_failures", "open_regressions", "samples", "errors", "dropped_samples",
              "spooled_samples", "expected_false_alarms_per_month", "value", "values", "elbow",
              "elbow_before", "failures"}  # fmt: skip
    for schema in DESCRIPTION["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            kinds = {each.get("type") for each in (field, *field.get("anyOf", ()))}
            if kinds & {"number", "integer"}:
                assert name in counts or name.endswith(units), name


def test_the_points_of_a_case_have_a_column_for_each_value(contents: Contents) -> None:
    points = json.loads(body(contents, f"{API}/targets/main/cases/orm_bulk.orders.20000/points"))
    assert len(points["points"]) == 80
    assert {len(point) for point in points["points"]} == {len(points["columns"])}
    assert json.loads(
        body(contents, f"{API}/targets/never/cases/orm_bulk.orders.20000/points")
    ) == {"columns": points["columns"], "points": []}


def test_ids_of_cases_differ_and_are_fit_for_a_path() -> None:
    keys = [CaseKey("copy", "orders", 10, ""), CaseKey("copy", "orders", 10, "rows=5"),
            CaseKey("copy", "orders", 10, "rows=6"), CaseKey("co/py", "orders", 10, ""),
            CaseKey("co_py", "orders", 10, ""), CaseKey("copy", "o.r", 10, ""),
            CaseKey("copy.o", "r", 10, "")]  # fmt: skip
    ids = [case_id(key) for key in keys]
    assert len(set(ids)) == len(keys)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", each) for each in ids)
    assert ids[0] == "copy.orders.10"


def test_what_users_name_is_text_on_a_page() -> None:
    run = usual_run()
    case = replace(run.cases[0].case, variant=HOSTILE)
    failure = Failure(AT, "server_error", HOSTILE, case.key, 1)
    results = (replace(run.cases[0], case=case, failures=(failure,)),)
    made_with = replace(run.environment, server={HOSTILE: HOSTILE}) if run.environment else None
    own = TargetTally("main", 600.0, frozenset({case.key}))
    own.changes = (change(case.key, cause="setting:x", counter=HOSTILE),)
    own.add_run(replace(run, cases=results, environment=made_with), judgement(*own.changes))
    contents = Site().contents(snapshot(own))
    for path in ("/", "/targets/main"):
        page = body(contents, path).decode()
        assert "<script>alert" not in page
        assert "{{7*7}}" in page
        assert page.count("<script ") == 3


def test_nothing_is_rendered_again_that_did_not_change() -> None:
    site, one, other = Site(), tally("one", 5, None), tally("other", 5, None)
    before = site.contents(snapshot(one, other))
    other.round_trip_seconds = 0.5
    after = site.contents(snapshot(one, other))
    assert after["/targets/one"] is before["/targets/one"]
    assert after["/targets/other"] is not before["/targets/other"]


def test_nothing_is_rendered_while_a_run_goes_on() -> None:
    site, own = Site(), tally("main", 5, None)
    before = site.contents(snapshot(own))
    own.lock_held = True
    begun = site.contents(snapshot(own))
    assert begun is not before
    assert b"measuring now" in body(begun, "/")
    own.up = False
    assert site.contents(snapshot(own)) is begun
    own.lock_held = False
    assert b'"up":false' in body(site.contents(snapshot(own)), f"{API}/status")


def test_values_that_are_too_old_are_not_shown() -> None:
    own = tally("main", 20, None)
    old = replace(snapshot(own), at=AT + 100 * (AT - AT.replace(hour=13)))
    document = json.loads(body(Site().contents(old), f"{API}/targets/main"))
    assert {case["state"] for case in document["cases"]} == {"stale"}
    assert {case["rows_per_second"] for case in document["cases"]} == {None}


def test_schemathesis_finds_no_answer_that_is_not_described(tmp_path: Path) -> None:
    examples = {"target": "main", "case": "orm_bulk.orders.20000"}
    described = json.loads(description())
    for item in described["paths"].values():
        for parameter in item.get("parameters", ()):
            parameter["example"] = examples[parameter["name"]]
    (tmp_path / "openapi.json").write_text(json.dumps(described))
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert program, "schemathesis is of the dev requirements"
    with served(snapshot(tally(runs=30, index_at=10), tally("other", 2, None))) as url:
        done = subprocess.run(
            [program, "run", "openapi.json", "--url", f"{url}{API}", "--max-examples", "3",
             "--seed", "1", "--no-color"],
            capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
