/* FULL: one row a species and year, added up from days and not from observations. */
MODEL (
  name ebird.phenology,
  kind FULL,
  grain (region_code, species_code, year)
);

WITH days AS (
  SELECT
    region_code,
    species_code,
    com_name,
    sci_name,
    obs_date,
    EXTRACT(YEAR FROM obs_date) AS year,
    checklists_reporting,
    SUM(checklists_reporting) OVER (
      PARTITION BY region_code, species_code, EXTRACT(YEAR FROM obs_date)
      ORDER BY obs_date
    ) AS reports_until,
    SUM(checklists_reporting) OVER (PARTITION BY region_code, species_code, EXTRACT(YEAR FROM obs_date)) AS reports
  FROM ebird.species_daily
)
SELECT
  region_code,
  species_code,
  year,
  com_name,
  sci_name,
  MIN(obs_date) AS first_date,
  MIN(CASE WHEN reports_until * 2 >= reports THEN obs_date END) AS median_date,
  MAX(obs_date) AS last_date,
  COUNT(obs_date)::BIGINT AS days_reported,
  SUM(checklists_reporting)::BIGINT AS checklists_reporting
FROM days
GROUP BY
  region_code,
  species_code,
  year,
  com_name,
  sci_name