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

WITH sample AS (
  SELECT
    region_code,
    obs_date,
    COUNT(sub_id) AS complete_checklists
  FROM ebird_staging.checklists
  WHERE
    obs_date BETWEEN @start_date AND @end_date AND is_group_primary AND is_complete
  GROUP BY
    region_code,
    obs_date
)
SELECT
  reports.region_code,
  reports.species_code,
  reports.obs_date,
  species.com_name,
  species.sci_name,
  COALESCE(ANY_VALUE(sample.complete_checklists), 0)::BIGINT AS complete_checklists,
  COUNT(CASE WHEN reports.is_on_complete_list THEN reports.sub_id END)::BIGINT AS complete_checklists_reporting,
  COUNT(reports.sub_id)::BIGINT AS checklists_reporting,
  SUM(reports.how_many)::BIGINT AS birds_counted,
  COUNT(CASE WHEN reports.how_many IS NULL THEN reports.sub_id END)::BIGINT AS checklists_with_x,
  COUNT(reports.how_many) = 0 AS x_only
FROM ebird_staging.species_reports AS reports
INNER JOIN ebird_staging.taxa AS species
  ON species.species_code = reports.species_code
LEFT JOIN sample
  ON sample.region_code = reports.region_code AND sample.obs_date = reports.obs_date
WHERE
  reports.obs_date BETWEEN @start_date AND @end_date
GROUP BY
  reports.region_code,
  reports.species_code,
  reports.obs_date,
  species.com_name,
  species.sci_name