MODEL (
  name ebird_staging.checklists,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column obs_date
  ),
  grain (region_code, sub_id),
  audits (
    one_primary_per_group
  )
);

WITH zoned AS (
  SELECT
    *,
    CASE WHEN obs_time_valid THEN obs_dt END AS observed_at,
    TIME_ZONE_AT(latitude, longitude) /* not a join: a checklist has the coordinates, and a look-up costs a microsecond */::TEXT AS time_zone
  FROM @raw_catalog.ebird_raw.checklists
  WHERE
    obs_date BETWEEN @start_date AND @end_date
)
SELECT
  region_code,
  sub_id,
  obs_date,
  observed_at,
  time_zone,
  (
    (
      observed_at AT TIME ZONE time_zone
    ) AT TIME ZONE 'UTC'
  )::TIMESTAMP AS observed_at_utc,
  loc_id,
  is_hotspot,
  country_code,
  subnational1_code,
  subnational2_code,
  MD5(user_display_name) AS observer_id,
  CASE protocol_id
    WHEN 'P20'
    THEN 'incidental'
    WHEN 'P21'
    THEN 'stationary'
    WHEN 'P22'
    THEN 'traveling'
    WHEN 'P62'
    THEN 'historical'
    ELSE 'other'
  END AS protocol,
  duration_hrs * 60 AS duration_minutes,
  CASE WHEN protocol_id = 'P21' THEN 0.0::DOUBLE ELSE effort_distance_km END AS distance_km,
  effort_area_ha AS area_ha,
  num_observers,
  all_obs_reported AS is_complete,
  group_id,
  group_id IS NULL
  OR ROW_NUMBER() OVER (
    PARTITION BY region_code, obs_date, group_id
    ORDER BY CASE WHEN all_obs_reported THEN 0 ELSE 1 END, LENGTH(sub_id), sub_id
  ) = 1 AS is_group_primary, /* the lowest number, and S9 is lower than S10; as text, as auk sorts, it would not be */
  num_species
FROM zoned