"""What is checked: the model of a check, and every check that follows from a contract.

Pure: nothing here opens a file or knows Dagster's runs. A check is about one table; its condition
is a SQL expression that is true for a row that fails, so that one scan of a table answers all of
its checks. Nothing about a column is said here: columns, keys, ranges and references come from
`databox_shared.contracts`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import dagster as dg

from databox_shared.contracts import MARTS, RAW, STAGING, Column, ContractError, Table, contract
from databox_shared.days import FIRST_DAY

SCHEMAS = (RAW, STAGING, MARTS)
# what a loaded row says about when it was read, in tables whose partitions are not days
_READ_COLUMNS = ("read_at", "polled_at")
# a county has no leaders, and for a month there may be no rare bird
_MAY_BE_EMPTY = ("top100", "notable_observations")


@dataclass(frozen=True)
class Check:
    """A promise about one table. A blocking one that fails withholds the release."""

    table: Table
    name: str
    meaning: str
    blocking: bool

    @property
    def key(self) -> dg.AssetCheckKey:
        """As Dagster knows it."""
        return dg.AssetCheckKey(self.table.asset_key, self.name)

    @property
    def is_by_day(self) -> bool:
        """Whether it has a result for each day: it looks at rows, and the table has days."""
        return False


@dataclass(frozen=True)
class ColumnsCheck(Check):
    """Compares the columns of the table with its contract; no row is read.

    With `unknown` it looks for columns that the contract lacks, else for columns that are missing
    or have another type.
    """

    unknown: bool = False


@dataclass(frozen=True)
class FreshnessCheck(Check):
    """The newest value of `moment` over rows `t` is at most `hours` old, in every asked region.

    `moment` is a SQL expression. With `of_days` it is a day, which counts as its end, and a day for
    which eBird has no checklist needs no row. A table without regions is judged as a whole.
    """

    moment: str = ""
    hours: float = 0
    of_days: bool = False

    @property
    def has_regions(self) -> bool:
        """Whether rows belong to the regions that are asked for."""
        return "region_code" in self.table.key and self.table.name != "regions"

    @property
    def may_be_empty(self) -> bool:
        """Whether a table without a row is none of its faults: then nothing there is old."""
        return self.table.name in _MAY_BE_EMPTY

    @property
    def needs_every_region(self) -> bool:
        """Whether an asked region without any row is a fault: there is a row for each day."""
        return self.table.key == ("region_code", self.table.day_column)

    @property
    def reads(self) -> tuple[Table, ...]:
        """The other tables that it looks into: for regions that are asked for, and empty days."""
        names = ("regions", "region_stats") if self.has_regions else ()
        return tuple(table_named(RAW, name) for name in names)


@dataclass(frozen=True)
class RowCheck(Check):
    """No row `t` of the table meets a condition of `fails` (what is wrong → SQL expression).

    A sample of failing rows has the columns `shows` beside the key, and `explains` (name → SQL
    expression over `t`). `reads` are the other tables that the expressions look into. A blocking
    check only warns while at most the share `tolerates` of the rows fails.
    """

    fails: Mapping[str, str] = field(default_factory=dict[str, str])
    shows: tuple[str, ...] = ()
    explains: Mapping[str, str] = field(default_factory=dict[str, str])
    reads: tuple[Table, ...] = ()
    tolerates: float = 0

    @property
    def is_by_day(self) -> bool:
        """Rows belong to a day if the table's partitions are days."""
        return self.table.day_column is not None


def relation(table: Table) -> str:
    """The table as a query names it: the catalog is the location that published it."""
    return f"{'ingestion' if table.schema == RAW else 'transform'}.{table.full_name}"


def is_absent(target: Table, pairs: Sequence[tuple[str, str]]) -> str:
    """SQL that is true for a row `t` that `target` has no match for: (own, its) columns in pairs.

    A null on the other side would make `NOT IN` unknown for every row, so it is left out there.
    """
    own = ", ".join(f"t.{name}" for name, _ in pairs)
    its = ", ".join(name for _, name in pairs)
    known = " AND ".join(f"{name} IS NOT NULL" for _, name in pairs)
    return f"({own}) NOT IN (SELECT ({its}) FROM {relation(target)} WHERE {known})"


def is_absent_by(target: Table, *columns: str) -> str:
    """`is_absent` by columns that have one name on both sides."""
    return is_absent(target, [(name, name) for name in columns])


def table_named(schema: str, name: str) -> Table:
    """A table of a contract; a name that is not in it stops the load."""
    return contract(schema).tables[name]


def asked_regions() -> str:
    """The regions that are asked for, as a subquery of `region_code`.

    One that was taken out of EBIRD_REGIONS keeps its rows, and its name as it was read last; only
    those that are asked for are read anew, and have bounds. A read is of one date, on which
    regions may be added.
    """
    regions = relation(table_named(RAW, "regions"))
    return (
        f"(SELECT region_code FROM {regions} WHERE min_x IS NOT NULL "
        f"AND read_at > (SELECT max(read_at) FROM {regions}) - INTERVAL 24 HOUR)"
    )


def date_column(table: Table) -> str | None:
    """The day of a row: its partition, or else the first date that every row has."""
    dates = [column.name for column in table.columns if column.required and column.type == "DATE"]
    return table.day_column or next(iter(dates), None)


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def checked_tables() -> list[Table]:
    """Every table of every contract, raw first."""
    return [table for name in SCHEMAS for table in contract(name).tables.values()]


def contract_checks(tables: Sequence[Table]) -> list[Check]:
    """Every check that the tables' contracts ask for."""
    return [check for table in tables for check in _of_table(table)]


