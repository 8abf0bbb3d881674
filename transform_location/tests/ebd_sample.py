"""A made-up sample in the shape of the eBird Basic Dataset (EBD), and what auk is said to do to it.

The functions state the documentation of the R package auk (version 0.8), which is the field's own
definition of these things, in plain Python: `auk_complete`, `auk_unique`, `auk_rollup` and
`auk_zerofill`. The sample has its two files: birds (one row a taxon on a list) and sampling events
(one row a list). A count is text as in the EBD, "X" or a number.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable

Row = dict[str, str]

# category of each code, and the scientific name that the EBD has for it: a form's is its species'
TAXA = {
    "yerwar": ("species", "Setophaga coronata"),
    "myrwar": ("issf", "Setophaga coronata"),
    "audwar": ("issf", "Setophaga coronata"),
    "yerwar1": ("intergrade", "Setophaga coronata"),
    "mallar3": ("species", "Anas platyrhynchos"),
    "mallar2": ("domestic", "Anas platyrhynchos"),
    "rethaw": ("species", "Buteo jamaicensis"),
    "rethaw3": ("form", "Buteo jamaicensis"),
    "x00004": ("hybrid", "Anas rubripes x platyrhynchos"),
    "y00632": ("slash", "Anas rubripes/platyrhynchos"),
    "mallar9": ("form", "Anas nova"),
    "ducksp1": ("spuh", "Anatinae sp."),
    "norcar": ("species", "Cardinalis cardinalis"),
    "snoowl1": ("species", "Bubo scandiacus"),
}

SAMPLING_EVENTS = """\
sampling_event_identifier group_identifier all_species_reported observation_date
S100 -    1 2026-05-01
S101 -    1 2026-05-01
S102 -    0 2026-05-01
S110 G110 1 2026-05-01
S111 G110 1 2026-05-01
S112 G110 1 2026-05-01
S120 G120 0 2026-05-02
S121 G120 1 2026-05-02
S122 G120 1 2026-05-02
S130 G130 0 2026-05-02
S131 G130 0 2026-05-02
S140 -    1 2026-05-03
"""

BIRDS = """\
sampling_event_identifier species_code observation_count
S100 yerwar  5
S100 norcar  X
S100 x00004  1
S101 myrwar  3
S101 audwar  2
S101 rethaw3 2
S101 rethaw  X
S101 mallar3 4
S101 mallar2 2
S101 y00632  9
S101 ducksp1 30
S102 norcar  2
S102 snoowl1 1
S110 norcar  3
S111 norcar  4
S111 yerwar  X
S112 yerwar  6
S112 rethaw  1
S120 norcar  8
S120 snoowl1 1
S121 rethaw3 2
S122 norcar  7
S122 rethaw  5
S130 mallar3 1
S131 mallar3 2
S131 norcar  1
S140 ducksp1 X
"""


def table(text: str) -> list[Row]:
    """The rows of a table whose columns are parted by blanks, `-` for nothing."""
    rows = csv.DictReader((" ".join(line.split()) for line in text.splitlines()), delimiter=" ")
    return [{name: "" if cell == "-" else cell for name, cell in row.items()} for row in rows]


def sampling_events() -> list[Row]:
    return table(SAMPLING_EVENTS)


def birds() -> list[Row]:
    """The EBD's rows: those of the list are repeated on each of its taxa."""
    lists = {row["sampling_event_identifier"]: row for row in sampling_events()}
    found: list[Row] = []
    for row in table(BIRDS):
        category, name = TAXA[row["species_code"]]
        of_list = lists[row["sampling_event_identifier"]]
        found.append({**of_list, **row, "category": category, "scientific_name": name})
    return found


def auk_complete(rows: Iterable[Row]) -> list[Row]:
    """Only lists on which all species are reported; auk's filters come before everything else."""
    return [row for row in rows if row["all_species_reported"] == "1"]


def auk_unique(rows: Iterable[Row], *, checklists_only: bool = False) -> list[Row]:
    """Of a group's lists the one with the lowest id, "independently for each species".

    The rows of a group get its id as their `checklist_id`. With `checklists_only` for sampling
    events, which have no species.
    """
    kept: dict[tuple[str, ...], Row] = {}
    for row in sorted(rows, key=lambda row: row["sampling_event_identifier"]):
        checklist = row["group_identifier"] or row["sampling_event_identifier"]
        if not row["group_identifier"] and not checklists_only:
            # a list that is no group's keeps all its rows
            kept[checklist, row["species_code"]] = {**row, "checklist_id": checklist}
        else:
            key = (checklist,) if checklists_only else (checklist, row["scientific_name"])
            kept.setdefault(key, {**row, "checklist_id": checklist})
    return list(kept.values())


def auk_rollup(rows: Iterable[Row]) -> list[Row]:
    """Taxa of no single species are dropped, others are of their species.

    A domestic type is, too: the documentation says that it is dropped, but what auk's code goes by
    is the scientific name. A form of no species, which auk keeps as it is, is not in the sample.

    "The observed counts are summed across any taxa that resolve to the same species"; with an X
    among them "the rolled up record will get an X as well".
    """
    same: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row["category"] not in ("spuh", "slash", "hybrid"):
            same[row["checklist_id"], row["scientific_name"]].append(row)
    return [{**taxa[0], "observation_count": total(taxa)} for taxa in same.values()]


def total(taxa: list[Row]) -> str:
    counts = [row["observation_count"] for row in taxa]
    return "X" if "X" in counts else str(sum(map(int, counts)))


def auk_zerofill(rows: Iterable[Row], events: Iterable[Row]) -> dict[tuple[str, str], str]:
    """The count of each species on each checklist, 0 for one that it does not report."""
    seen = {(row["checklist_id"], row["scientific_name"]): row["observation_count"] for row in rows}
    return {
        (event["checklist_id"], species): seen.get((event["checklist_id"], species), "0")
        for event in events
        for species in {name for _, name in seen}
    }
