"""Rows of likenesses, without a database: values, keys, hints, statistics, what a draft says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import MetaData

from monitor.errors import TargetRefused
from monitor.source import (
    Need,
    SourceColumn,
    SourceConstraint,
    SourceIndex,
    SourceParent,
    SourcePartition,
    SourceTable,
    SourceType,
    Statistics,
)
from monitor.suite.array_literal import array_literal
from monitor.suite.mirror import statistics
from monitor.suite.mirror.hints import in_partitions, with_checks
from monitor.suite.mirror.keys import Slot, assign
from monitor.suite.mirror.likeness import likeness
from monitor.suite.mirror.names import part_name
from monitor.suite.mirror.values import _MAKERS, Form, maker_for

INT4, TEXT, ENUM, ENUM_ARRAY = 23, 25, 90_001, 90_002
TYPES = {
    INT4: SourceType("pg_catalog", "int4", "b"),
    TEXT: SourceType("pg_catalog", "text", "b"),
    ENUM: SourceType("public", "mood", "e", labels=("fine", "so-so")),
}
KINDS = sorted({*_MAKERS, "int2", "int4", "int8", "oid", "pg_lsn"})


def column(number: int, name: str, type_: int = INT4, **more: Any) -> SourceColumn:
    text = {INT4: "integer", TEXT: "text", ENUM: "public.mood"}[type_]
    return SourceColumn(number, name, type_, -1, text, **({"not_null": True} | more))


def table(*columns: SourceColumn, **more: Any) -> SourceTable:
    return SourceTable("public", "t", 1000, columns, TYPES, **more)


def unique(name: str, kind: str, *numbers: int) -> SourceConstraint:
    return SourceConstraint(name, kind, numbers, "UNIQUE (…)")


def rows_of(source: SourceTable, count: int = 500) -> list[dict[str, Any]]:
    shape = likeness(source, "public.t", "s", count)
    return [shape.row(n) for n in range(count)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [None, 3, 40])
def test_no_two_values_of_a_type_are_alike_below_its_capacity(kind: str, width: int | None) -> None:
    maker = maker_for(kind, Form(width=width))
    assert maker is not None
    values = [_text(maker.value(i)) for i in range(min(3000, maker.capacity))]
    assert len(set(values)) == len(values)
    assert values == [_text(maker.value(i)) for i in range(len(values))]


def _text(value: Any) -> str:
    return str(getattr(value, "points", value))


@given(
    precision=st.integers(1, 20),
    data=st.data(),
    low=st.none() | st.decimals(-1000, 1000, places=2),
)
def test_a_numeric_fits_its_precision(precision: int, data: st.DataObject, low: Any) -> None:
    scale = data.draw(st.integers(0, precision))
    maker = maker_for("numeric", Form(typmod=(precision << 16 | scale) + 4, low=low))
    assert maker is not None
    for i in (0, 1, maker.capacity - 1):
        value = maker.value(i)
        assert abs(value) < Decimal(10) ** (precision - scale)
        assert value == round(value, scale)


@pytest.mark.parametrize("length", [1, 2, 5, 12, 30])
def test_a_text_fits_its_length(length: int) -> None:
    maker = maker_for("varchar", Form(typmod=length + 4, width=200))
    assert maker
    assert {len(maker.value(i)) for i in range(100)} == {length}


@pytest.mark.parametrize(
    ("check", "kind", "expected"),
    [
        ("CHECK ((n > 0))", "int4", {"low": Decimal(1)}),
        ("CHECK (((n >= 1) AND (n <= 5)))", "int2", {"low": Decimal(1), "high": Decimal(5)}),
        ("CHECK ((n >= (0)::numeric))", "numeric", {"low": Decimal(0)}),
        ("CHECK ((n < '-3'::integer))", "int4", {"high": Decimal(-4)}),
        ("CHECK (((n)::text = ANY ((ARRAY['a'::character varying, 'it''s'::character varying])"
         "::text[])))", "varchar", {"choices": ("a", "it's")}),
        ("CHECK ((n = ANY (ARRAY[3, 5])))", "int4", {"choices": (3, 5)}),
        ("CHECK ((char_length(n) = 3))", "text", {"length": 3}),
        ("CHECK ((length((n)::text) >= 40))", "varchar", {"length": 40}),
        ("CHECK ((n ~ '^[A-C]{2}$'::text))", "bpchar", {"alphabet": "ABC", "length": 2}),
        ("CHECK (((n > 0) OR (n < 9)))", "int4", {}),
        ("CHECK ((number > 0))", "int4", {}),
        ("CHECK ((length(n) > 2))", "text", {"length": 16}),
    ],
)  # fmt: skip
def test_simple_checks_narrow_what_is_made(check: str, kind: str, expected: dict[str, Any]) -> None:
    assert with_checks(Form(), "n", kind, [check]) == replace(Form(), **expected)


@pytest.mark.parametrize(
    ("strategy", "kind", "bounds", "first"),
    [
        ("r", "date", ["FOR VALUES FROM ('2026-01-01') TO ('2026-01-03')",
                       "FOR VALUES FROM ('2026-01-03') TO ('2026-01-05')"],
         [date(2026, 1, 1), date(2026, 1, 3), date(2026, 1, 2), date(2026, 1, 4)]),
        ("r", "int4", ["FOR VALUES FROM (MINVALUE) TO (10)"], [-999_990, -999_989]),
        ("r", "timestamptz", ["FOR VALUES FROM ('2026-01-01 00:00:00+00') TO (MAXVALUE)"],
         [datetime(2026, 1, 1, tzinfo=UTC)]),
        ("l", "text", ["FOR VALUES IN ('a', 'b''c')", "FOR VALUES IN ('d')"], ["a", "b'c", "d"]),
        ("l", "bool", ["FOR VALUES IN (true)", "FOR VALUES IN (false)"], [True, False]),
        ("l", "int4", ["FOR VALUES IN (1, 2)", "FOR VALUES IN (NULL)"], [1, 2]),
    ],
)  # fmt: skip
def test_values_go_round_the_partitions(
    strategy: str, kind: str, bounds: list[str], first: list[Any]
) -> None:
    maker = in_partitions(strategy, kind, [SourcePartition("p", bound) for bound in bounds])
    assert maker is not None
    assert [maker.value(i) for i in range(len(first))] == first


def test_bounds_of_another_kind_are_not_guessed() -> None:
    bound = SourcePartition("p", "FOR VALUES FROM ('a') TO ('b')")
    assert in_partitions("r", "text", [bound]) is None


@given(
    slots=st.lists(st.integers(1, 3000), min_size=2, max_size=5),
    keys=st.lists(st.sets(st.integers(0, 4), min_size=1, max_size=3), max_size=3),
)
def test_keys_are_unique_wherever_their_columns_have_room(
    slots: list[int], keys: list[set[int]]
) -> None:
    rows = 400
    made = [
        Slot((f"c{n}",), capacity if n else 1 << 40, {f"c{n}": None})
        for n, capacity in enumerate(slots)
    ]
    wanted = [sorted(f"c{n}" for n in key if n < len(slots)) for key in keys]
    roles = assign(made, [key for key in wanted if key], rows)
    values = {
        slot.columns[0]: [role.index()(n) % slot.capacity for n in range(rows)]
        for slot, role in zip(made, roles, strict=True)
    }
    for key in wanted:
        if "c0" in key and len(wanted) == 1:
            assert len(set(zip(*(values[name] for name in key), strict=True))) == rows


@pytest.mark.parametrize(
    "numbers", [(1,), (1, 2), (2, 3), (1, 2, 3)], ids=lambda numbers: str(numbers)
)
def test_a_key_holds_in_every_row(numbers: tuple[int, ...]) -> None:
    source = table(
        column(1, "a"),
        column(2, "b", ENUM),
        column(3, "c", TEXT, statistics=Statistics(40, 0, 9)),
        constraints=(unique("k", "p", *numbers),),
    )
    rows = rows_of(source)
    names = source.names(numbers)
    assert len({tuple(row[name] for name in names) for row in rows}) == len(rows)


def test_foreign_keys_that_share_a_column_find_their_parents() -> None:
    a, b, c = column(1, "tenant"), column(2, "user"), column(3, "team", not_null=False)
    source = table(
        a,
        b,
        c,
        column(4, "no"),
        constraints=(
            unique("k", "p", 1, 4),
            SourceConstraint(
                "u", "f", (1, 2), "FOREIGN KEY", parent=SourceParent("public", "u", (a, b))
            ),
            SourceConstraint(
                "v", "f", (1, 3), "FOREIGN KEY", parent=SourceParent("public", "v", (a, c))
            ),
        ),
    )
    shape = likeness(source, "public.t", "s", 500)
    assert shape.blueprint
    parents = {f.table: set(f.rows) for f in shape.blueprint.fillings}
    rows = [shape.row(n) for n in range(500)]
    assert {(r["tenant"], r["user"]) for r in rows} <= parents["public.t/u"]
    assert {(r["tenant"], r["team"]) for r in rows if r["team"]} <= parents["public.t/v"]
    assert len({(r["tenant"], r["no"]) for r in rows}) == 500


def test_what_stands_on_something_elsewhere_is_left_out_with_its_name() -> None:
    elsewhere = Need("pg_proc", 7, "function public.f()", "public", "i")
    built_in = Need("pg_proc", 8, "function lower(text)", "pg_catalog", "i")
    source = table(
        column(1, "a"),
        column(2, "b", TEXT, expression="public.f()", needs=(elsewhere,)),
        constraints=(
            unique("k", "p", 1),
            SourceConstraint("c", "c", (1,), "CHECK (public.f() > a)", (elsewhere,)),
            SourceConstraint("d", "c", (2,), "CHECK (lower(b) = b)", (built_in,)),
        ),
        indexes=(
            SourceIndex("i", False, True, (0,), (1,), "… USING btree (f(a))", (elsewhere,)),
            SourceIndex("j", False, False, (1,), (1,), "… USING btree (a)"),
        ),
    )
    blueprint = likeness(source, "public.t", "s", 10).blueprint
    assert blueprint
    assert blueprint.not_copied == (
        "default of b (function public.f())",
        "check constraint c (function public.f())",
        "index i (function public.f())",
        "index j (it is invalid there)",
    )
    assert [each.title for each in blueprint.additions] == [
        "primary key k",
        "check constraint d",
    ]


def test_names_of_types_are_exchanged_in_expressions_and_nowhere_else() -> None:
    need = Need("pg_type", ENUM, "type public.mood", "public")
    source = table(
        column(1, "a"),
        column(2, "m", ENUM, expression="'public.mood'::public.mood", needs=(need,)),
        constraints=(unique("k", "p", 1),),
    )
    blueprint = likeness(source, "public.t", "s", 10).blueprint
    assert blueprint
    statement = next(p.statement for p in blueprint.parts if p.name == "public.t")
    assert """DEFAULT 'public.mood'::"s"."public.t/mood" NOT NULL""" in statement


def test_a_table_that_the_server_fills_alone_is_refused() -> None:
    source = table(column(1, "id", identity="a"), constraints=(unique("k", "p", 1),))
    with pytest.raises(TargetRefused, match="it has no column that can be copied"):
        likeness(source, "public.t", "s", 10)


@pytest.mark.parametrize(
    ("strategy", "numbers", "partitions", "why"),
    [
        ("r", (1, 2), ["FOR VALUES FROM (1, 2) TO (3, 4)"], "its key has several columns"),
        ("r", (0,), ["FOR VALUES FROM (1) TO (2)"], "its key is an expression"),
        ("r", (1,), [], "it has no partitions"),
        ("r", (2,), ["FOR VALUES FROM ('a') TO ('b')"], "its bounds are of a kind"),
    ],
)
def test_partitions_that_cannot_be_had_are_said(
    strategy: str, numbers: tuple[int, ...], partitions: list[str], why: str
) -> None:
    source = table(
        column(1, "a"),
        column(2, "b", TEXT),
        strategy=strategy,
        partition_columns=numbers,
        partitions=tuple(SourcePartition(f"p{n}", b) for n, b in enumerate(partitions)),
        constraints=(unique("k", "p", 1),),
    )
    blueprint = likeness(source, "public.t", "s", 10).blueprint
    assert blueprint
    assert any(why in remark and "plain table" in remark for remark in blueprint.remarks)
    assert "PARTITION" not in "".join(part.statement for part in blueprint.parts)


def test_of_many_partitions_the_last_are_kept() -> None:
    bounds = [f"FOR VALUES FROM ({n}) TO ({n + 1})" for n in range(100)]
    source = table(
        column(1, "a"),
        column(2, "b"),
        strategy="r",
        partition_columns=(1,),
        partitions=tuple(SourcePartition(f"p{n}", b) for n, b in enumerate(bounds)),
        constraints=(unique("k", "p", 1, 2),),
    )
    assert {row["a"] for row in rows_of(source)} == set(range(68, 100))
    blueprint = likeness(source, "public.t", "s", 10).blueprint
    assert blueprint
    assert "rows go round its 32 partitions (68 more are left out)" in blueprint.remarks


@given(st.floats(21, 1e9))
def test_rounded_statistics_are_near_and_few(value: float) -> None:
    one = statistics.distinct_values(Statistics(value, 0, 4), 1)
    assert one
    assert 0.55 < one / value < 1.45
    assert str(one).strip("0") in ("1", "2", "5")
    assert statistics.width(Statistics(1, 0, 5)) == 5


def test_a_share_of_all_rows_is_a_count_of_them() -> None:
    assert statistics.distinct_values(Statistics(-0.5, 0, 4), 4000) == 2000
    assert statistics.distinct_values(Statistics(-1, 0, 4), 7) == 7
    assert statistics.distinct_values(Statistics(0, 0, 4), 7) is None
    assert statistics.null_share(Statistics(1, 0.26, 4)) == 0.25


def test_names_fit_and_stay_different() -> None:
    one, other = part_name("t" * 60, "a" * 60), part_name("t" * 60, "a" * 59 + "b")
    assert len(one.encode()) <= 63
    assert one != other
    assert part_name("public.t", "x") == "public.t/x"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (None, None),
        ([], "{}"),
        ([1, None, 2], '{"1",NULL,"2"}'),
        (['a"b', "c\\d", "e,f"], '{"a\\"b","c\\\\d","e,f"}'),
        ([[1, 2], [3, 4]], '{{"1","2"},{"3","4"}}'),
        ([True, False], "{t,f}"),
        ([b"\x01\xff"], '{"\\\\x01ff"}'),
    ],
)
def test_arrays_are_written_as_the_server_reads_them(values: Any, expected: str | None) -> None:
    assert array_literal(values) == expected


def mapped_key(source: SourceTable, count: int = 500) -> list[str]:
    built = likeness(source, "public.t", "s", count).build(MetaData())
    return [column.name for column in built.primary_key]


def test_a_key_too_small_to_tell_rows_apart_is_not_the_mapped_class_s() -> None:
    columns = (column(1, "mood", ENUM), column(2, "n", not_null=False))
    source = table(*columns, constraints=(unique("k", "p", 1),))
    assert mapped_key(source) == ["n"]
    assert len({row["n"] for row in rows_of(source)}) == 500
    small = table(column(1, "mood", ENUM), column(2, "other", ENUM))
    assert mapped_key(small) == ["mood", "other"]
    assert mapped_key(table(*columns, constraints=(unique("k", "p", 1),)), count=2) == ["mood"]


def test_a_table_without_columns_is_refused() -> None:
    with pytest.raises(TargetRefused, match="nothing to insert"):
        likeness(table(), "public.t", "s", 10)
