"""Checks that nothing is lost between eBird, the raw tables, staging and the marts.

Pure, like `checks`. A table or column that is named here and not in a contract stops the load of
this location.
"""

from databox_shared.contracts import MARTS, RAW, STAGING, Table
from quality_location.checks import Check, RowCheck, is_absent_by, relation, table_named

COMPLETE_SHARE = 0.98
LOST_CHECKLISTS, LOST_SHARE = 3, 0.05


def loss_checks() -> list[Check]:
    """Every check of this module."""
    return [
        _completeness(),
        _lost_checklists(),
        _species_on_checklist(),
        _reached_staging(),
        _observations_reached_staging(),
        _daily_totals(),
        _in_daily_totals(),
        _historic_on_checklists(),
    ]


def _completeness() -> Check:
    stats, checklists = table_named(RAW, "region_stats"), table_named(RAW, "checklists")
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
    stats, checklists = table_named(RAW, "region_stats"), table_named(RAW, "checklists")
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
        table_named(STAGING, name) for name in ("checklists", "observations", "taxa")
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
    raw, staging = table_named(RAW, "checklists"), table_named(STAGING, "checklists")
    return RowCheck(
        raw,
        "reached_staging",
        "Every raw checklist is in staging. One that is not belongs to a day that has been loaded "
        "and not yet transformed.",
        blocking=False,
        fails={
            "it is not in staging": is_absent_by(staging, "region_code", "sub_id", "obs_date"),
        },
        shows=("obs_date",),
        reads=(staging,),
    )


def _observations_reached_staging() -> Check:
    raw, staging = table_named(RAW, "observations"), table_named(STAGING, "observations")
    checklists = table_named(STAGING, "checklists")
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
                f"{is_absent_by(staging, 'region_code', 'obs_id')}"
            )
        },
        shows=("obs_date", "sub_id", "species_code"),
        reads=(staging, checklists),
        tolerates=0.05,
    )


def _daily_totals() -> Check:
    totals, checklists = (
        table_named(MARTS, "region_daily_totals"),
        table_named(STAGING, "checklists"),
    )
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
    totals, checklists = (
        table_named(MARTS, "region_daily_totals"),
        table_named(STAGING, "checklists"),
    )
    return RowCheck(
        checklists,
        "counted_in_daily_totals",
        "Every day with checklists has its row in the daily totals: no day is lost on the way.",
        blocking=True,
        fails={
            "its day has no total": is_absent_by(totals, "region_code", "obs_date"),
        },
        shows=("obs_date",),
        reads=(totals,),
    )


def _historic_on_checklists() -> Check:
    historic, observations, stats = (
        table_named(RAW, name) for name in ("historic_observations", "observations", "region_stats")
    )
    return RowCheck(
        historic,
        "on_a_checklist",
        "A taxon that eBird shows for a day is on one of the day's loaded checklists. It may be "
        "missing where the list of checklists was capped, which is not judged, or while a "
        "checklist is late; else the load lost birds.",
        blocking=False,
        fails={
            "no loaded checklist of the day has it": (
                "(t.region_code, t.obs_date) IN (SELECT (region_code, obs_date) "
                f"FROM {relation(stats)} WHERE NOT is_capped) AND "
                f"{is_absent_by(observations, 'region_code', 'obs_date', 'species_code')}"
            )
        },
        shows=("sub_id",),
        reads=(observations, stats),
    )


def _loaded(checklists: Table) -> str:
    return (
        f"(SELECT count(*) FROM {relation(checklists)} c "
        "WHERE c.region_code = t.region_code AND c.obs_date = t.obs_date)"
    )
