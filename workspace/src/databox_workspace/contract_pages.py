"""The contracts as pages for people: what is handed over, by whom, to whom, in which words.

Made from the YAML and from nothing else, so they are never edited: `docs/contracts/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from databox_shared.contracts import Column, Contract, Table
from databox_shared.edges import EDGES, Edge
from databox_workspace.contract_check import readers_of

FOLDER = "docs/contracts"
INDEX = "README.md"
_MADE = "<!-- made by `task contract:pages` from the contract: change that, not this -->"


def pages(contracts: Sequence[Contract], edges: Sequence[Edge] = EDGES) -> dict[str, str]:
    """The pages by file name: an index, and one page for each contract. Pure."""
    found = {f"{contract.name}.md": _page(contract, edges) for contract in contracts}
    rows = [
        f"| [{contract.name}]({contract.name}.md) | {contract.version} | {_team(contract)} "
        f"| {len(contract.tables)} | {_readers(contract, edges)} |"
        for contract in contracts
    ]
    found[INDEX] = "\n".join(
        [
            _MADE,
            "# What is handed over",
            "",
            "Each schema is handed over as a whole, under one version of its contract.",
            "What a version means, and how one is changed: [contracts.md](../contracts.md).",
            "",
            "| schema | version | team | tables | who reads it |",
            "|---|---|---|--:|---|",
            *rows,
            "",
        ]
    )
    return found


def stale(root: Path, wanted: Mapping[str, str]) -> list[str]:
    """The pages in the project that are missing, differ from the contracts or are of none."""
    folder = root / FOLDER
    there = {file.name: file.read_text(encoding="utf-8") for file in folder.glob("*.md")}
    return sorted(
        name for name in there.keys() | wanted.keys() if there.get(name) != wanted.get(name)
    )


def write_pages(root: Path, wanted: Mapping[str, str]) -> list[str]:
    """Bring the pages up to date; returns the names of those that were not."""
    changed = stale(root, wanted)
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in wanted:
            (folder / name).write_text(wanted[name], encoding="utf-8")
        else:
            (folder / name).unlink()
    return changed


def _page(contract: Contract, edges: Sequence[Edge]) -> str:
    lines = [
        _MADE,
        f"# {contract.name} {contract.version}",
        "",
        contract.description.strip(),
        "",
        f"Handed over by {_team(contract)}. Read by {_readers(contract, edges)}.",
        "",
        "| table | one row is | partitions | fresh within |",
        "|---|---|---|--:|",
        *(_summary(table) for table in contract.tables.values()),
    ]
    for table in contract.tables.values():
        lines += ["", *_table(table)]
    return "\n".join([*lines, ""])


def _summary(table: Table) -> str:
    days = f"days of `{table.day_column}`" if table.day_column else ""
    hours = "" if table.freshness_hours is None else f"{table.freshness_hours:g} h"
    told_by = f" by `{table.freshness_column}`" if table.freshness_column else ""
    grain = table.grain.removeprefix("one row per ")
    name = f"[{table.name}](#{table.name})" + (" (a view)" if table.is_view else "")
    return f"| {name} | {_cell(grain)} | {days} | {hours}{told_by} |"


def _table(table: Table) -> Iterable[str]:
    yield f"## {table.name}"
    yield ""
    yield f"{table.description} {table.grain[0].upper()}{table.grain[1:]}."
    yield ""
    yield "| column | type | | meaning |"
    yield "|---|---|---|---|"
    for column in table.columns:
        key = "key" if column.name in table.key else "" if column.required else "or null"
        yield f"| `{column.name}` | {column.type} | {key} | {_cell(_meaning(column))} |"


def _meaning(column: Column) -> str:
    said = [column.description]
    if column.enum:
        said.append(f"One of {', '.join(f'`{value}`' for value in column.enum)}.")
    if column.minimum is not None and column.maximum is not None:
        said.append(f"From {column.minimum:g} to {column.maximum:g}.")
    elif column.minimum is not None:
        said.append(f"At least {column.minimum:g}.")
    elif column.maximum is not None:
        said.append(f"At most {column.maximum:g}.")
    if column.references:
        said.append(f"Found in `{'.'.join(column.references)}`.")
    if column.private:
        said.append("**Private: it never leaves this schema.**")
    return " ".join(said)


def _team(contract: Contract) -> str:
    return contract.owner.removeprefix("team:")


def _readers(contract: Contract, edges: Sequence[Edge]) -> str:
    return ", ".join(readers_of(contract.name, edges)) or "nobody yet"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
