"""The program's own text keeps the rules of the project."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import click
import pytest

from monitor import errors
from monitor.canary import sql
from monitor.cli.main import group
from monitor.config.settings import Settings

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "monitor").rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in SOURCES:
        yield path, ast.parse(path.read_text())


def test_the_rules_are_asked_of_the_whole_program() -> None:
    assert len(SOURCES) > 40


def imported_by(tree: ast.Module) -> set[str]:
    """Top-level names of what a module imports, wherever in it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize(
    ("library", "room"),
    [
        ("prometheus_client", "export"),
        ("uvicorn", "export"),
        ("starlette", "export"),
        ("click", "cli"),
        ("rich", "cli"),
        ("tomllib", "config"),
        ("apscheduler", "schedule"),
    ],
)
def test_a_library_stays_in_its_room(library: str, room: str) -> None:
    users = {path.relative_to(ROOT / "monitor").parts[0] for path, tree in trees()
             if library in imported_by(tree)}  # fmt: skip
    assert users == {room}


def test_only_the_command_line_prints_or_exits() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"print", "sys.exit", "exit", "os._exit", "sys.stdout.write"}
        and "cli" not in path.parts
        and path.name != "watchdog.py"  # which ends a process whose loop stands still
    ]
    assert found == []


def test_files_and_functions_are_short() -> None:
    files = [f"{name_of(p)}: {n}" for p in SOURCES
             if (n := len(p.read_text().splitlines())) > MAX_FILE_LINES]  # fmt: skip
    functions = [
        f"{name_of(path)}:{node.lineno} {node.name}: {length}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, Function)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION_LINES
    ]
    assert files + functions == []


def undocumented(path: Path, tree: ast.Module) -> Iterator[str]:
    if path.read_text() and not ast.get_docstring(tree):
        yield f"{name_of(path)}: module"
    for node in tree.body:
        public = isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
        if public and not ast.get_docstring(node):
            yield f"{name_of(path)}:{node.lineno} {node.name}"


def test_every_public_thing_has_a_docstring() -> None:
    assert [found for path, tree in trees() for found in undocumented(path, tree)] == []


def questions_asked() -> set[str]:
    """First arguments of ``sql.load`` and of what hands them on to it."""
    asking = {"sql.load", "self._fetch"}
    return {
        call.args[0].value
        for _, tree in trees()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in asking
        and isinstance(call.args[0], ast.Constant)
    }


def test_every_question_has_a_file_and_every_file_is_asked() -> None:
    files = Path(sql.__file__).parent.glob("*.sql")
    assert {path.name.partition(".")[0] for path in files} == questions_asked()


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    """Each class at the indentation of its depth, with its reason where it has one."""
    line = re.compile(r"^(    [│├└─ ]*)(\w+)(?:  +(\w+))?", re.MULTILINE)
    drawn = {m[2]: (len(m[1]) // 4 - 1, m[3]) for m in line.finditer(errors.__doc__ or "")}
    classes = {
        kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not ClassVar
    }
    assert {kind.__name__ for kind in classes} == drawn.keys()
    for kind in classes:
        depth, word = drawn[kind.__name__]
        assert depth == len(kind.__mro__) - len(errors.CanaryError.__mro__), kind
        assert "reason" not in vars(kind) or word == vars(kind)["reason"], kind


def commands(of: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in of.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


COMMANDS = dict(commands(group))
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_readme_names_the_command(name: str) -> None:
    assert f"ingest-canary {name}" in README


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_and_each_of_its_options_has_help(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_readme_names_no_command_option_or_variable_that_does_not_exist() -> None:
    known = {
        option
        for c in COMMANDS.values()
        for p in c.params
        for option in (*p.opts, *p.secondary_opts)
    }
    code = "\n".join(re.findall(r"```.*?```|`[^`]+`", README, re.DOTALL))
    words = {name.partition(" ")[0] for name in COMMANDS}
    assert set(re.findall(r"ingest-canary ([a-z][a-z-]*)", code)) <= words
    calls = "\n".join(re.findall(r"(?:ingest-canary|ARGS=).*", code))
    assert set(re.findall(r"(?<!\S|-)--[a-z][a-z-]*", calls)) <= known
    variables = re.findall(r"INGEST_CANARY_([A-Z]+(?:_[A-Z]+)*)", README)
    settings = {name.upper() for name in Settings.model_fields} | {"CONFIG"}
    assert {name for name in variables if not name.startswith("TEST_")} <= settings
