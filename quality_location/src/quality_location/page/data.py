"""What the page shows, counted from the marts. Reads the attached transform snapshot only."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from databox_shared.contracts import MARTS, STAGING, contract
from quality_location.checks import relation

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DAYS_SHOWN = 60
RARE_DAYS = 14
# a bird is a departure if it was there on so many of the 21 loaded days before the last 7
SETTLED_DAYS = 3
# so many days may miss in the time that is looked back on, or nothing is said of who came and left
GAP_DAYS = 7


def page_data(connection: "DuckDBPyConnection") -> dict[str, Any]:
    """Everything that the page's script draws; lists of rows as mappings, regions in each row."""
    species, totals, hotspots, frequency, rarities = (
        relation(contract(MARTS).tables[name])
        for name in (
            "species_daily",
            "region_daily_totals",
            "hotspot_ranking",
            "species_frequency",
            "rarity_alerts",
        )
    )
    regions = relation(contract(STAGING).tables["regions"])
    connection.execute(f"""
CREATE OR REPLACE TEMP TABLE page_days AS
SELECT
    region_code, obs_date, complete_checklists AS complete,
    obs_date > max(obs_date) OVER region - 7 AS this_week,
    obs_date <= max(obs_date) OVER region - 7
        AND obs_date > max(obs_date) OVER region - 14 AS last_week,
    row_number() OVER by_day AS number,
    lag(obs_date, 21) OVER by_day >= obs_date - {21 + GAP_DAYS} AS knows_arrivals,
    lag(obs_date, 27) OVER by_day >= obs_date - {27 + GAP_DAYS} AS knows_departures
FROM {totals}
WINDOW region AS (PARTITION BY region_code), by_day AS (PARTITION BY region_code ORDER BY obs_date)
""")
    return {
        "regions": dict(
            connection.execute(
                f"SELECT region_code, region_name FROM {regions} "
                f"WHERE region_code IN (SELECT region_code FROM {totals}) ORDER BY ALL"
            ).fetchall()
        ),
        "days": _rows(
            connection,
            f"SELECT region_code, obs_date, num_checklists, stats_checklists, num_species, "
            f"round(completeness, 4) AS completeness, is_capped FROM {totals} QUALIFY obs_date > "
            f"max(obs_date) OVER (PARTITION BY region_code) - {DAYS_SHOWN} ORDER BY ALL",
        ),
        "species": _rows(connection, _SPECIES.format(species=species)),
        "begins": dict(
            connection.execute(
                "SELECT region_code, min(obs_date) FROM page_days GROUP BY ALL ORDER BY ALL"
            ).fetchall()
        ),
        "quarters": _quarters(connection, frequency),
        "rarities": _rows(
            connection,
            "SELECT r.region_code, r.obs_date, r.com_name, r.loc_name, r.status, r.num_checklists, "
            "r.num_observers, r.first_seen, r.last_seen, round(r.latitude, 5) AS latitude, "
            f"round(r.longitude, 5) AS longitude FROM {rarities} r WHERE r.obs_date > "
            f"(SELECT max(obs_date) - {RARE_DAYS} FROM {totals} t "
            "WHERE t.region_code = r.region_code) ORDER BY ALL",
        ),
        "hotspots": _rows(
            connection,
            "SELECT region_code, period, ranking, loc_name, round(latitude, 5) AS latitude, "
            "round(longitude, 5) AS longitude, num_checklists, num_species, complete_checklists, "
            f"round(species_per_checklist, 1) AS species_per_checklist, last_visit FROM {hotspots} "
            "ORDER BY ALL",
        ),
    }


# days are counted as they are loaded, so that one that is not loaded is not one without a bird.
# arrived: the last day with a report after at least 21 days without one; days_away: how many,
# null for the first report of all
_SPECIES = f"""
WITH weeks AS (
    SELECT
        region_code,
        sum(complete) FILTER (this_week)::BIGINT AS complete_now,
        sum(complete) FILTER (last_week)::BIGINT AS complete_before,
        max(number) AS newest,
        coalesce(arg_max(knows_departures, number), false) AS knows_departures
    FROM page_days GROUP BY region_code
),
reports AS (
    SELECT
        *,
        number - 1 - lag(number) OVER (
            PARTITION BY region_code, species_code ORDER BY number
        ) AS days_away,
        knows_arrivals AND coalesce(days_away, number - 1) >= 21 AS is_arrival
    FROM {{species}} JOIN page_days USING (region_code, obs_date)
    WHERE checklists_reporting > 0
)
SELECT
    region_code, species_code, any_value(com_name) AS com_name, any_value(sci_name) AS sci_name,
    coalesce(sum(complete_checklists_reporting) FILTER (this_week), 0)::BIGINT AS reporting_now,
    any_value(complete_now) AS complete_now,
    coalesce(sum(complete_checklists_reporting) FILTER (last_week), 0)::BIGINT AS reporting_before,
    any_value(complete_before) AS complete_before,
    coalesce(sum(checklists_reporting) FILTER (this_week), 0)::BIGINT AS checklists_now,
    sum(birds_counted) FILTER (this_week)::BIGINT AS birds_now,
    max(obs_date) AS last_seen,
    max(obs_date) FILTER (is_arrival) AS arrived,
    arg_max(days_away, obs_date) FILTER (is_arrival) AS days_away,
    any_value(weeks.knows_departures)
    AND max(number) <= any_value(newest) - 7
    AND count(*) FILTER (number > newest - 28 AND number <= newest - 7) >= {SETTLED_DAYS}
        AS departed
FROM reports JOIN weeks USING (region_code)
GROUP BY region_code, species_code
ORDER BY region_code, reporting_now DESC, com_name"""


def _quarters(connection: "DuckDBPyConnection", frequency: str) -> Mapping[str, Any]:
    """Region → `complete` checklists of the 48 quarters, and `reporting` ones per species code.

    `reporting` holds pairs of quarter and number, because most species are away most of the year.
    """
    regions: dict[str, dict[str, Any]] = {}
    for region, code, quarter, complete, reporting in connection.execute(
        "SELECT region_code, species_code, 4 * (month - 1) + quarter - 1, complete_checklists, "
        f"complete_checklists_reporting FROM {frequency} ORDER BY ALL"
    ).fetchall():
        entry = regions.setdefault(region, {"complete": [0] * 48, "reporting": {}})
        entry["complete"][quarter] = complete
        if reporting:
            entry["reporting"].setdefault(code, []).append([quarter, reporting])
    return regions


def _rows(connection: "DuckDBPyConnection", query: str) -> list[dict[str, Any]]:
    cursor = connection.execute(query)
    names = [item[0] for item in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
