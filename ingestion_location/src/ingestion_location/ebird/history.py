"""What changed upstream: from all reads of a day, when each thing stood how.

The history of a day is worked out from its landing files, anew whenever the day is loaded. So it
is the same after any number of loads, and a run that is killed loses nothing that it has read. It
must never be kept up row by row: then a row would depend on which loads had come before.
"""

from collections.abc import Sequence

READS = {
    "read_stats": "stats",
    "read_views": "views",
    "read_historic": "historic",
    "read_notable": "notable",
}
"""The landing files of all reads of a day, by the name of the resource that each is."""


def history(key: str, stood: str, fields: Sequence[str], flags: Sequence[str] = ()) -> str:
    """SQL for the steps in which each `key` of a day came to stand as it stands.

    `stood` gives what was there in each read: region, day, read_date, the key, `fields`, `flags`.
    A flag is told in some reads only; in the others it is as it was last told, and to hear of it
    for the first time is no change.

    A read that is whole (it has its totals) says also what is no longer there; of one that was
    broken off only what it has got to counts. What stood the same in every read has no row.
    """
    of_one = f"PARTITION BY region, day, {key}"
    changes = [
        *(f"CASE WHEN state.{f} IS DISTINCT FROM was.{f} THEN '{f}' END" for f in fields),
        *(f"CASE WHEN {f} <> was_{f} THEN '{f}' END" for f in flags),
    ]

    def each(form: str) -> str:
        return "".join(f", {form.format(f=flag)}" for flag in flags)

    return f"""
    WITH stood AS (
        SELECT region, day, read_date, {key}{each("{f}")},
            struct_pack({", ".join(f"{name} := {name}" for name in fields)}) AS state
        FROM ({stood})
    ),
    whole AS (SELECT DISTINCT region, day, read_date FROM read_stats),
    seen AS (
        SELECT * FROM stood
        UNION ALL BY NAME
        SELECT region, day, read_date, {key}
        FROM (SELECT DISTINCT region, day, {key} FROM stood) JOIN whole USING (region, day)
        ANTI JOIN stood USING (region, day, read_date, {key})
    ),
    known AS (
        SELECT region, day, {key}, read_date, state IS NULL AS is_withdrawn,
            last_value(state IGNORE NULLS) OVER past AS state
            {each("last_value({f} IGNORE NULLS) OVER past AS {f}")}
        FROM seen
        WINDOW past AS (
            {of_one} ORDER BY read_date ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        )
    ),
    compared AS (
        SELECT *, lag(state) OVER past AS was, lag(is_withdrawn) OVER past AS was_withdrawn
            {each("lag({f}) OVER past AS was_{f}")}
        FROM known WHERE state IS NOT NULL
        WINDOW past AS ({of_one} ORDER BY read_date)
    ),
    named AS (
        SELECT *, list_filter([{", ".join(changes)}], name -> name IS NOT NULL) AS changed
        FROM compared
    ),
    numbered AS (
        SELECT *, count_if(was IS NULL OR is_withdrawn <> was_withdrawn OR len(changed) > 0)
            OVER ({of_one} ORDER BY read_date) AS step
        FROM named
    ),
    steps AS (
        SELECT region, day, {key}, step, min(read_date) AS valid_from,
            arg_min(state, read_date) AS state, arg_min(is_withdrawn, read_date) AS is_withdrawn,
            coalesce(arg_min(was_withdrawn, read_date), false) AS was_withdrawn,
            arg_min(changed, read_date) AS changed{each("any_value({f}) AS {f}")}
        FROM numbered GROUP BY region, day, {key}, step
    )
    SELECT region AS region_code, day AS obs_date, {key}, valid_from,
        lead(valid_from) OVER ({of_one} ORDER BY step) AS valid_to,
        CASE
            WHEN step = 1 AND valid_from <= first_read THEN 'first_read'
            WHEN step = 1 OR was_withdrawn THEN 'added'
            WHEN is_withdrawn THEN 'withdrawn'
            WHEN list_has_all({list(flags)}::VARCHAR[], changed) THEN 'reviewed'
            ELSE 'edited'
        END AS change,
        CASE WHEN change IN ('edited', 'reviewed') THEN array_to_string(changed, ', ') END
            AS changed_fields,
        is_withdrawn{"".join(f", state.{name} AS {name}" for name in fields)}{each("{f}")}
    FROM steps
    JOIN (SELECT region, day, min(read_date) AS first_read FROM whole GROUP BY ALL)
        USING (region, day)
    QUALIFY change <> 'first_read' OR count(*) OVER ({of_one}) > 1
    """  # noqa: S608 (names of our own)


CHECKLISTS = history(
    "sub_id",
    """
    SELECT region, day, read_date, body.subId AS sub_id, body.obsDt::TIMESTAMP AS obs_dt,
        body.locId AS loc_id, body.protocolId AS protocol_id, body.groupId AS group_id,
        body.durationHrs AS duration_hrs, body.effortDistanceKm AS effort_distance_km,
        body.numObservers AS num_observers, body.allObsReported AS all_obs_reported,
        body.numSpecies AS num_species, body.lastEditedDt::TIMESTAMP AS last_edited_dt
    FROM read_views
    """,
    (
        "obs_dt",
        "loc_id",
        "protocol_id",
        "group_id",
        "duration_hrs",
        "effort_distance_km",
        "num_observers",
        "all_obs_reported",
        "num_species",
        "last_edited_dt",
    ),
)

# a rejected report is told nowhere: it is only no longer among the notable ones
OBSERVATIONS = history(
    "obs_id",
    """
    WITH told AS (
        SELECT region, day, read_date, body.obsId AS obs_id, body.obsValid AS obs_valid,
            body.obsReviewed AS obs_reviewed, read_at
        FROM read_historic
        UNION ALL
        SELECT region, body.obsDt::TIMESTAMP::DATE, read_date, body.obsId, body.obsValid,
            body.obsReviewed, read_at
        FROM read_notable
    ),
    review AS (
        SELECT region, day, read_date, obs_id, arg_max(obs_valid, read_at) AS obs_valid,
            arg_max(obs_reviewed, read_at) AS obs_reviewed
        FROM told GROUP BY ALL
    )
    SELECT region, day, read_date, obs_id, sub_id,
        obs.speciesCode AS species_code, obs.howManyStr AS how_many_str,
        obs.howManyAtleast AS how_many_atleast, obs.howManyAtmost AS how_many_atmost,
        obs.exoticCategory AS exotic_category, obs_valid, obs_reviewed
    FROM (
        SELECT region, day, read_date, body.subId AS sub_id, unnest(body.obs) AS obs,
            unnest([one.obsId FOR one IN body.obs]) AS obs_id
        FROM read_views
    )
    LEFT JOIN review USING (region, day, read_date, obs_id)
    """,
    (
        "sub_id",
        "species_code",
        "how_many_str",
        "how_many_atleast",
        "how_many_atmost",
        "exotic_category",
    ),
    ("obs_valid", "obs_reviewed"),
)
