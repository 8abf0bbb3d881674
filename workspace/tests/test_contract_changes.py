"""The classification of changes, held against an independent oracle: rows.

A change is breaking exactly if some row that keeps the new contract breaks the old one (or a
query, a partition or the release made from the old one fails). Contracts and edits are generated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from databox_shared.contracts import Column, Contract, Table
from databox_workspace.contract_changes import Level, changes, version_error

NAMES = [f"c{number}" for number in range(6)]
TYPES = ["VARCHAR", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP", "BOOLEAN"]
VALUES = ["a", "b", "c", "d"]

minima = st.none() | st.integers(-5, 0).map(float)
maxima = st.none() | st.integers(0, 5).map(float)
columns = st.builds(
    Column,
    name=st.sampled_from(NAMES),
    type=st.sampled_from(TYPES),
    description=st.sampled_from(["One.", "Two."]),
    required=st.booleans(),
    enum=st.lists(st.sampled_from(VALUES), unique=True, max_size=3).map(tuple),
    minimum=minima,
    maximum=maxima,
    references=st.none() | st.just(("other", "c0")),
    private=st.booleans(),
)


@st.composite
def tables(draw: st.DrawFn, name: str) -> Table:
    some = st.lists(columns, min_size=2, max_size=5, unique_by=lambda column: column.name)
    found = tuple(draw(some))
    a_column = st.sampled_from([column.name for column in found])
    hours = draw(st.none() | st.sampled_from([12.0, 36.0]))
    return Table(
        schema="birds",
        name=name,
        description=draw(st.sampled_from(["Nests.", "Eggs."])),
        grain=draw(st.sampled_from(["one row per nest", "one row per egg"])),
        owner="team:birds",
        columns=found,
        key=tuple(draw(st.lists(a_column, min_size=1, unique=True))),
        day_column=draw(st.none() | a_column),
        freshness_hours=hours,
        freshness_column=draw(st.none() | a_column) if hours else None,
        is_view=draw(st.booleans()),
    )


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    made = [draw(tables(name)) for name in draw(st.sampled_from([["t0"], ["t0", "t1"]]))]
    version = "1.4.2"
    return Contract("birds", version, "Birds.", "team:birds", {table.name: table for table in made})


def changed_table(contract: Contract, table: Table) -> Contract:
    return replace(contract, tables={**contract.tables, table.name: table})


def first(contract: Contract) -> Table:
    return next(iter(contract.tables.values()))


def changed_column(contract: Contract, **facets: object) -> Contract:
    """The contract with another first column of its first table."""
    table = first(contract)
    column = replace(table.columns[0], **facets)  # pyright: ignore[reportArgumentType]
    return changed_table(contract, replace(table, columns=(column, *table.columns[1:])))


def without_column(contract: Contract) -> Contract:
    table = first(contract)
    gone, *kept = table.columns
    key = tuple(name for name in table.key if name != gone.name) or (kept[0].name,)
    day = None if table.day_column == gone.name else table.day_column
    told_by = None if table.freshness_column == gone.name else table.freshness_column
    left = replace(table, columns=tuple(kept), key=key, day_column=day, freshness_column=told_by)
    return changed_table(contract, left)


def first_column(contract: Contract) -> Column:
    return first(contract).columns[0]


BREAKING: dict[str, Callable[[Contract], Contract]] = {
    "a table is removed": lambda c: replace(
        c, tables={name: table for name, table in c.tables.items() if name != first(c).name}
    ),
    "a table is renamed": lambda c: replace(
        c, tables={f"{name}_new": replace(t, name=f"{name}_new") for name, t in c.tables.items()}
    ),
    "a column is removed": without_column,
    "a column is renamed": lambda c: changed_column(c, name="new_name"),
    "a type is changed": lambda c: changed_column(
        c, type="DATE" if first_column(c).type != "DATE" else "BIGINT"
    ),
    "null is allowed": lambda c: changed_column(changed_column(c, required=True), required=False),
    "the key is changed": lambda c: changed_table(
        c,
        replace(
            first(c),
            key=tuple(column.name for column in first(c).columns)
            if len(first(c).key) < len(first(c).columns)
            else first(c).key[:1],
        ),
    ),
    "the day column is changed": lambda c: changed_table(
        c, replace(first(c), day_column=None if first(c).day_column else first(c).columns[0].name)
    ),
    "a value is added to a list": lambda c: changed_column(
        c, enum=(*first_column(c).enum, "e") if first_column(c).enum else ()
    ),
    "a range is widened": lambda c: changed_column(
        c, minimum=None if (low := first_column(c).minimum) is None else low - 1
    ),
    "a range is dropped": lambda c: changed_column(c, maximum=None),
    "a reference is dropped": lambda c: changed_column(c, references=None),
    "privacy is changed": lambda c: changed_column(c, private=not first_column(c).private),
    "freshness is promised less": lambda c: changed_table(
        c, replace(first(c), freshness_hours=None, freshness_column=None)
    ),
    "freshness is told by another column": lambda c: changed_table(
        c,
        replace(
            first(c),
            freshness_column=next(
                column.name
                for column in first(c).columns
                if column.name != first(c).freshness_column
            ),
        ),
    ),
}
ADDITIVE: dict[str, Callable[[Contract], Contract]] = {
    "a table is added": lambda c: replace(
        c, tables={**c.tables, "added": replace(first(c), name="added")}
    ),
    "a column is added": lambda c: changed_table(
        c, replace(first(c), columns=(*first(c).columns, replace(first_column(c), name="added")))
    ),
    "null is forbidden": lambda c: changed_column(c, required=True),
    "a list is given": lambda c: changed_column(c, enum=first_column(c).enum or ("a",)),
    "a value is taken from a list": lambda c: changed_column(
        c, enum=first_column(c).enum[1:] or first_column(c).enum
    ),
    "a range is given": lambda c: changed_column(
        c, minimum=-6.0 if first_column(c).minimum is None else first_column(c).minimum
    ),
    "a table becomes a view or a view a table": lambda c: changed_table(
        c, replace(first(c), is_view=not first(c).is_view)
    ),
    "freshness is promised more": lambda c: changed_table(
        c, replace(first(c), freshness_hours=(first(c).freshness_hours or 12.0) / 2)
    ),
}
WORDING: dict[str, Callable[[Contract], Contract]] = {
    "the purpose": lambda c: replace(c, description="About birds."),
    "the owner": lambda c: replace(c, owner="team:owls"),
    "a table's description": lambda c: changed_table(c, replace(first(c), description="New.")),
    "a table's grain": lambda c: changed_table(c, replace(first(c), grain="a nest is a row")),
    "a column's description": lambda c: changed_column(c, description="Three."),
}
EDITS = {
    **{name: (edit, Level.BREAKING) for name, edit in BREAKING.items()},
    **{name: (edit, Level.ADDITIVE) for name, edit in ADDITIVE.items()},
    **{name: (edit, Level.WORDING) for name, edit in WORDING.items()},
}


def worst(old: Contract, new: Contract) -> Level | None:
    return max((change.level for change in changes(old, new)), default=None)


@pytest.mark.parametrize("name", sorted(EDITS))
@settings(max_examples=25)
@given(old=contracts())
def test_every_edit_is_found_at_its_level_and_wants_its_part_of_the_version(
    name: str, old: Contract
) -> None:
    edit, level = EDITS[name]
    # so that there is something to loosen
    old = changed_column(old, required=True) if name == "null is allowed" else old
    old = changed_column(old, enum=("a", "b")) if name == "a value is added to a list" else old
    old = changed_column(old, references=("other", "c0")) if "reference" in name else old
    fresh = changed_table(old, replace(first(old), freshness_hours=36.0))
    old = fresh if "told by another" in name else old
    new = edit(old)
    assume(new != old)
    assert worst(old, new) is level, name
    assert all(change.where.startswith("birds") for change in changes(old, new))
    found = changes(old, new)
    assert version_error(old, new, found) is not None
    for enough in Level:
        raised = replace(new, version=enough.next_version(old.version))
        assert (version_error(old, raised, found) is None) == (enough >= level)


@given(contracts(), st.lists(st.sampled_from(sorted(ADDITIVE)), max_size=4), st.data())
def test_a_breaking_edit_is_caught_among_any_others(
    old: Contract, others: list[str], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(BREAKING)))
    new = BREAKING[name](old)
    assume(new != old and new.tables)
    for other in others:
        new = ADDITIVE[other](new)
    assume(worst(old, BREAKING[name](old)) is Level.BREAKING)
    # an added promise may take a loosened one back; the oracle tells whether it did
    assert (worst(old, new) is Level.BREAKING) == (witness(old, new) is not None)


@given(contracts())
def test_a_contract_does_not_differ_from_itself(contract: Contract) -> None:
    assert changes(contract, contract) == []
    assert version_error(contract, contract, []) is None


@given(contracts(), contracts(), contracts())
def test_what_breaks_between_two_versions_breaks_in_one_of_the_steps_between(
    old: Contract, middle: Contract, new: Contract
) -> None:
    breaks = [worst(*pair) is Level.BREAKING for pair in ((old, middle), (middle, new))]
    if worst(old, new) is Level.BREAKING:
        assert any(breaks)


def allowed(column: Column) -> set[object]:
    """The values of a small world that a column may have, None for null."""
    values: set[object] = set() if column.required else {None}
    for text in [*VALUES, "e", "z"]:
        if not column.enum or text in column.enum:
            values.add(text)
    for number in range(-8, 9):
        low = column.minimum is None or number >= column.minimum
        if low and (column.maximum is None or number <= column.maximum):
            values.add(number)
    return values


def witness(old: Contract, new: Contract) -> str | None:
    """Something that a reader of the old contract does and that the new one does not bear."""
    for name, before in old.tables.items():
        after = new.tables.get(name)
        if after is None:
            return f"SELECT FROM {name}"
        if set(before.key) != set(after.key) or before.day_column != after.day_column:
            return f"a key or partition of {name}"
        columns_after = {column.name: column for column in after.columns}
        for column in before.columns:
            other = columns_after.get(column.name)
            if other is None or other.type != column.type or other.private != column.private:
                return f"SELECT {column.name}"
            if not allowed(other) <= allowed(column):
                return f"a value of {column.name}"
            if column.references and other.references != column.references:
                return f"a join over {column.name}"
        hours = before.freshness_hours
        if hours and (after.freshness_hours is None or after.freshness_hours > hours):
            return f"{name} is too old"
        if hours and before.freshness_column != after.freshness_column:
            return f"{name} is too old by {before.freshness_column}"
    return None


@given(contracts(), contracts())
def test_a_change_is_breaking_if_and_only_if_it_harms_a_reader_of_the_old_contract(
    old: Contract, new: Contract
) -> None:
    assert (worst(old, new) is Level.BREAKING) == (witness(old, new) is not None)


@given(contracts(), st.sampled_from(sorted(EDITS)))
def test_a_version_never_goes_back(old: Contract, name: str) -> None:
    new = replace(EDITS[name][0](old), version="1.4.1")
    said = version_error(old, new, changes(old, new))
    assert said == "the version went back from 1.4.2 to 1.4.1"
