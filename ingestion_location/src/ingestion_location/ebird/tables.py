"""The raw tables as queries over landing files: the API's words, in the contract's columns.

Each table has the answers it is made from, with the types of the API's fields, and one query that
names the contract's columns. Nothing is interpreted here beyond types; that is transform's work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from databox_shared.contracts import RAW, Table, contract
from ingestion_location.ebird import shapes
from ingestion_location.ebird.history import CHECKLISTS, OBSERVATIONS, READS
from ingestion_location.ebird.sources import NewFields


@dataclass(frozen=True)
class RawTable:
    """One raw table. `scope` are the columns whose values a load replaces as a whole; none: it all.

    `query` reads the resources as tables of the same name, whose `body` is one item: an answer
    that is an array becomes one row for each of its items. `item` is the resource whose items
    become rows, and what of them: a field there that is new upstream is put in place of `{more}`.
    `repeats` says that the API may give an item twice, so that one has to be chosen. `also` are
    other resources that nothing but this table is made from.
    """

    name: str
    item: tuple[str, str]
    scope: tuple[str, ...]
    query: str
    repeats: bool = True
    also: tuple[str, ...] = ()

    @property
    def contract(self) -> Table:
        """What the contract says about it."""
        return contract(RAW).tables[self.name]


RAW_TABLES: dict[str, RawTable] = {
    table.name: table
    for table in (
        RawTable(
            "checklists",
            ("views", "body"),
            ("region_code", "obs_date"),
            """
            WITH listed AS (
                SELECT region, day, body.subId AS sub_id, arg_max(body.loc, (read_at, path)) AS loc
                FROM lists GROUP BY ALL
            )
            SELECT
                region AS region_code, sub_id, day AS obs_date, body.obsDt::TIMESTAMP AS obs_dt,
                body.obsTimeValid AS obs_time_valid,
                loc.locId AS loc_id, loc."name" AS loc_name, loc.latitude, loc.longitude,
                loc.isHotspot AS is_hotspot, loc.countryCode AS country_code,
                loc.subnational1Code AS subnational1_code,
                loc.subnational2Code AS subnational2_code,
                body.userDisplayName AS user_display_name, body.numSpecies AS num_species,
                body.protocolId AS protocol_id, body.projId AS proj_id, body.groupId AS group_id,
                body.durationHrs AS duration_hrs, body.effortDistanceKm AS effort_distance_km,
                body.effortAreaHa AS effort_area_ha, body.numObservers AS num_observers,
                body.allObsReported AS all_obs_reported,
                body.submissionMethodCode AS submission_method_code,
                body.creationDt::TIMESTAMP AS creation_dt,
                body.lastEditedDt::TIMESTAMP AS last_edited_dt, body.comments, read_at{more}
            FROM (SELECT *, body.subId AS sub_id FROM views) JOIN listed USING (region, day, sub_id)
            """,
            # on two days it may be, which the load sees to
            repeats=False,
            also=("lists",),
        ),
        RawTable(
            "observations",
            ("views", "obs"),
            ("region_code", "obs_date"),
            """
            SELECT
                region AS region_code, obs.obsId AS obs_id, sub_id, day AS obs_date,
                obs.speciesCode AS species_code, obs.howManyStr AS how_many_str,
                obs.howManyAtleast AS how_many_atleast, obs.howManyAtmost AS how_many_atmost,
                obs.present, obs.exoticCategory AS exotic_category, obs.comments,
                obs.mediaCounts::VARCHAR AS media_counts, obs.obsAux::VARCHAR AS obs_aux,
                read_at{more}
            FROM (SELECT region, day, read_at, body.subId AS sub_id, unnest(body.obs) AS obs
                  FROM views)
            """,
            repeats=False,
        ),
        RawTable(
            "region_stats",
            ("stats", "body"),
            ("region_code", "obs_date"),
            """
            WITH listed AS (
                SELECT region, day, count(DISTINCT body.subId) AS checklists FROM lists GROUP BY ALL
            ),
            cut AS (
                SELECT DISTINCT region, day, true AS is_cut
                FROM lists GROUP BY region, day, path HAVING count(*) >= 200
            )
            SELECT
                region AS region_code, day AS obs_date,
                body.numChecklists AS num_checklists, body.numContributors AS num_contributors,
                body.numSpecies AS num_species, coalesce(listed.checklists, 0) AS listed_checklists,
                coalesce(is_cut, false) AND listed.checklists < body.numChecklists AS is_capped,
                read_at{more}
            FROM stats
            LEFT JOIN listed USING (region, day)
            LEFT JOIN cut USING (region, day)
            """,
        ),
        RawTable(
            "historic_observations",
            ("historic", "body"),
            ("region_code", "obs_date"),
            """
            SELECT
                region AS region_code, day AS obs_date, body.speciesCode AS species_code,
                body.comName AS com_name, body.sciName AS sci_name, body.obsId AS obs_id,
                body.subId AS sub_id, body.locId AS loc_id, body.locName AS loc_name,
                body.obsDt::TIMESTAMP AS obs_dt, body.howMany AS how_many, body.lat, body.lng,
                body.obsValid AS obs_valid, body.obsReviewed AS obs_reviewed,
                body.locationPrivate AS location_private, body.exoticCategory AS exotic_category,
                body.subnational1Code AS subnational1_code,
                body.subnational2Code AS subnational2_code,
                body.userDisplayName AS user_display_name, body.hasRichMedia AS has_rich_media,
                read_at{more}
            FROM historic
            """,
        ),
        RawTable(
            "top100",
            ("top100", "body"),
            ("region_code", "obs_date"),
            """
            SELECT
                region AS region_code, day AS obs_date,
                regexp_extract(path, 'rankedBy=(\\w+)', 1) AS ranked_by, body.userId AS user_id,
                body.rowNum AS row_num, body.userDisplayName AS user_display_name,
                body.profileHandle AS profile_handle, body.numSpecies AS num_species,
                body.numCompleteChecklists AS num_complete_checklists, read_at{more}
            FROM top100
            """,
        ),
        RawTable(
            "checklist_history",
            ("views", ""),
            ("region_code", "obs_date"),
            CHECKLISTS,
            repeats=False,
        ),
        RawTable(
            "observation_history",
            ("views", ""),
            ("region_code", "obs_date"),
            OBSERVATIONS,
            repeats=False,
        ),
        RawTable(
            "recent_observations",
            ("recent", "body"),
            (),
            """
            SELECT
                region AS region_code, body.speciesCode AS species_code, body.comName AS com_name,
                body.sciName AS sci_name, body.subId AS sub_id, body.locId AS loc_id,
                body.locName AS loc_name, body.obsDt::TIMESTAMP AS obs_dt,
                body.howMany AS how_many, body.lat, body.lng, body.obsValid AS obs_valid,
                body.obsReviewed AS obs_reviewed, body.locationPrivate AS location_private,
                body.exoticCategory AS exotic_category, read_at AS polled_at{more}
            FROM recent
            """,
        ),
        RawTable(
            "notable_observations",
            ("notable", "body"),
            (),
            """
            SELECT
                region AS region_code, body.obsId AS obs_id, body.speciesCode AS species_code,
                body.comName AS com_name, body.sciName AS sci_name, body.subId AS sub_id,
                body.locId AS loc_id, body.locName AS loc_name, body.obsDt::TIMESTAMP AS obs_dt,
                body.howMany AS how_many, body.lat, body.lng, body.obsValid AS obs_valid,
                body.obsReviewed AS obs_reviewed, body.locationPrivate AS location_private,
                body.subnational1Code AS subnational1_code,
                body.subnational2Code AS subnational2_code,
                body.userDisplayName AS user_display_name, body.hasRichMedia AS has_rich_media,
                read_at AS polled_at{more}
            FROM notable
            """,
        ),
        RawTable(
            "notable_polls",
            ("", ""),
            ("region_code",),
            """
            SELECT
                region AS region_code,
                regexp_extract(path, 'back=([0-9]+)', 1)::BIGINT AS days_back, read_at AS polled_at
            FROM notable_answers
            """,
        ),
        RawTable(
            "hotspots",
            ("hotspots", "body"),
            ("region_code",),
            """
            SELECT
                region AS region_code, body.locId AS loc_id, body.locName AS loc_name,
                body.countryCode AS country_code, body.subnational1Code AS subnational1_code,
                body.subnational2Code AS subnational2_code, body.lat, body.lng,
                body.latestObsDt::TIMESTAMP AS latest_obs_dt,
                body.numSpeciesAllTime AS num_species_all_time,
                body.numChecklistsAllTime AS num_checklists_all_time, read_at{more}
            FROM hotspots
            """,
        ),
        RawTable(
            "species_lists",
            ("species_lists", "body"),
            ("region_code",),
            """
            SELECT region AS region_code, body AS species_code, place AS list_order, read_at{more}
            FROM species_lists
            """,
        ),
        RawTable(
            "taxa",
            ("taxa", "body"),
            ("taxonomy_version",),
            """
            SELECT
                regexp_extract(path, 'version=([0-9.]+)', 1)::DOUBLE AS taxonomy_version,
                body.speciesCode AS species_code, body.comName AS com_name,
                body.sciName AS sci_name, body.category, body.taxonOrder AS taxon_order,
                body."order" AS order_name, body.familyCode AS family_code,
                body.familyComName AS family_com_name, body.familySciName AS family_sci_name,
                body.reportAs AS report_as, coalesce(body.extinct, false) AS is_extinct,
                body.extinctYear AS extinct_year, read_at{more}
            FROM taxa
            """,
            also=("taxonomy_versions",),
        ),
        RawTable(
            "regions",
            ("", ""),
            (),
            """
            WITH found AS (
                SELECT region AS code, body.result AS "name", body.bounds, read_at, 1 AS place
                FROM region_info
                UNION ALL BY NAME
                SELECT body.code, body.name, read_at, 2 AS place FROM region_list
                UNION ALL BY NAME
                SELECT above.code AS code, above.result AS "name", read_at, 3 AS place
                FROM (
                    SELECT read_at, body.parent AS above FROM region_info
                    UNION ALL
                    SELECT read_at, body.parent.parent FROM region_info
                )
            )
            SELECT
                code AS region_code, coalesce(name, code) AS region_name,
                ['country', 'subnational1', 'subnational2']
                    [1 + length(code) - length(replace(code, '-', ''))] AS region_type,
                CASE WHEN code LIKE '%-%'
                    THEN array_to_string(string_split(code, '-')[:-2], '-') END AS parent_code,
                bounds.minX AS min_x, bounds.maxX AS max_x, bounds.minY AS min_y,
                bounds.maxY AS max_y, read_at
            FROM found WHERE code IS NOT NULL
            QUALIFY row_number() OVER (PARTITION BY code ORDER BY place, read_at DESC) = 1
            """,
            also=("region_info", "region_list"),
        ),
    )
}

RESOURCES = (*(key.removesuffix("[]") for key in shapes.SHAPES), *READS)
"""Whatever a raw table is made from."""

DAY_TABLES = tuple(name for name, table in RAW_TABLES.items() if "obs_date" in table.scope)
SNAPSHOT_TABLES = tuple(name for name in RAW_TABLES if name not in DAY_TABLES)


def select(table: RawTable, new: NewFields) -> str:
    """SQL for the rows of one raw table: the contract's columns, then new ones, each key once."""
    contracted = table.contract
    more = new_columns(table, new)
    _, item = table.item
    query = table.query.format(
        more="".join(f', {item}."{field}"::VARCHAR AS "{name}"' for name, field in more.items())
    )
    typed = [f'"{column.name}"::{column.type} AS "{column.name}"' for column in contracted.columns]
    columns = ", ".join([*typed, *(f'"{name}"' for name in more)])
    if not table.repeats:
        return f"SELECT {columns} FROM ({query})"  # noqa: S608 (names of our own and quoted ones)
    key = ", ".join(contracted.key)
    read = "polled_at" if "polled_at" in {c.name for c in contracted.columns} else "read_at"
    return (
        f"SELECT {columns} FROM ({query}) "  # noqa: S608 (names of our own and quoted ones)
        f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {read} DESC) = 1"
    )


