"""The checks that follow from birds and from eBird, not from a contract.

Pure, like `checks`. Each says what it means in the field's words. A table or column that is named
here and not in a contract stops the load of this location.
"""

from collections.abc import Iterator

from databox_shared.contracts import MARTS, RAW, STAGING, Table, contract
from quality_location.checks import Check, FreshnessCheck, RowCheck, is_absent, relation

PRIVATE_TEXT = "memory.private.texts"
PRIVATE_PLACES = "memory.private.places"
# a short comment such as "two males" may be a word that is public elsewhere
_SHORTEST_COMMENT = 12
_LATITUDES, _LONGITUDES = ("latitude", "lat"), ("longitude", "lng")

COMPLETE_SHARE = 0.98
LAST_GOOD_DAY_HOURS = 72
X_SHARE, X_OBSERVATIONS = 0.3, 50
# a day is held against the same weekday of so many weeks, of which so many must be loaded
WEEKS, KNOWN_WEEKS = 8, 4
LOST_CHECKLISTS, LOST_SHARE = 3, 0.05


def domain_checks() -> list[Check]:
    """Every check of this module."""
    checks: list[Check] = [
        _completeness(),
        _lost_checklists(),
        _species_on_checklist(),
        _reached_staging(),
        _observations_reached_staging(),
        _daily_totals(),
        _in_daily_totals(),
        _one_primary_per_group(),
        _taxonomy_is_newest(),
        _usual_volume(),
        _x_counts(),
        _last_good_day(),
    ]
    for name in (STAGING, MARTS):
        checks += [_no_private_value(table) for table in contract(name).tables.values()]
    return checks


