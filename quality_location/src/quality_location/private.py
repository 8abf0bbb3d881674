"""What must never leave the raw tables: where people live, who they are, what they wrote.

The values are collected once per run from raw, and every text and place of every other table is
held against them. Pure, like `checks`.
"""

from collections.abc import Iterator

from databox_shared.contracts import RAW, Table, contract
from quality_location.checks import Check, RowCheck, relation, table_named

PRIVATE_TEXT = "memory.private.texts"
PRIVATE_PLACES = "memory.private.places"
# a short comment such as "two males" may be a word that is public elsewhere
_SHORTEST_COMMENT = 12
_LATITUDES, _LONGITUDES = ("latitude", "lat"), ("longitude", "lng")


def private_values_sql() -> Iterator[str]:
    """Statements that collect what must stay in raw: names, words and places of people.

    What is public elsewhere (the name of a hotspot, a region or a bird) is not private: people
    call their garden by such names. A place that has become a hotspot since is public, and one
    that is a hotspot no more is not: the list of hotspots is whole.
    """
    checklists, recent, notable, historic = (
        relation(table_named(RAW, name))
        for name in (
            "checklists",
            "recent_observations",
            "notable_observations",
            "historic_observations",
        )
    )
    hotspots, top100 = (relation(table_named(RAW, name)) for name in ("hotspots", "top100"))
    observations, regions, taxa = (
        relation(table_named(RAW, name)) for name in ("observations", "regions", "taxa")
    )
    public = f"""loc_id IN (
    SELECT loc_id FROM {hotspots}
    UNION ALL SELECT c.loc_id FROM {checklists} c WHERE c.is_hotspot AND c.read_at > coalesce(
        (SELECT max(read_at) FROM {hotspots} h WHERE h.region_code = c.region_code),
        TIMESTAMP '-infinity'
    )
)"""
    yield "CREATE SCHEMA memory.private"
    yield f"""
CREATE TABLE {PRIVATE_PLACES} AS
SELECT latitude, longitude FROM {checklists} WHERE NOT is_hotspot OR NOT {public}
UNION SELECT lat, lng FROM {recent} WHERE location_private
UNION SELECT lat, lng FROM {notable} WHERE location_private
UNION SELECT lat, lng FROM {historic} WHERE location_private
EXCEPT SELECT lat, lng FROM {hotspots}
EXCEPT SELECT latitude, longitude FROM {checklists} WHERE is_hotspot AND {public}"""
    yield f"""
CREATE TABLE {PRIVATE_TEXT} AS
SELECT loc_name AS value FROM {checklists} WHERE NOT is_hotspot OR NOT {public}
UNION SELECT loc_name FROM {recent} WHERE location_private
UNION SELECT loc_name FROM {notable} WHERE location_private
UNION SELECT loc_name FROM {historic} WHERE location_private
UNION SELECT user_display_name FROM {checklists}
UNION SELECT user_display_name FROM {notable}
UNION SELECT user_display_name FROM {historic}
UNION SELECT user_display_name FROM {top100}
UNION SELECT user_id FROM {top100}
UNION SELECT profile_handle FROM {top100}
UNION SELECT comments FROM {checklists} WHERE length(comments) >= {_SHORTEST_COMMENT}
UNION SELECT comments FROM {observations} WHERE length(comments) >= {_SHORTEST_COMMENT}
EXCEPT SELECT loc_name FROM {hotspots}
EXCEPT SELECT loc_name FROM {checklists} WHERE is_hotspot AND {public}
EXCEPT SELECT region_name FROM {regions}
EXCEPT SELECT com_name FROM {taxa}
EXCEPT SELECT sci_name FROM {taxa}"""


def private_sources() -> tuple[Table, ...]:
    """The raw tables that `private_values_sql` reads: those with a private column, and public."""
    tables = contract(RAW).tables.values()
    secret = [table for table in tables if any(column.private for column in table.columns)]
    return (*secret, *(table_named(RAW, name) for name in ("hotspots", "regions", "taxa")))


def no_private_value(table: Table) -> Check:
    """The check that no private value is in a table of another schema."""
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
