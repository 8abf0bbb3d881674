/* What the marts over all time are added up from, so that they need not read every report. */
MODEL (
  name ebird_staging.place_species_months,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column month
  ),
  tags by_month,
  grain (region_code, loc_id, species_code, month)
);

SELECT
  region_code,
  loc_id,
  species_code,
  DATE_TRUNC('MONTH', obs_date)::DATE AS month,
  COUNT(sub_id)::BIGINT AS checklists_reporting,
  COUNT(CASE WHEN is_on_complete_list THEN sub_id END)::BIGINT AS complete_checklists_reporting
FROM ebird_staging.species_reports
WHERE
  obs_date BETWEEN @start_date AND LAST_DAY(@end_date)
GROUP BY
  region_code,
  loc_id,
  species_code,
  DATE_TRUNC('MONTH', obs_date)::DATE