def _of_table(table: Table) -> Iterator[Check]:
    yield ColumnsCheck(
        table,
        "schema",
        "Every column of the contract is there, with the contract's type. Without it none of the "
        "table's other checks can be made.",
        blocking=True,
    )
    if table.schema == RAW:
        yield ColumnsCheck(
            table,
            "no_unknown_columns",
            "There is no column that the contract does not know. A new field of the API is loaded "
            "and goes no further: describe it in the contract to let it through.",
            blocking=False,
            unknown=True,
        )
    yield RowCheck(
        table,
        "key",
        f"The key ({', '.join(table.key)}) is unique: {table.grain}.",
        blocking=True,
        fails={
            "a key that occurs more than once": f"count(*) OVER (PARTITION BY {_key(table)}) > 1"
        },
    )
    yield _values(table)
    for column in table.columns:
        if column.references:
            yield _reference(table, column, *column.references)
    if table.freshness_hours is not None:
        yield _freshness(table, table.freshness_hours)


def _values(table: Table) -> Check:
    """Required values, bounds and lists are one check: a check costs Dagster more than DuckDB."""
    required = [column for column in table.columns if column.required]
    bounded = [c for c in table.columns if c.minimum is not None or c.maximum is not None]
    listed = [column for column in table.columns if column.enum]
    bounds = {_bounds(column): _outside(column) for column in bounded}
    if table.day_column:
        bounds[f"{FIRST_DAY} ≤ {table.day_column} ≤ today"] = (
            # somewhere on earth tomorrow has begun
            f"t.{table.day_column} NOT BETWEEN DATE '{FIRST_DAY}' AND current_date + 1"
        )
    rules = [f"required: {', '.join(column.name for column in required)}"]
    rules += [f"in range: {', '.join(bounds)}"] if bounds else []
    rules += [f"of a list: {', '.join(map(_listed, listed))}"] if listed else []
    return RowCheck(
        table,
        "values",
        f"Values are as the contract says ({'; '.join(rules)}).",
        blocking=True,
        fails={
            **{f"{column.name} is null": f"t.{column.name} IS NULL" for column in required},
            **{f"{bound} is broken": outside for bound, outside in bounds.items()},
            **{
                f"{c.name} is not in its list": (
                    f"t.{c.name} NOT IN ({', '.join(map(literal, c.enum))})"
                )
                for c in listed
            },
        },
        shows=_public([*bounded, *listed]),
    )


def _reference(table: Table, column: Column, target_name: str, target_column: str) -> Check:
    target = contract(table.schema).tables[target_name]
    own = {c.name for c in table.columns}
    # a region's observation belongs to that region's copy of the checklist, and to its day
    pairs = [(column.name, target_column)]
    pairs += [(key, key) for key in target.key if key != target_column and key in own]
    if target.day_column and target.day_column == table.day_column not in target.key:
        pairs.append((target.day_column, target.day_column))
    of_day = f" on the same {target.day_column}" if len(pairs) > len(target.key) else ""
    return RowCheck(
        table,
        f"{column.name}_in_{target_name}",
        f"Every {column.name} is found in {target.full_name}{of_day}.",
        blocking=True,
        fails={
            f"{column.name} is not in {target.full_name}": (
                f"t.{column.name} IS NOT NULL AND {is_absent(target, pairs)}"
            )
        },
        shows=_public([column]),
        reads=(target,),
    )


def _freshness(table: Table, hours: float) -> Check:
    moments = {c.name: c for c in table.columns if c.required and c.type in {"DATE", "TIMESTAMP"}}
    told_by = [table.freshness_column] if table.freshness_column else [*_telling(table), *moments]
    column = next((moments[name] for name in told_by if name in moments), None)
    if column is None:
        msg = f"{table.full_name} has a freshness, and no required DATE or TIMESTAMP to tell it by"
        raise ContractError(msg)
    of_days = column.type == "DATE"
    check = FreshnessCheck(
        table, "fresh", "", blocking=False, moment=f"t.{column.name}", hours=hours, of_days=of_days
    )
    what = f"{column.name}, a day, has ended" if of_days else f"{column.name} is"
    where = " in every region that is asked for" if check.has_regions else ""
    return replace(check, meaning=f"The newest {what} at most {hours:g} hours ago{where}.")


def _telling(table: Table) -> tuple[str, ...]:
    return (table.day_column, *_READ_COLUMNS) if table.day_column else _READ_COLUMNS


def _public(columns: Sequence[Column]) -> tuple[str, ...]:
    return tuple(column.name for column in columns if not column.private)


def _key(table: Table) -> str:
    return ", ".join(f"t.{name}" for name in table.key)


def _bounds(column: Column) -> str:
    low = "" if column.minimum is None else f"{column.minimum:g} ≤ "
    high = "" if column.maximum is None else f" ≤ {column.maximum:g}"
    return f"{low}{column.name}{high}"


def _outside(column: Column) -> str:
    parts: list[str] = []
    if column.minimum is not None:
        parts.append(f"t.{column.name} < {column.minimum:g}")
    if column.maximum is not None:
        parts.append(f"t.{column.name} > {column.maximum:g}")
    if column.type == "DOUBLE":
        # NaN is greater than every number in DuckDB, so a lower bound lets it through
        parts.append(f"isnan(t.{column.name}) OR isinf(t.{column.name})")
    return " OR ".join(parts)


def _listed(column: Column) -> str:
    return f"{column.name} ({', '.join(column.enum)})"
