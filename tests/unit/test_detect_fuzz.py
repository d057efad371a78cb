"""Any file given to ingest-canary detect: judged, or refused in one line."""

from __future__ import annotations

import csv
import io
from math import exp
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzzing import Outcome, command, fuzz

CELLS = [
    "", " ", "0", "-0", "-1", "1_000", "1,5", "nan", "-inf", "Infinity", "1e308", "1e309", "5e-324",
    "-1e-400", "٣", "１２", "0x10", "true", "\0", "\n", '"', "é", "9" * 400, "1970-01-01", "24:00",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-W01-1", "1e20", "-1e20",
]  # fmt: skip
NAMES = [
    "rate",
    "timestamp",
    "Timestamp ",
    "",
    "a b",
    "1",
    "nan",
    "\ufeffx",
    "é" * 30,
    "[red]x[/b]",
]
cells = st.sampled_from(CELLS) | st.floats().map(str) | st.integers().map(str) | st.text(max_size=6)
options = st.fixed_dictionaries(
    {
        "--learning": st.sampled_from(["8", "9", "24", "7", "-1", "x", str(2**70)]),
        "--threshold": st.sampled_from(["8", "0.1", "1e300", "0", "nan", "inf"]),
        "--floor": st.sampled_from(["5%", "0.0001", "99.9999%", "1e-300", "nan", "%", "1"]),
    }
)
usual = st.fixed_dictionaries(
    {"--learning": st.sampled_from(["8", "12"]), "--threshold": st.sampled_from(["1", "8"])}
)
#: Levels and noise as logarithms, as far apart as numbers go.
segments = st.lists(
    st.tuples(
        st.floats(-740, 709),
        st.sampled_from([0.0, 1e-12, 0.01, 1.0, 300.0]),
        st.integers(1, 30),
    ),
    min_size=1,
    max_size=5,
)


def detect(content: bytes, words: dict[str, str], *more: str) -> Outcome:
    arguments = [part for option in words.items() for part in option]
    outcome = command("detect", "-", "--json", *arguments, *more, given=content)
    outcome.check()
    if outcome.code == 0:
        assert isinstance(outcome.document(), list)
    return outcome


@fuzz(60)
@given(content=st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    detect(content, {})


@fuzz(60)
@given(content=st.text('a1.,;\n\r\t"\0 -e', max_size=200), words=options)
def test_any_text_and_options(content: str, words: dict[str, str]) -> None:
    detect(content.encode(), words)


@fuzz(60)
@given(
    header=st.lists(st.sampled_from(NAMES) | st.text(max_size=5), min_size=1, max_size=4),
    rows=st.lists(st.lists(cells, max_size=5), max_size=40),
    words=usual,
)
def test_any_cells(header: list[str], rows: list[list[str]], words: dict[str, str]) -> None:
    text = io.StringIO()
    try:
        csv.writer(text).writerows([header, *rows])
    except csv.Error:  # a row that has no form in a file
        return
    content = text.getvalue().encode(errors="surrogatepass")
    detect(content, words)
    outcome = command("detect", "-", given=content)
    outcome.check()


@fuzz(40)
@given(
    segments=segments,
    rng=st.randoms(),
    name=st.sampled_from(["rate", "[red]x", "[/x]", ":smile:", "a\u202eb"]),
    words=usual,
    lower=st.booleans(),
)
def test_any_levels(
    segments: list[tuple[float, float, int]],
    rng: Random,
    name: str,
    words: dict[str, str],
    lower: bool,
) -> None:
    values = [
        exp(max(-740.0, min(709.0, level + noise * rng.gauss(0, 1))))
        for level, noise, count in segments
        for _ in range(count)
    ]
    content = "\n".join([name, *map(repr, values)]).encode()
    way = "--lower-is-better" if lower else "--higher-is-better"
    detect(content, words, way)
    command("detect", "-", way, "--learning", "8", given=content).check()
