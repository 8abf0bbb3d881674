MODEL (
  name ebird.species_daily,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column obs_date
  ),
  grain (region_code, species_code, obs_date),
  audits (
    reporting_is_part_of_the_sample
  )
);

WITH unshared AS (
  SELECT
    region_code,
    sub_id,
    obs_date,
    is_complete
  FROM ebird_staging.checklists
  WHERE
    obs_date BETWEEN @start_date AND @end_date AND is_group_primary
), sample AS (
  SELECT
    region_code,
    obs_date,
    COUNT(sub_id) AS complete_checklists
  FROM unshared
  WHERE
    is_complete
  GROUP BY
    region_code,
    obs_date
), reports AS (
  /* one row per checklist and species; one X among its forms leaves the species uncounted */
  SELECT
    unshared.region_code,
    unshared.obs_date,
    unshared.sub_id,
    unshared.is_complete,
    taxa.rollup_species_code AS species_code,
    CASE
      WHEN COUNT(observations.how_many) = COUNT(*)
      THEN SUM(observations.how_many)
    END AS birds
  FROM unshared
  INNER JOIN ebird_staging.observations AS observations
    ON observations.region_code = unshared.region_code
    AND observations.sub_id = unshared.sub_id
  INNER JOIN ebird_staging.taxa AS taxa
    ON taxa.species_code = observations.species_code
  WHERE
    observations.obs_date BETWEEN @start_date AND @end_date
    AND NOT taxa.rollup_species_code IS NULL
  GROUP BY
    unshared.region_code,
    unshared.obs_date,
    unshared.sub_id,
    unshared.is_complete,
    taxa.rollup_species_code
)
SELECT
  reports.region_code,
  reports.species_code,
  reports.obs_date,
  species.com_name,
  species.sci_name,
  COALESCE(ANY_VALUE(sample.complete_checklists), 0)::BIGINT AS complete_checklists,
  COUNT(CASE WHEN reports.is_complete THEN reports.sub_id END)::BIGINT AS complete_checklists_reporting,
  COUNT(reports.sub_id)::BIGINT AS checklists_reporting,
  SUM(reports.birds)::BIGINT AS birds_counted,
  COUNT(CASE WHEN reports.birds IS NULL THEN reports.sub_id END)::BIGINT AS checklists_with_x,
  COUNT(reports.birds) = 0 AS x_only
FROM reports
INNER JOIN ebird_staging.taxa AS species
  ON species.species_code = reports.species_code
LEFT JOIN sample
  ON sample.region_code = reports.region_code AND sample.obs_date = reports.obs_date
GROUP BY
  reports.region_code,
  reports.species_code,
  reports.obs_date,
  species.com_name,
  species.sci_name