"""Indexes and foreign keys on top of a shape: the shapes, tables and statements they make."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import MetaData, Table
from sqlalchemy.sql import quoted_name

from monitor.canary.definition import create_statements, definition_hash
from monitor.config.suite import CaseSettings, SuiteSettings
from monitor.errors import ConfigurationError
from monitor.measure.binding import bind, extra_indexes, make_batches, prefill_rows
from monitor.suite import catalog, plan, shapes
from monitor.suite.extras import REBUILT, all_of, index, rebuilt, with_extra
from monitor.workload import Extra, Shape

EXTRAS = {extra.name: extra for extra in shapes.orders.extras}


def table_of(shape: Shape) -> Table:
    return shape.build(MetaData(schema=quoted_name("ingest_canary", quote=True)))


def statements_of(name: str) -> list[str]:
    """What makes ``orders`` with the extra, in one line each."""
    made = create_statements(table_of(with_extra(shapes.orders, EXTRAS[name])))
    return [" ".join(statement.split()) for statement in made]


def test_each_extra_is_a_shape_of_its_own_in_the_catalogue() -> None:
    known = catalog.load().shapes
    for plain in (shapes.orders, shapes.orders_wide):
        assert [shape.name for shape in all_of(plain)] == [
            plain.name, *(f"{plain.name}_{name}" for name in EXTRAS),
        ]  # fmt: skip
        for name, extra in EXTRAS.items():
            made = known[f"{plain.name}_{name}"]
            assert (made.plain, made.extra, made.extras) == (plain.name, extra, ())
            assert made.parameters == plain.parameters
            assert made.row(3) == plain.row(3)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("customer_idx", ['INDEX "{t}_1" ON {s} USING btree (customer_id)']),
        ("customer_uq", ['UNIQUE INDEX "{t}_1" ON {s} USING btree (customer_id, id)']),
        (
            "pending_idx",
            ["INDEX \"{t}_1\" ON {s} USING btree (customer_id) WHERE status = 'pending'"],
        ),
        ("id_brin", ['INDEX "{t}_1" ON {s} USING brin (id)']),
        (
            "status_gin",
            [
                'INDEX "{t}_1" ON {s} USING gin'
                " ((pg_catalog.to_tsvector('pg_catalog.simple', status)))"
            ],
        ),
        (
            "five_idx",
            [
                f'INDEX "{{t}}_{n}" ON {{s}} USING btree ({columns})'
                for n, columns in enumerate(
                    ["customer_id", "status", "amount", "customer_id, status", "status, amount"], 1
                )
            ],
        ),
    ],
)
def test_an_index_is_made_with_the_table_quoted_and_qualified(name: str, made: list[str]) -> None:
    table = f"orders_{name}"
    create, *indexes = statements_of(name)
    assert create.startswith(f'CREATE TABLE "ingest_canary"."{table}" (')
    expected = [line.format(t=table, s=f'"ingest_canary"."{table}"') for line in made]
    assert [line.removeprefix("CREATE ") for line in indexes] == expected


def test_a_foreign_key_is_part_of_the_table_and_refers_to_a_table_of_ours() -> None:
    (create,) = statements_of("customer_fk")
    assert (
        'CONSTRAINT "orders_customer_fk_fkey" FOREIGN KEY(customer_id)'
        ' REFERENCES "ingest_canary"."orders_customers" (id)'
    ) in create


def test_a_parent_is_declared_once_and_as_large_as_the_case_that_needs_most() -> None:
    cases = [
        CaseSettings(strategy="asyncpg_copy", shape=f"{name}_customer_fk",
                     shape_parameters={"customers": customers})
        for name, customers in (("orders", 50), ("orders_wide", 700))
    ]  # fmt: skip
    suite = SuiteSettings(cases=tuple(cases))
    binding = bind(plan.resolve(suite, catalog.load()), "ingest_canary")
    (parent,) = binding.parents
    assert parent.rows == 700
    assert [table.name for table in binding.tables[:1]] == ["orders_customers"]


def test_the_definition_of_a_plain_table_is_what_it_always_was() -> None:
    """Another hash would make every canary's table anew, and a new table starts new statistics."""
    table = table_of(shapes.orders)
    create, storage = create_statements(table)[0].split(" WITH (")
    before = f"{create} {storage.removesuffix(')')}"
    assert definition_hash(table) == sha256(before.encode()).hexdigest()[:12]


