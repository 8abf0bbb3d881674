MODEL (
  name ebird.region_daily_totals,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column obs_date
  ),
  grain (region_code, obs_date),
  audits (
    day_is_complete
  )
);

WITH loaded AS (
  SELECT
    region_code,
    obs_date,
    COUNT(sub_id) AS num_checklists,
    COUNT(CASE WHEN is_complete AND is_group_primary THEN sub_id END) AS complete_checklists,
    COUNT(DISTINCT observer_id) AS num_contributors
  FROM ebird_staging.checklists
  WHERE
    obs_date BETWEEN @start_date AND @end_date
  GROUP BY
    region_code,
    obs_date
), species AS (
  SELECT
    region_code,
    obs_date,
    COUNT(DISTINCT species_code) AS num_species
  FROM ebird_staging.species_reports
  WHERE
    obs_date BETWEEN @start_date AND @end_date
  GROUP BY
    region_code,
    obs_date
), stats AS (
  SELECT
    region_code,
    obs_date,
    stats_checklists,
    stats_contributors,
    stats_species,
    is_capped
  FROM ebird_staging.region_stats
  WHERE
    obs_date BETWEEN @start_date AND @end_date
)
SELECT
  COALESCE(loaded.region_code, stats.region_code) AS region_code,
  COALESCE(loaded.obs_date, stats.obs_date) AS obs_date,
  COALESCE(loaded.num_checklists, 0)::BIGINT AS num_checklists,
  COALESCE(loaded.complete_checklists, 0)::BIGINT AS complete_checklists,
  COALESCE(loaded.num_contributors, 0)::BIGINT AS num_contributors,
  COALESCE(species.num_species, 0)::BIGINT AS num_species,
  stats.stats_checklists,
  stats.stats_contributors,
  stats.stats_species,
  (
    COALESCE(loaded.num_checklists, 0) / NULLIF(stats.stats_checklists, 0)
  )::DOUBLE AS completeness,
  stats.is_capped
FROM loaded
FULL JOIN stats
  ON stats.region_code = loaded.region_code AND stats.obs_date = loaded.obs_date
LEFT JOIN species
  ON species.region_code = loaded.region_code AND species.obs_date = loaded.obs_date