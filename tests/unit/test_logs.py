"""Logs: no form of a secret gets out, and a line is what a collector expects."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator

import pytest

from monitor.cli.logs import set_up_logging


@pytest.fixture(autouse=True)
def _root_logger_restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers, root.level = before


@pytest.mark.parametrize("form", ["plain", "json"])
@pytest.mark.parametrize("secret", ['s3cr"t', "s3cr\\t", "s3crät", "s3cr\tt"])
def test_a_secret_is_masked_however_the_format_escapes_it(
    form: str, secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging(form, "info", [secret])
    logging.getLogger("x").info("password %s!", secret)
    said = capsys.readouterr().err
    assert "s3cr" not in said
    assert "password ***!" in said


def test_a_secret_that_holds_another_is_masked_whole(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("plain", "info", ["abc", "abcdef"])
    logging.getLogger("x").info("abcdef and abc.")
    assert capsys.readouterr().err.endswith(" *** and ***.\n")


def test_a_plain_line_has_utc_time_level_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("plain", "info", [])
    logging.getLogger("x").warning("up")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ WARNING up\n", capsys.readouterr().err)


def test_a_json_line_is_one_object_also_with_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up_logging("json", "info", [])
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("x").exception("ä\nb")
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert set(found) == {"at", "level", "logger", "message", "traceback"}
    assert found["message"] == "ä\nb"
    assert found["traceback"].endswith("ValueError: two\nlines")
    assert found["at"].endswith("+00:00")


def test_levels_below_the_chosen_and_other_libraries_chatter_are_left_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up_logging("plain", "info", [])
    logging.getLogger("x").debug("no")
    logging.getLogger("apscheduler.executors").info("no")
    logging.getLogger("uvicorn.error").info("no")
    assert capsys.readouterr().err == ""
