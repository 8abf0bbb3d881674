/* FULL: one row a species, added up from days and not from observations. */
MODEL (
  name ebird.species_last_seen,
  kind FULL,
  grain (region_code, species_code)
);

WITH last_days AS (
  SELECT
    region_code,
    MAX(obs_date) AS last_day
  FROM ebird.region_daily_totals
  GROUP BY
    region_code
)
SELECT
  daily.region_code,
  daily.species_code,
  daily.com_name,
  daily.sci_name,
  MIN(daily.obs_date) AS first_seen,
  MIN(
    CASE
      WHEN daily.obs_date >= DATE_TRUNC('YEAR', last_days.last_day)
      THEN daily.obs_date
    END
  ) AS first_of_year,
  MAX(daily.obs_date) AS last_seen,
  DATE_DIFF('DAY', MAX(daily.obs_date), last_days.last_day)::BIGINT AS days_since_last_seen,
  COUNT(daily.obs_date)::BIGINT AS days_reported,
  SUM(daily.checklists_reporting)::BIGINT AS checklists_reporting
FROM ebird.species_daily AS daily
INNER JOIN last_days
  ON last_days.region_code = daily.region_code
GROUP BY
  daily.region_code,
  daily.species_code,
  daily.com_name,
  daily.sci_name,
  last_days.last_day