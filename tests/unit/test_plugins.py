"""What the command line says of a plug-in that is wrong: one line that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.cli import main as command_line

HEAD = """
from sqlalchemy import Column, Integer, MetaData, String, Table
from monitor.suite.shapes import shape
from monitor.suite.strategies import strategy

def table(metadata):
    return Table("odd", metadata, Column("id", Integer, primary_key=True),
                 Column("n", Integer, nullable=False), Column("note", String))
"""

ODD_SHAPE = '[[suite.cases]]\nstrategy = "asyncpg_copy"\nshape = "odd"\n'


def complaint(
    folder: Path,
    code: str,
    cases: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    """The one line about a plug-in file with this code, its path shown as PLUGIN."""
    plugin, config = folder / "plugin.py", folder / "canary.toml"
    plugin.write_text(HEAD + code)
    config.write_text(f"[suite]\nplugins = ['{plugin}']\n{cases}")
    monkeypatch.setattr("sys.argv", ["ingest-canary", "config", "check", "--config", str(config)])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out, printed.err.count("\n")) == (2, "", 1)
    return printed.err.replace(str(plugin), "PLUGIN")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("1 / 0", "plug-in PLUGIN cannot be loaded: ZeroDivisionError: division by zero."),
        ("raise KeyError", "plug-in PLUGIN cannot be loaded: KeyError: no message."),
        (
            "import nowhere_to_be_found",
            "plug-in PLUGIN cannot be loaded: ModuleNotFoundError: No module named"
            " 'nowhere_to_be_found'.",
        ),
        (
            "@strategy(rows='dicts')\nasync def orm_bulk(into, rows):\n    'Again'",
            "strategy 'orm_bulk' is defined twice: in built-in monitor.suite.strategies and in"
            " PLUGIN; rename one of them.",
        ),
        (
            "def make():\n"
            "    @shape(table=table)\n    def odd(n):\n        return {'n': n}\n    return odd\n"
            "one, two = make(), make()",
            "shape 'odd' is defined twice: in PLUGIN and in PLUGIN; rename one of them.",
        ),
        (
            "@strategy(rows='dicts')\nasync def mine(into, rows, *, depth):\n    'Mine'",
            "plug-in PLUGIN: mine: parameter 'depth' needs a default.",
        ),
        (
            "@shape(table=table)\ndef odd(n, *, width):\n    return {'n': n}",
            "plug-in PLUGIN: odd: parameter 'width' needs a default.",
        ),
    ],
)
def test_a_plug_in_that_cannot_be_used_is_named(
    code: str,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = complaint(tmp_path, code, "", monkeypatch, capsys)
    assert said == f"ingest-canary: {expected}\n"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            "{'n': n, 'nota': ''}",
            "its rows have 'nota', which is no column of the table; columns: id, n, note.",
        ),
        ("{'note': ''}", "its rows lack 'n', which the table requires."),
    ],
)
def test_a_row_that_does_not_fit_names_the_column(
    row: str,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = f"@shape(table=table)\ndef odd(n):\n    return {row}"
    said = complaint(tmp_path, code, ODD_SHAPE, monkeypatch, capsys)
    assert said == f"ingest-canary: shape odd: {expected}\n"


def test_a_shape_whose_rows_raise_is_the_users_input_and_no_internal_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "@shape(table=table)\ndef odd(n):\n    return {'n': 1 / n}"
    said = complaint(tmp_path, code, ODD_SHAPE, monkeypatch, capsys)
    expected = "shape odd cannot be used: ZeroDivisionError: division by zero."
    assert said == f"ingest-canary: {expected}\n"


def test_a_password_in_what_a_plug_in_raises_is_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dsn = "postgresql://kim:s3cr3t@h/d"
    target = f"[targets.main]\ndsn = '{dsn}'\n"
    said = complaint(tmp_path, f"raise ValueError('{dsn}')", target, monkeypatch, capsys)
    assert said.endswith("ValueError: postgresql://kim:***@h/d.\n")
