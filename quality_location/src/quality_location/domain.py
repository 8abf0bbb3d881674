"""The checks that follow from birds and from eBird, not from a contract.

Pure, like `checks`. Each says what it means in the field's words. A table or column that is named
here and not in a contract stops the load of this location.
"""

from collections.abc import Iterator

from databox_shared.contracts import MARTS, RAW, STAGING, Table, contract
from quality_location.checks import Check, RowCheck, relation

PRIVATE_TEXT = "memory.private.texts"
PRIVATE_PLACES = "memory.private.places"
# a short comment such as "two males" may be a word that is public elsewhere
_SHORTEST_COMMENT = 12
_LATITUDES, _LONGITUDES = ("latitude", "lat"), ("longitude", "lng")

COMPLETE_SHARE = 0.98
LOST_CHECKLISTS, LOST_SHARE = 3, 0.05


def domain_checks() -> list[Check]:
    """Every check of this module."""
    checks: list[Check] = [
        _completeness(),
        _lost_checklists(),
        _species_on_checklist(),
        _reached_staging(),
        _daily_totals(),
        _in_daily_totals(),
    ]
    for name in (STAGING, MARTS):
        checks += [_no_private_value(table) for table in contract(name).tables.values()]
    return checks


def private_values_sql() -> Iterator[str]:
    """Statements that collect what must stay in raw: names, words and places of people.

    What is public elsewhere (the name of a hotspot, a region or a bird) is not private: people
    call their garden by such names. A place that has become a hotspot since is public.
    """
    checklists, recent, notable, hotspots = (
        relation(_table(RAW, name))
        for name in ("checklists", "recent_observations", "notable_observations", "hotspots")
    )
    observations, regions, taxa = (
        relation(_table(RAW, name)) for name in ("observations", "regions", "taxa")
    )
    yield "CREATE SCHEMA memory.private"
    yield f"""
CREATE TABLE {PRIVATE_PLACES} AS
SELECT latitude, longitude FROM {checklists} WHERE NOT is_hotspot
UNION SELECT lat, lng FROM {recent} WHERE location_private
UNION SELECT lat, lng FROM {notable} WHERE location_private
EXCEPT SELECT lat, lng FROM {hotspots}
EXCEPT SELECT latitude, longitude FROM {checklists} WHERE is_hotspot"""
    yield f"""
CREATE TABLE {PRIVATE_TEXT} AS
SELECT loc_name AS value FROM {checklists} WHERE NOT is_hotspot
UNION SELECT loc_name FROM {recent} WHERE location_private
UNION SELECT loc_name FROM {notable} WHERE location_private
UNION SELECT user_display_name FROM {checklists}
UNION SELECT user_display_name FROM {notable}
UNION SELECT comments FROM {checklists} WHERE length(comments) >= {_SHORTEST_COMMENT}
UNION SELECT comments FROM {observations} WHERE length(comments) >= {_SHORTEST_COMMENT}
EXCEPT SELECT loc_name FROM {hotspots}
EXCEPT SELECT loc_name FROM {checklists} WHERE is_hotspot
EXCEPT SELECT region_name FROM {regions}
EXCEPT SELECT com_name FROM {taxa}
EXCEPT SELECT sci_name FROM {taxa}"""


def private_sources() -> tuple[Table, ...]:
    """The raw tables that `private_values_sql` reads: those with a private column, and public."""
    tables = contract(RAW).tables.values()
    secret = [table for table in tables if any(column.private for column in table.columns)]
    return (*secret, *(_table(RAW, name) for name in ("hotspots", "regions", "taxa")))


def _no_private_value(table: Table) -> Check:
    names = [column.name for column in table.columns]
    fails = {
        f"{column.name} holds a private name or comment": (
            f"t.{column.name} IN (SELECT value FROM {PRIVATE_TEXT})"
        )
        for column in table.columns
        if column.type == "VARCHAR"
    }
    latitude = next((name for name in _LATITUDES if name in names), None)
    longitude = next((name for name in _LONGITUDES if name in names), None)
    if latitude and longitude:
        fails[f"({latitude}, {longitude}) is a private place"] = (
            f"(t.{latitude}, t.{longitude}) IN (SELECT (latitude, longitude) FROM {PRIVATE_PLACES})"
        )
    return RowCheck(
        table,
        "no_private_place_or_person",
        "No name or coordinates of a personal location, no observer's name and no comment has "
        "left the raw tables: a personal location can be a home address.",
        blocking=True,
        fails=fails,
        reads=private_sources(),
    )