def new_columns(table: RawTable, new: NewFields) -> dict[str, str]:
    """The columns that hold fields which are new upstream, with the field of each."""
    resource, item = table.item
    inside = "" if item == "body" else f"{item}[]."
    taken = {column.name for column in table.contract.columns}
    columns: dict[str, str] = {}
    for path in sorted(new.get(resource, ())):
        field = path.removeprefix(inside)
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", field).lower()
        # one that cannot become a column by itself is in the landing files and in the report
        if path.startswith(inside) and re.fullmatch(r"[a-z]\w*", name) and name not in taken:
            columns[name] = field
    return columns


def new_in_words(table: RawTable, new: NewFields) -> str:
    """What the API sends for a table that the contract does not know; empty if nothing."""
    columns = new_columns(table, new)
    resource, item = table.item
    lost = [
        f"{resource}.{path}"
        for path in sorted(new.get(resource, ()))
        # of a checklist's answer, the observations are rows of another table
        if item
        and path.startswith("obs[].") == (item == "obs")
        and path.removeprefix("obs[].") not in columns.values()
    ]
    lost += [f"{name}.{path}" for name in table.also for path in sorted(new.get(name, ()))]
    said: list[str] = []
    if columns:
        said.append(
            f"the API now sends {', '.join(columns.values())}, kept as text in "
            f"{', '.join(columns)}; add it to the contract and to shapes.py"
        )
    if lost:
        said.append(
            f"the API now sends {', '.join(lost)}, kept in the landing files and in no column; "
            "add it to shapes.py"
        )
    return "; ".join(said)
