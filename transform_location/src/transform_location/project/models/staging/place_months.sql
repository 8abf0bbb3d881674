/* What the marts over all time are added up from, so that they need not read every checklist. */
MODEL (
  name ebird_staging.place_months,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column month
  ),
  tags by_month,
  grain (region_code, loc_id, month)
);

SELECT
  region_code,
  loc_id,
  DATE_TRUNC('MONTH', obs_date)::DATE AS month,
  COUNT(sub_id)::BIGINT AS num_checklists,
  COUNT(CASE WHEN is_complete THEN sub_id END)::BIGINT AS complete_checklists,
  MAX(obs_date) AS last_visit
FROM ebird_staging.checklists
WHERE
  obs_date BETWEEN @start_date AND LAST_DAY(@end_date) AND is_group_primary
GROUP BY
  region_code,
  loc_id,
  DATE_TRUNC('MONTH', obs_date)::DATE