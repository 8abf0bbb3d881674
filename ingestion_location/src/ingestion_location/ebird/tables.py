"""The raw tables as queries over landing files: the API's words, in the contract's columns.

Each table has the answers it is made from, with the types of the API's fields, and one query that
names the contract's columns. Nothing is interpreted here beyond types; that is transform's work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from databox_shared.contracts import RAW, Table, contract

Files = Mapping[str, Sequence[Path]]
"""Landing files by resource."""


@dataclass(frozen=True)
class RawTable:
    """One raw table. `scope` are the columns whose values a load replaces as a whole.

    `query` reads the resources in `sources` as tables of the same name, whose `body` is one item:
    an answer that is an array becomes one row for each of its items.
    """

    name: str
    sources: tuple[str, ...]
    scope: tuple[str, ...]
    query: str

    @property
    def contract(self) -> Table:
        """What the contract says about it."""
        return contract(RAW).tables[self.name]


# the fields of each resource's items that the contract's columns are made from, as the API
# types them; `[]` behind a resource's name says that an answer is an array of items
_RESOURCES: dict[str, str] = {
    "stats": "numChecklists BIGINT, numContributors BIGINT, numSpecies BIGINT",
    "lists[]": """
        subId VARCHAR, userDisplayName VARCHAR, numSpecies BIGINT, isoObsDate VARCHAR,
        loc STRUCT(
            locId VARCHAR, "name" VARCHAR, latitude DOUBLE, longitude DOUBLE, countryCode VARCHAR,
            subnational1Code VARCHAR, subnational2Code VARCHAR, isHotspot BOOLEAN
        )""",
    "views": """
        subId VARCHAR, projId VARCHAR, protocolId VARCHAR, locId VARCHAR, groupId VARCHAR,
        durationHrs DOUBLE, allObsReported BOOLEAN, comments VARCHAR, creationDt VARCHAR,
        lastEditedDt VARCHAR, obsDt VARCHAR, obsTimeValid BOOLEAN, numObservers BIGINT,
        effortDistanceKm DOUBLE, effortAreaHa DOUBLE, submissionMethodCode VARCHAR,
        userDisplayName VARCHAR, numSpecies BIGINT,
        obs STRUCT(
            speciesCode VARCHAR, howManyStr VARCHAR, howManyAtleast BIGINT, howManyAtmost BIGINT,
            present BOOLEAN, obsId VARCHAR, exoticCategory VARCHAR, comments VARCHAR,
            mediaCounts JSON, obsAux JSON
        )[]""",
    "recent[]": """
        speciesCode VARCHAR, comName VARCHAR, sciName VARCHAR, subId VARCHAR, locId VARCHAR,
        locName VARCHAR, obsDt VARCHAR, howMany BIGINT, lat DOUBLE, lng DOUBLE, obsValid BOOLEAN,
        obsReviewed BOOLEAN, locationPrivate BOOLEAN, exoticCategory VARCHAR""",
    "notable[]": """
        obsId VARCHAR, speciesCode VARCHAR, comName VARCHAR, sciName VARCHAR, subId VARCHAR,
        locId VARCHAR, locName VARCHAR, obsDt VARCHAR, howMany BIGINT, lat DOUBLE, lng DOUBLE,
        obsValid BOOLEAN, obsReviewed BOOLEAN, locationPrivate BOOLEAN, subnational1Code VARCHAR,
        subnational2Code VARCHAR, userDisplayName VARCHAR, hasRichMedia BOOLEAN""",
    "hotspots[]": """
        locId VARCHAR, locName VARCHAR, countryCode VARCHAR, subnational1Code VARCHAR,
        subnational2Code VARCHAR, lat DOUBLE, lng DOUBLE, latestObsDt VARCHAR,
        numSpeciesAllTime BIGINT, numChecklistsAllTime BIGINT""",
    "taxa[]": """
        speciesCode VARCHAR, comName VARCHAR, sciName VARCHAR, category VARCHAR, taxonOrder DOUBLE,
        "order" VARCHAR, familyCode VARCHAR, familyComName VARCHAR, familySciName VARCHAR,
        reportAs VARCHAR, extinct BOOLEAN, extinctYear BIGINT""",
    "taxonomy_versions[]": "authorityVer DOUBLE, latest BOOLEAN",
    "region_info": """
        bounds STRUCT(minX DOUBLE, maxX DOUBLE, minY DOUBLE, maxY DOUBLE), result VARCHAR""",
    "region_list[]": "code VARCHAR, name VARCHAR",
}

RAW_TABLES: dict[str, RawTable] = {
    table.name: table
    for table in (
        RawTable(
            "checklists",
            ("lists", "views"),
            ("region_code", "obs_date"),
            """
            WITH listed AS (
                SELECT region, day, body.subId AS sub_id, any_value(body.loc) AS loc
                FROM lists GROUP BY ALL
            )
            SELECT
                region AS region_code, sub_id, day AS obs_date, body.obsDt::TIMESTAMP AS obs_dt,
                coalesce(body.obsTimeValid, length(body.obsDt) > 10) AS obs_time_valid,
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
                body.lastEditedDt::TIMESTAMP AS last_edited_dt, body.comments, read_at
            FROM (SELECT *, body.subId AS sub_id FROM views) JOIN listed USING (region, day, sub_id)
            """,
        ),
        RawTable(
            "observations",
            ("views",),
            ("region_code", "obs_date"),
            """
            SELECT
                region AS region_code, obs.obsId AS obs_id, sub_id, day AS obs_date,
                obs.speciesCode AS species_code, obs.howManyStr AS how_many_str,
                obs.howManyAtleast AS how_many_atleast, obs.howManyAtmost AS how_many_atmost,
                obs.present, obs.exoticCategory AS exotic_category, obs.comments,
                obs.mediaCounts::VARCHAR AS media_counts, obs.obsAux::VARCHAR AS obs_aux, read_at
            FROM (SELECT region, day, read_at, body.subId AS sub_id, unnest(body.obs) AS obs
                  FROM views)
            """,
        ),
        RawTable(
            "region_stats",
            ("stats", "lists"),
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
                read_at
            FROM stats
            LEFT JOIN listed USING (region, day)
            LEFT JOIN cut USING (region, day)
            """,
        ),
        RawTable(
            "recent_observations",
            ("recent",),
            ("region_code",),
            """
            SELECT
                region AS region_code, body.speciesCode AS species_code, body.comName AS com_name,
                body.sciName AS sci_name, body.subId AS sub_id, body.locId AS loc_id,
                body.locName AS loc_name, body.obsDt::TIMESTAMP AS obs_dt,
                body.howMany AS how_many, body.lat, body.lng, body.obsValid AS obs_valid,
                body.obsReviewed AS obs_reviewed, body.locationPrivate AS location_private,
                body.exoticCategory AS exotic_category, read_at AS polled_at
            FROM recent
            """,
        ),
        RawTable(
            "notable_observations",
            ("notable",),
            ("region_code",),
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
                read_at AS polled_at
            FROM notable
            """,
        ),
        RawTable(
            "hotspots",
            ("hotspots",),
            ("region_code",),
            """
            SELECT
                region AS region_code, body.locId AS loc_id, body.locName AS loc_name,
                body.countryCode AS country_code, body.subnational1Code AS subnational1_code,
                body.subnational2Code AS subnational2_code, body.lat, body.lng,
                body.latestObsDt::TIMESTAMP AS latest_obs_dt,
                body.numSpeciesAllTime AS num_species_all_time,
                body.numChecklistsAllTime AS num_checklists_all_time, read_at
            FROM hotspots
            """,
        ),
        RawTable(
            "taxa",
            ("taxonomy_versions", "taxa"),
            ("taxonomy_version",),
            """
            SELECT
                (SELECT max(body.authorityVer) FROM taxonomy_versions WHERE body.latest)
                    AS taxonomy_version,
                body.speciesCode AS species_code, body.comName AS com_name,
                body.sciName AS sci_name, body.category, body.taxonOrder AS taxon_order,
                body."order" AS order_name, body.familyCode AS family_code,
                body.familyComName AS family_com_name, body.familySciName AS family_sci_name,
                body.reportAs AS report_as, coalesce(body.extinct, false) AS is_extinct,
                body.extinctYear AS extinct_year, read_at
            FROM taxa
            """,
        ),
        RawTable(
            "regions",
            ("region_info", "region_list"),
            (),
            """
            WITH found AS (
                SELECT region AS code, body.result AS "name", body.bounds, read_at, 1 AS place
                FROM region_info
                UNION ALL BY NAME
                SELECT body.code, body.name, region AS parent, read_at, 2 AS place FROM region_list
            )
            SELECT
                code AS region_code, coalesce(name, code) AS region_name,
                ['country', 'subnational1', 'subnational2']
                    [1 + length(code) - length(replace(code, '-', ''))] AS region_type,
                CASE WHEN code LIKE '%-%'
                    THEN array_to_string(string_split(code, '-')[:-2], '-') END AS parent_code,
                bounds.minX AS min_x, bounds.maxX AS max_x, bounds.minY AS min_y,
                bounds.maxY AS max_y, read_at
            FROM found QUALIFY row_number() OVER (PARTITION BY code ORDER BY place) = 1
            """,
        ),
    )
}

DAY_TABLES = tuple(name for name, table in RAW_TABLES.items() if "obs_date" in table.scope)
SNAPSHOT_TABLES = tuple(name for name in RAW_TABLES if name not in DAY_TABLES)


def source_views(files: Files) -> list[str]:
    """SQL that makes one temporary view for each resource of `files`, read with frozen types."""
    return [_source_view(resource, files[resource]) for resource in files]


def select(table: RawTable) -> str:
    """SQL for the rows of one raw table: its contract's columns, types and order, each key once."""
    contracted = table.contract
    columns = ", ".join(f'"{column.name}"::{column.type} AS "{column.name}"'
                        for column in contracted.columns)  # fmt: skip
    key = ", ".join(contracted.key)
    newest = next(c.name for c in contracted.columns if c.name in {"read_at", "polled_at"})
    return (
        f"SELECT {columns} FROM ({table.query}) "  # noqa: S608
        f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {newest} DESC) = 1"
    )


def _source_view(resource: str, paths: Sequence[Path]) -> str:
    is_array = f"{resource}[]" in _RESOURCES
    fields = _RESOURCES[f"{resource}[]" if is_array else resource]
    body = f"STRUCT({fields})" + ("[]" if is_array else "")
    names = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    columns = {
        "region": "VARCHAR",
        "day": "DATE",
        "path": "VARCHAR",
        "read_at": "TIMESTAMP",
        "body": body,
    }
    typed = ", ".join(f"{name}: '{kind.replace(chr(39), chr(39) * 2)}'"
                      for name, kind in columns.items())  # fmt: skip
    rows = (
        f"SELECT * FROM read_json([{names}], format = 'newline_delimited', "  # noqa: S608
        f"columns = {{{typed}}}, maximum_object_size = {MAX_ANSWER_BYTES})"
    )
    if is_array:
        rows = f"SELECT region, day, path, read_at, unnest(body) AS body FROM ({rows})"  # noqa: S608
    return f"CREATE VIEW {resource} AS {rows}"


MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""The whole taxonomy is one answer, of about 5 MB."""
