"""What a change to a contract means for those who read the data. Pure.

One rule decides: a change is breaking if rows that keep the new contract can break the old one,
because a reader who trusts the old one is then wrong. Handing over more, or promising more about
it, is additive; words are wording. A change of key, type, day column or privacy is always
breaking: queries, partitions and the release are made from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from databox_shared.contracts import Column, Contract, Table, version_numbers


class Level(IntEnum):
    """How much of the version a change asks for: patch, minor or major."""

    WORDING = 1
    ADDITIVE = 2
    BREAKING = 3

    def next_version(self, version: str) -> str:
        """The lowest version after `version` that is enough for a change of this level."""
        major, minor, patch = version_numbers(version)
        match self:
            case Level.WORDING:
                return f"{major}.{minor}.{patch + 1}"
            case Level.ADDITIVE:
                return f"{major}.{minor + 1}.0"
            case Level.BREAKING:
                return f"{major + 1}.0.0"


@dataclass(frozen=True)
class Change:
    """One difference; `where` is a schema, a `schema.table` or a `schema.table.column`."""

    level: Level
    where: str
    what: str


def changes(old: Contract, new: Contract) -> list[Change]:
    """Every difference between two versions of a contract, the gravest first."""
    found = [*_worded(old.name, ("purpose", old.description, new.description))]
    found += _worded(old.name, ("owner", old.owner, new.owner))
    for name in sorted(old.tables.keys() | new.tables.keys()):
        before, after = old.tables.get(name), new.tables.get(name)
        if before and after:
            found += _table_changes(before, after)
        elif before:
            twin = _same_columns(before, new, old)
            where = f"{old.name}.{name}"
            found.append(Change(Level.BREAKING, where, f"renamed to {twin}" if twin else "removed"))
        else:
            found.append(Change(Level.ADDITIVE, f"{old.name}.{name}", "new table"))
    return sorted(found, key=lambda change: (-change.level, change.where))


def version_error(old: Contract, new: Contract, found: Sequence[Change]) -> str | None:
    """Why the new version is not enough for these changes, in a sentence; None if it is."""
    before, after = version_numbers(old.version), version_numbers(new.version)
    if after < before:
        return f"the version went back from {old.version} to {new.version}"
    if not found:
        return None
    level = max(change.level for change in found)
    needed = level.next_version(old.version)
    if after >= version_numbers(needed):
        return None
    said = f"the version stayed {old.version}" if before == after else f"{new.version} is too low"
    return f"{said}: a change that is {level.name.lower()} needs at least {needed}"


def _table_changes(old: Table, new: Table) -> Iterator[Change]:
    where = old.full_name
    yield from _worded(where, ("description", old.description, new.description))
    yield from _worded(where, ("grain", old.grain, new.grain))
    if set(old.key) != set(new.key):
        yield Change(
            Level.BREAKING, where, f"key is {', '.join(new.key)} and was {', '.join(old.key)}"
        )
    elif old.key != new.key:
        yield Change(Level.WORDING, where, f"key is told in the order {', '.join(new.key)}")
    if old.day_column != new.day_column:
        days = f"partitioned by {new.day_column or 'nothing'} and was by {old.day_column or 'none'}"
        yield Change(Level.BREAKING, where, days)
    if old.is_view != new.is_view:
        yield Change(Level.ADDITIVE, where, "now a view" if new.is_view else "now a table")
    yield from _bound(where, "freshness in hours", old.freshness_hours, new.freshness_hours)
    both_fresh = old.freshness_hours is not None and new.freshness_hours is not None
    if both_fresh and old.freshness_column != new.freshness_column:
        told_by = [table.freshness_column or "no named column" for table in (new, old)]
        yield Change(
            Level.BREAKING, where, f"freshness is told by {told_by[0]} and was by {told_by[1]}"
        )
    before = {column.name: column for column in old.columns}
    after = {column.name: column for column in new.columns}
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            added = [after[other] for other in after if other not in before]
            yield _removed(where, before[name], added)
        elif name not in before:
            yield Change(Level.ADDITIVE, f"{where}.{name}", "new column")
        else:
            yield from _column_changes(f"{where}.{name}", before[name], after[name])
    kept = [
        [name for name in names if name in before and name in after] for names in (before, after)
    ]
    if kept[0] != kept[1]:
        yield Change(Level.ADDITIVE, where, "columns come in another order")


def _column_changes(where: str, old: Column, new: Column) -> Iterator[Change]:
    yield from _worded(where, ("description", old.description, new.description))
    if old.type != new.type:
        yield Change(Level.BREAKING, where, f"type is {new.type} and was {old.type}")
    if old.required and not new.required:
        yield Change(Level.BREAKING, where, "may now be null")
    elif new.required and not old.required:
        yield Change(Level.ADDITIVE, where, "is never null any more")
    if old.private != new.private:
        privacy = "private, so readers lose it" if new.private else "no longer private"
        yield Change(Level.BREAKING, where, f"is {privacy}")
    yield from _list_changes(where, old.enum, new.enum)
    yield from _bound(where, "maximum", old.maximum, new.maximum)
    yield from _bound(where, "minimum", old.minimum, new.minimum, is_lower=True)
    if old.references != new.references:
        level = Level.BREAKING if old.references else Level.ADDITIVE
        target = ".".join(new.references) if new.references else "nothing"
        yield Change(level, where, f"refers to {target}")


def _list_changes(where: str, old: tuple[str, ...], new: tuple[str, ...]) -> Iterator[Change]:
    if not old and new:
        yield Change(Level.ADDITIVE, where, f"is now one of {', '.join(new)}")
    elif old and not new:
        yield Change(Level.BREAKING, where, "may now be any value")
    else:
        added, gone = set(new) - set(old), set(old) - set(new)
        if added:
            yield Change(Level.BREAKING, where, f"may now be {', '.join(sorted(added))}")
        if gone:
            yield Change(Level.ADDITIVE, where, f"is never {', '.join(sorted(gone))} any more")
        if not added and not gone and old != new:
            yield Change(Level.WORDING, where, "values are told in another order")


def _bound(
    where: str, word: str, old: float | None, new: float | None, *, is_lower: bool = False
) -> Iterator[Change]:
    if old == new:
        return
    is_wider: Callable[[float, float], bool] = float.__lt__ if is_lower else float.__gt__
    promised_less = old is not None and (new is None or is_wider(float(new), float(old)))
    level = Level.BREAKING if promised_less else Level.ADDITIVE
    said = ["none" if value is None else f"{value:g}" for value in (new, old)]
    yield Change(level, where, f"{word} is {said[0]} and was {said[1]}")


def _removed(where: str, column: Column, added: Sequence[Column]) -> Change:
    # the words stay when only the name changes
    twins = [other.name for other in added if other.description == column.description]
    what = f"renamed to {twins[0]}" if twins else "removed"
    return Change(Level.BREAKING, f"{where}.{column.name}", what)


def _same_columns(table: Table, new: Contract, old: Contract) -> str | None:
    names = {column.name for column in table.columns}
    for other in new.tables.values():
        if other.name not in old.tables and {column.name for column in other.columns} == names:
            return other.name
    return None


def _worded(where: str, said: tuple[str, str, str]) -> Iterator[Change]:
    word, old, new = said
    if old != new:
        yield Change(Level.WORDING, where, f"{word} is worded anew")