def _completeness() -> Check:
    stats, checklists = _table(RAW, "region_stats"), _table(RAW, "checklists")
    return RowCheck(
        stats,
        "checklists_complete",
        f"For every region and day at least {COMPLETE_SHARE:.0%} of the checklists that eBird "
        "counts (product/stats) are loaded. Late checklists and days whose list was capped at 200 "
        "fall short; the next loads of the day close the gap, a capped day keeps it.",
        blocking=False,
        fails={
            f"fewer than {COMPLETE_SHARE:.0%} of eBird's checklists are loaded": (
                f"{_loaded(checklists)} < {COMPLETE_SHARE} * t.num_checklists"
            )
        },
        shows=("num_checklists", "listed_checklists", "is_capped"),
        reads=(checklists,),
    )


def _lost_checklists() -> Check:
    stats, checklists = _table(RAW, "region_stats"), _table(RAW, "checklists")
    return RowCheck(
        stats,
        "no_checklists_lost",
        "What eBird's lists of a day held is loaded. A few may have moved to another day or been "
        f"deleted since; more than {LOST_CHECKLISTS} and more than {LOST_SHARE:.0%} missing means "
        "that the load lost them.",
        blocking=True,
        fails={
            "listed checklists are missing": (
                f"t.listed_checklists - {_loaded(checklists)} "
                f"> greatest({LOST_CHECKLISTS}, {LOST_SHARE} * t.listed_checklists)"
            )
        },
        shows=("listed_checklists",),
        reads=(checklists,),
    )


def _species_on_checklist() -> Check:
    checklists, observations, taxa = (
        _table(STAGING, name) for name in ("checklists", "observations", "taxa")
    )
    species = (
        f"SELECT count(DISTINCT x.rollup_species_code) FROM {relation(observations)} o "
        f"JOIN {relation(taxa)} x USING (species_code) "
        "WHERE o.region_code = t.region_code AND o.sub_id = t.sub_id"
    )
    return RowCheck(
        checklists,
        "species_add_up",
        "The species of a checklist's observations, rolled up, are as many as eBird says "
        "(numSpecies). A difference means a lost observation or another taxonomy.",
        blocking=False,
        fails={"the observations hold another number of species": f"t.num_species <> ({species})"},
        shows=("obs_date", "num_species"),
        reads=(observations, taxa),
    )


def _reached_staging() -> Check:
    raw, staging = _table(RAW, "checklists"), _table(STAGING, "checklists")
    return RowCheck(
        raw,
        "reached_staging",
        "Every raw checklist is in staging. One that is not belongs to a day that has been loaded "
        "and not yet transformed.",
        blocking=False,
        fails={
            "it is not in staging": (
                "(t.region_code, t.sub_id, t.obs_date) NOT IN "
                f"(SELECT (region_code, sub_id, obs_date) FROM {relation(staging)})"
            )
        },
        shows=("obs_date",),
        reads=(staging,),
    )


def _daily_totals() -> Check:
    totals, checklists = _table(MARTS, "region_daily_totals"), _table(STAGING, "checklists")
    return RowCheck(
        totals,
        "totals_add_up",
        "A day's total is the number of its checklists in staging.",
        blocking=True,
        fails={"it is another number": f"t.num_checklists <> {_loaded(checklists)}"},
        shows=("num_checklists",),
        reads=(checklists,),
    )


def _in_daily_totals() -> Check:
    totals, checklists = _table(MARTS, "region_daily_totals"), _table(STAGING, "checklists")
    return RowCheck(
        checklists,
        "counted_in_daily_totals",
        "Every day with checklists has its row in the daily totals: no day is lost on the way.",
        blocking=True,
        fails={
            "its day has no total": (
                "(t.region_code, t.obs_date) NOT IN "
                f"(SELECT (region_code, obs_date) FROM {relation(totals)})"
            )
        },
        shows=("obs_date",),
        reads=(totals,),
    )


def _loaded(checklists: Table) -> str:
    return (
        f"(SELECT count(*) FROM {relation(checklists)} c "
        "WHERE c.region_code = t.region_code AND c.obs_date = t.obs_date)"
    )


def _table(schema: str, name: str) -> Table:
    return contract(schema).tables[name]
