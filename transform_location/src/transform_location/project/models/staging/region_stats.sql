MODEL (
  name ebird_staging.region_stats,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column obs_date
  ),
  grain (region_code, obs_date)
);

SELECT
  region_code,
  obs_date,
  num_checklists AS stats_checklists,
  num_contributors AS stats_contributors,
  num_species AS stats_species,
  is_capped
FROM @raw_catalog.ebird_raw.region_stats
WHERE
  obs_date BETWEEN @start_date AND @end_date