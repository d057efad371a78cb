"""One tiny file per mistake, with the one line that a user reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.cli import main as command_line

FILES = sorted((Path(__file__).parents[1] / "bad_configs").glob("*.toml"))
SECRET = "s3cr3t-canary"


def complaint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    """What a command says on stderr that must end with exit code 2 and one line."""
    monkeypatch.setattr("sys.argv", ["ingest-canary", *arguments])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert SECRET not in printed.err
    return printed.err.removeprefix("ingest-canary: ").rstrip("\n")


def test_there_is_a_message_for_every_file() -> None:
    assert len(FILES) > 30
    assert all(path.with_suffix(".txt").exists() for path in FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bad_file_is_one_exact_line(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = complaint(monkeypatch, capsys, "config", "check", "--config", str(path))
    expected = path.with_suffix(".txt").read_text().rstrip("\n")
    assert said == expected.replace("{path}", str(path))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("FOO", "1", "environment INGEST_CANARY_FOO: unknown variable; "),
        ("INTERVALL", "1", "did you mean 'INGEST_CANARY_INTERVAL'?"),
        ("EXECUTEMANY_MODE", "values", "executemany_mode was an option of"),
        ("SUITE__ROW", "1", "environment INGEST_CANARY_SUITE__ROW: unknown setting; did you mean"),
        ("INTERVAL", "soon", "environment INGEST_CANARY_INTERVAL: 'soon' is not a duration"),
        ("SUITE__CASES", "[{", "environment INGEST_CANARY_SUITE__CASES: not valid JSON"),
        ("TARGETS__MAIN__DSN", f"mysql://u:{SECRET}@h/d", "INGEST_CANARY_TARGETS__MAIN"),
        ("CONFIG", "/nowhere.toml", "/nowhere.toml: cannot be read: No such file or directory."),
    ],
)
def test_a_bad_variable_is_named(
    name: str,
    value: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(f"INGEST_CANARY_{name}", value)
    assert expected in complaint(monkeypatch, capsys, "config", "check")


def test_variables_of_the_tests_are_no_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INGEST_CANARY_TEST_ANYTHING", "1")
    monkeypatch.setattr("sys.argv", ["ingest-canary", "config", "check"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("ok: 8 cases × 5 rounds")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "--interval", "abc"), "--interval: 'abc' is not a duration"),
        (("run", "--port", "99999"), "--port: must be less than or equal to 65535."),
        (("run", "--log-format", "xml"), "--log-format: must be 'plain' or 'json'."),
        (("measure", "--rows", "0"), "--rows: must be greater than 0."),
        (("measure", "--rounds", "-1"), "--rounds: must be greater than 0."),
        (("measure", "--strategy", "nope"), "unknown strategy 'nope'; known: asyncpg_copy"),
        (("measure", "--target", "nope"), "unknown target 'nope'; configured: private."),
        (("measure", "--rows", "many"), "'many' is not a valid integer"),
        (("measure", "--nope"), "No such option"),
        (("nope",), "No such command 'nope'."),
    ],
)
def test_a_bad_option_is_named(
    arguments: tuple[str, ...],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert expected in complaint(monkeypatch, capsys, *arguments)