def private_values_sql() -> Iterator[str]:
    """Statements that collect what must stay in raw: names, words and places of people.

    What is public elsewhere (the name of a hotspot, a region or a bird) is not private: people
    call their garden by such names. A place that has become a hotspot since is public.
    """
    checklists, recent, notable, historic = (
        relation(_table(RAW, name))
        for name in (
            "checklists",
            "recent_observations",
            "notable_observations",
            "historic_observations",
        )
    )
    hotspots, top100 = (relation(_table(RAW, name)) for name in ("hotspots", "top100"))
    observations, regions, taxa = (
        relation(_table(RAW, name)) for name in ("observations", "regions", "taxa")
    )
    yield "CREATE SCHEMA memory.private"
    yield f"""
CREATE TABLE {PRIVATE_PLACES} AS
SELECT latitude, longitude FROM {checklists} WHERE NOT is_hotspot
UNION SELECT lat, lng FROM {recent} WHERE location_private
UNION SELECT lat, lng FROM {notable} WHERE location_private
UNION SELECT lat, lng FROM {historic} WHERE location_private
EXCEPT SELECT lat, lng FROM {hotspots}
EXCEPT SELECT latitude, longitude FROM {checklists} WHERE is_hotspot"""
    yield f"""
CREATE TABLE {PRIVATE_TEXT} AS
SELECT loc_name AS value FROM {checklists} WHERE NOT is_hotspot
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
            "it is not in staging": _absent(staging, "region_code", "sub_id", "obs_date"),
        },
        shows=("obs_date",),
        reads=(staging,),
    )


def _observations_reached_staging() -> Check:
    raw, staging = _table(RAW, "observations"), _table(STAGING, "observations")
    checklists = _table(STAGING, "checklists")
    return RowCheck(
        raw,
        "reached_staging",
        "Every raw observation whose checklist is in staging is there too. A few may have been "
        "added since the day was transformed; many mean that the transform loses birds.",
        blocking=True,
        fails={
            "it is not in staging": (
                "(t.region_code, t.sub_id, t.obs_date) IN "
                f"(SELECT (region_code, sub_id, obs_date) FROM {relation(checklists)}) AND "
                f"{_absent(staging, 'region_code', 'obs_id')}"
            )
        },
        shows=("obs_date", "sub_id", "species_code"),
        reads=(staging, checklists),
        tolerates=0.05,
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
            "its day has no total": _absent(totals, "region_code", "obs_date"),
        },
        shows=("obs_date",),
        reads=(totals,),
    )


def _one_primary_per_group() -> Check:
    return RowCheck(
        _table(STAGING, "checklists"),
        "group_counted_once",
        "Of the copies of a shared checklist exactly one is the primary of its region and day, so "
        "that its birds are counted once.",
        blocking=True,
        fails={
            "its group has no primary copy, or several": (
                "t.group_id IS NOT NULL AND sum(t.is_group_primary::INTEGER) OVER "
                "(PARTITION BY t.region_code, t.group_id, t.obs_date) <> 1"
            ),
            "it was not shared, and is not primary": (
                "t.group_id IS NULL AND NOT t.is_group_primary"
            ),
        },
        shows=("obs_date", "group_id", "is_group_primary"),
    )


def _taxonomy_is_newest() -> Check:
    taxa, raw = _table(STAGING, "taxa"), _table(RAW, "taxa")
    newest = f"(SELECT max(taxonomy_version) FROM {relation(raw)})"
    return RowCheck(
        taxa,
        "taxonomy_is_newest",
        "Staging has the newest loaded version of the eBird taxonomy: codes are renumbered and "
        "retired each autumn.",
        blocking=False,
        # a code that the newest version retired is kept under the last that had it
        fails={"a newer version has been loaded": f"max(t.taxonomy_version) OVER () < {newest}"},
        shows=("taxonomy_version",),
        reads=(raw,),
    )


def _usual_volume() -> Check:
    totals = _table(MARTS, "region_daily_totals")
    usual = (
        f"FROM {relation(totals)} p WHERE p.region_code = t.region_code "
        f"AND p.obs_date BETWEEN t.obs_date - {7 * WEEKS} AND t.obs_date - 7 "
        "AND isodow(p.obs_date) = isodow(t.obs_date)"
    )
    # 1.4826 times the median absolute deviation is a standard deviation that outliers do not move
    width = "greatest(3 * 1.4826 * mad(p.num_checklists), 0.25 * median(p.num_checklists), 5)"
    low = f"(SELECT median(p.num_checklists) - {width} {usual})"
    high = f"(SELECT median(p.num_checklists) + {width} {usual})"
    return RowCheck(
        totals,
        "usual_volume",
        f"The checklists of each of the last 7 loaded days are as many as on the same weekday of "
        f"the {WEEKS} weeks before: their median ± 3 robust standard deviations (at least a "
        f"quarter of the median, and 5). Days with fewer than {KNOWN_WEEKS} such weeks are not "
        "judged. Bird counts and storms are real exceptions.",
        blocking=False,
        fails={
            "an unusual number of checklists": (
                f"t.obs_date > (SELECT max(obs_date) - 7 FROM {relation(totals)}) AND "
                f"(SELECT count(*) {usual}) >= {KNOWN_WEEKS} AND "
                f"(t.num_checklists < {low} OR t.num_checklists > {high})"
            )
        },
        shows=("num_checklists",),
        explains={"usual_from": f"round({low})", "usual_to": f"round({high})"},
    )


def _x_counts() -> Check:
    totals, observations = _table(MARTS, "region_daily_totals"), _table(STAGING, "observations")
    of_day = (
        f"FROM {relation(observations)} o "
        "WHERE o.region_code = t.region_code AND o.obs_date = t.obs_date"
    )
    share = f"(SELECT avg(o.is_x_count::INTEGER) {of_day})"
    return RowCheck(
        totals,
        "few_x_counts",
        f"At most {X_SHARE:.0%} of a day's observations are X (present, not counted), on days with "
        f"at least {X_OBSERVATIONS} observations. More means that counts are not understood.",
        blocking=False,
        fails={
            "too many X counts": (
                f"(SELECT count(*) {of_day}) >= {X_OBSERVATIONS} AND {share} > {X_SHARE}"
            )
        },
        explains={"x_share": f"round({share}, 3)"},
        reads=(observations,),
    )


def _last_good_day() -> Check:
    return FreshnessCheck(
        _table(MARTS, "region_daily_totals"),
        "last_good_day",
        f"The last day that is at least {COMPLETE_SHARE:.0%} complete has ended at most "
        f"{LAST_GOOD_DAY_HOURS} hours ago.",
        blocking=False,
        moment=f"CASE WHEN t.completeness >= {COMPLETE_SHARE} THEN t.obs_date END",
        hours=LAST_GOOD_DAY_HOURS,
    )


def _loaded(checklists: Table) -> str:
    return (
        f"(SELECT count(*) FROM {relation(checklists)} c "
        "WHERE c.region_code = t.region_code AND c.obs_date = t.obs_date)"
    )


def _absent(target: Table, *columns: str) -> str:
    return is_absent(target, [(name, name) for name in columns])


def _table(schema: str, name: str) -> Table:
    return contract(schema).tables[name]