def test_an_index_is_part_of_the_definition() -> None:
    one, other = (
        with_extra(shapes.orders, index("x_idx", "", column)) for column in ("status", "amount")
    )
    assert definition_hash(table_of(one)) != definition_hash(table_of(other))


def test_what_is_built_afterwards_is_what_would_have_been_there_before() -> None:
    extra = EXTRAS["five_idx"]
    after = table_of(rebuilt(shapes.orders, extra))
    before = table_of(with_extra(shapes.orders, extra))
    assert create_statements(after)[1:] == []
    assert after.name == f"orders_five_idx_{REBUILT}"
    made = extra_indexes(after, extra, concurrently=False)
    assert [line.replace(f"_{REBUILT}", "") for line in made] == create_statements(before)[1:]
    for line in extra_indexes(after, extra, concurrently=True):
        assert line.startswith("CREATE INDEX CONCURRENTLY ")


def test_a_shapes_own_indexes_are_kept_and_named_after_the_new_table() -> None:
    indexed = with_extra(shapes.orders, EXTRAS["customer_idx"])
    both = with_extra(indexed, EXTRAS["id_brin"])
    made = create_statements(table_of(both))[1:]
    assert [line.split('"')[1] for line in made] == [f"{both.name}_1", f"{both.name}_2"]


def test_too_long_a_name_is_refused() -> None:
    long = index("x" * 60, "", "status")
    with pytest.raises(ConfigurationError, match="its name is too long"):
        with_extra(shapes.orders, long)


def test_a_plug_ins_shape_declares_extras_too(tmp_path: Path) -> None:
    path = tmp_path / "plugin.py"
    path.write_text(
        "from sqlalchemy import Column, Integer, Table\n"
        "from monitor.suite.extras import index\n"
        "from monitor.suite.shapes import orders, shape\n"
        "def table(metadata):\n"
        "    return Table('events', metadata, Column('id', Integer, primary_key=True),"
        " Column('n', Integer))\n"
        "@shape(table=table, extras=(index('n_hash', 'hash', 'n', using='hash'),))\n"
        "def events(n):\n    'Events'\n    return {'n': n}\n"
    )
    made = catalog.load([path]).shapes["events_n_hash"]
    assert made.plain == "events"
    assert "USING hash (n)" in create_statements(table_of(made))[1]


def test_the_readmes_shape_is_one(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (example,) = [
        block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
        if "extras=" in block
    ]  # fmt: skip
    path = tmp_path / "plugin.py"
    path.write_text(example)
    known = catalog.load([path])
    suite = SuiteSettings(cases=(CaseSettings(strategy="asyncpg_copy", shape="events_kind_idx"),))
    (case,) = plan.resolve(suite, known).cases
    assert case.shape.extra
    assert case.shape.extra.label == "B-tree on kind"


def test_two_shapes_of_one_name_are_refused_also_where_an_extra_made_one(tmp_path: Path) -> None:
    path = tmp_path / "plugin.py"
    path.write_text(
        "from monitor.suite.shapes import _orders_table, shape\n"
        "@shape(table=_orders_table)\n"
        "def orders_customer_idx(n):\n    'Mine'\n    return {}\n"
    )
    with pytest.raises(ConfigurationError, match="'orders_customer_idx' is defined twice"):
        catalog.load([path])


def test_rows_go_on_where_the_prefilled_ones_end() -> None:
    settings = CaseSettings(strategy="asyncpg_copy", prefill=25)
    resolved = plan.resolve(SuiteSettings(rows=10, cases=(settings,)), catalog.load())
    (case,), bound = resolved.cases, bind(resolved, "ingest_canary").shapes["orders"]
    assert case.variant == "prefill=25"
    before = [row for chunk in prefill_rows(case, bound, 10) for row in chunk]
    ((*rows,),) = make_batches(case, bound, 10)
    expected = [tuple(shapes.orders.row(n).values()) for n in range(35)]
    assert [*before, *rows] == expected


def test_an_extra_of_another_kind_than_known_cannot_be_made() -> None:
    """What an extra may be is a closed list, since each kind has a metric of its own."""
    assert {extra.kind for extra in EXTRAS.values()} == {"index", "foreign_key"}
    assert all(isinstance(extra, Extra) and extra.label for extra in EXTRAS.values())
