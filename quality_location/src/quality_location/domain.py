"""The checks that follow from birds and from eBird, not from a contract.

Pure, like `checks`. Each says what it means in the field's words. A table or column that is named
here and not in a contract stops the load of this location.
"""

from databox_shared.contracts import MARTS, RAW, STAGING, contract
from quality_location.checks import (
    Check,
    FreshnessCheck,
    RowCheck,
    asked_regions,
    is_absent_by,
    relation,
    table_named,
)
from quality_location.losses import COMPLETE_SHARE, loss_checks
from quality_location.private import no_private_value

LAST_GOOD_DAY_HOURS = 72
X_SHARE, X_OBSERVATIONS = 0.3, 50
# a day is held against the same weekday of so many weeks, of which so many must be loaded
WEEKS, KNOWN_WEEKS = 8, 4


def domain_checks() -> list[Check]:
    """Every check of this module."""
    checks = [
        *loss_checks(),
        _one_primary_per_group(),
        _places_have_one_present(),
        _zones_are_known(),
        _taxonomy_is_newest(),
        _usual_volume(),
        _x_counts(),
        _last_good_day(),
    ]
    for name in (STAGING, MARTS):
        checks += [no_private_value(table) for table in contract(name).tables.values()]
    return checks


def _one_primary_per_group() -> Check:
    return RowCheck(
        table_named(STAGING, "checklists"),
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


def _places_have_one_present() -> Check:
    history, locations = table_named(STAGING, "location_history"), table_named(STAGING, "locations")
    present = "count(*) FILTER (t.valid_to IS NULL) OVER (PARTITION BY t.loc_id)"
    return RowCheck(
        history,
        "one_version_at_a_time",
        "A place is one thing at a time: its versions do not overlap, and one has no end if and "
        f"only if the place is in {locations.full_name}.",
        blocking=True,
        fails={
            "it ends before it begins": "t.valid_to < t.valid_from",
            "the next version begins before it ends": (
                "lead(t.valid_from) OVER (PARTITION BY t.loc_id ORDER BY t.valid_from) "
                "< coalesce(t.valid_to, TIMESTAMP 'infinity')"
            ),
            "its place has several present versions": f"{present} > 1",
            f"its place is in {locations.full_name}, and has no present version": (
                f"{present} = 0 AND NOT ({is_absent_by(locations, 'loc_id')})"
            ),
            f"it is present, and not in {locations.full_name}": (
                f"t.valid_to IS NULL AND {is_absent_by(locations, 'loc_id', 'is_hotspot')}"
            ),
        },
        shows=("valid_to", "is_hotspot"),
        reads=(locations,),
    )


def _zones_are_known() -> Check:
    return RowCheck(
        table_named(STAGING, "checklists"),
        "time_zone_is_known",
        "The time zone of every checklist's place is a name of the IANA database: without one its "
        "time in UTC is wrong.",
        blocking=True,
        fails={
            "no such time zone": "t.time_zone NOT IN (SELECT name FROM pg_timezone_names())",
        },
        shows=("loc_id", "time_zone"),
    )


def _taxonomy_is_newest() -> Check:
    taxa, raw = table_named(STAGING, "taxa"), table_named(RAW, "taxa")
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
    totals = table_named(MARTS, "region_daily_totals")
    usual = (
        f"FROM {relation(totals)} p WHERE p.region_code = t.region_code "
        f"AND p.obs_date BETWEEN t.obs_date - {7 * WEEKS} AND t.obs_date - 7 "
        "AND isodow(p.obs_date) = isodow(t.obs_date)"
    )
    # 1.4826 times the median absolute deviation is a standard deviation that outliers do not move
    width = "greatest(3 * 1.4826 * mad(p.num_checklists), 0.25 * median(p.num_checklists), 5)"
    low = f"(SELECT median(p.num_checklists) - {width} {usual})"
    high = f"(SELECT median(p.num_checklists) + {width} {usual})"
    newest = f"SELECT max(p.obs_date) FROM {relation(totals)} p WHERE p.region_code = t.region_code"
    return RowCheck(
        totals,
        "usual_volume",
        f"The checklists of each of a region's last 7 days are as many as on the same weekday of "
        f"the {WEEKS} weeks before: their median ± 3 robust standard deviations (at least a "
        f"quarter of the median, and 5). Days with fewer than {KNOWN_WEEKS} such weeks are not "
        "judged, nor regions that are not asked for any more. Bird counts and storms are real "
        "exceptions.",
        blocking=False,
        fails={
            "an unusual number of checklists": (
                f"t.region_code IN {asked_regions()} AND t.obs_date > ({newest}) - 7 AND "
                f"(SELECT count(*) {usual}) >= {KNOWN_WEEKS} AND "
                f"(t.num_checklists < {low} OR t.num_checklists > {high})"
            )
        },
        shows=("num_checklists",),
        reads=(table_named(RAW, "regions"),),
        explains={"usual_from": f"round({low})", "usual_to": f"round({high})"},
    )


def _x_counts() -> Check:
    totals, observations = (
        table_named(MARTS, "region_daily_totals"),
        table_named(STAGING, "observations"),
    )
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
        table_named(MARTS, "region_daily_totals"),
        "last_good_day",
        f"The last day that is at least {COMPLETE_SHARE:.0%} complete has ended at most "
        f"{LAST_GOOD_DAY_HOURS} hours ago in every region that is asked for.",
        blocking=False,
        moment=f"CASE WHEN t.completeness >= {COMPLETE_SHARE} THEN t.obs_date END",
        hours=LAST_GOOD_DAY_HOURS,
        of_days=True,
    )
