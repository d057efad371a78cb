"""Any plug-in file: taken, or refused in one line that names it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzzing import command, fuzz, no_settings

HEAD = """
from sqlalchemy import Column, Integer, MetaData, String, Table
from monitor.suite.shapes import shape
from monitor.suite.strategies import strategy
def table(metadata):
    return Table("odd", metadata, Column("id", Integer, primary_key=True), Column("n", Integer))
"""
LINES = [
    "", "pass", "x = 1", "1 / 0", "raise KeyError", "raise SystemExit(3)", "exit()",
    "import nowhere", "import sys; sys.exit()", "raise BaseException('no')", "def",
    "\0", "'''", "x = '\ud800'",
    "print('noise')", "import sys; print('noise', file=sys.stderr)", "assert False, 'two\\nlines'",
    "raise ValueError('two\\nlines')", "raise ValueError('\\x1b[31m')", "raise RecursionError",
    "f = lambda: f()\nf()", "raise MemoryError", "__name__ = None", "return 1",
    "yield 1", "await x", "async def free(into, rows): ...",
    "def __getattr__(name): raise RuntimeError(name)",
    "raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})()",
]  # fmt: skip
DECORATORS = [
    "@strategy", "@strategy()", "@strategy(rows='dicts')", "@strategy(rows='nothing')",
    "@strategy(rows=1)", "@strategy(rows='tuples', staging='yes')", "@strategy('dicts')",
    "@strategy(rows='dicts', more=1)", "@shape", "@shape()", "@shape(table=table)", "@shape(1)",
    "@shape(table=None)", "@shape(table=lambda m: None)", "@shape(table=lambda m: 1 / 0)",
    "@shape(table=table, extras=1)", "@shape(table=table, extras=('x',))",
    "@shape(table=lambda m: Table('t', MetaData()))", "@shape(table=lambda m: Table('t', m))",
]  # fmt: skip
SIGNATURES = [
    "async def odd(into, rows)", "def odd(into, rows)", "async def odd()", "def odd(n)",
    "def odd()", "def odd(n, *, width=3)", "def odd(n, *, width)", "def odd(n, **more)",
    "class odd", "def Odd(n)", "def odd(n, *, width=[])", "def odd_é(n)",
    "async def odd(into, rows, *, page_size='x')",
    "def odd(n, *, n2=1, **k)", "def orders(n)", "async def asyncpg_copy(into, rows)",
]  # fmt: skip
BODIES = [
    "'What it does'", "pass", "return {'n': n}", "return {}", "return None", "return n",
    "return {'other': 1}", "return {1: 2}", "return {'n': object()}", "raise SystemExit", "1 / 0",
    "''", "'Two\\nlines'", "return {'id': 1, 'n': n}", "return [('n', 1)]",
]  # fmt: skip
functions = st.tuples(
    st.sampled_from(DECORATORS),
    st.sampled_from(SIGNATURES),
    st.lists(st.sampled_from(BODIES), max_size=2),
).map(lambda parts: f"{parts[0]}\n{parts[1]}:\n    " + "\n    ".join([*parts[2], "pass"]))
code = st.lists(functions | st.sampled_from(LINES), max_size=3).map("\n".join)
case = st.fixed_dictionaries(
    {
        "strategy": st.sampled_from(["odd", "asyncpg_copy", "orm_bulk", "free"]),
        "shape": st.sampled_from(["odd", "orders", "Odd"]),
    }
)


def check(folder: Path, content: bytes, uses: dict[str, str]) -> None:
    """The file is taken or refused; what it prints itself is its own affair."""
    plugin, config = folder / "plugin.py", folder / "canary.toml"
    plugin.write_bytes(content)
    cases = ", ".join(f'{name} = "{value}"' for name, value in uses.items())
    config.write_text(f"[suite]\nplugins = ['{plugin}']\ncases = [{{ {cases} }}]\n")
    with no_settings():
        outcome = command("config", "check", "--config", str(config))
    assert outcome.code in (0, 2), outcome
    if outcome.code == 2:
        (told,) = [line for line in outcome.errors.splitlines() if line != "noise"]
        assert told.startswith("ingest-canary: "), outcome
        assert told.isprintable(), outcome
        assert "internal error" not in told
        assert outcome.output.replace("noise\n", "") == "", outcome


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plugins")


@fuzz(40)
@given(content=st.binary(max_size=60), uses=case)
def test_any_bytes(folder: Path, content: bytes, uses: dict[str, str]) -> None:
    check(folder, content, uses)


@fuzz(150)
@given(content=code, uses=case)
def test_any_functions(folder: Path, content: str, uses: dict[str, str]) -> None:
    check(folder, (HEAD + content).encode(errors="surrogatepass"), uses)
