/* FULL: at most 48 rows a species, added up from days and not from observations. */
MODEL (
  name ebird.species_frequency,
  kind FULL,
  grain (region_code, species_code, month, quarter)
);

WITH samples AS (
  SELECT
    region_code,
    EXTRACT(MONTH FROM obs_date) AS month,
    LEAST((
      EXTRACT(DAY FROM obs_date) - 1
    ) // 7 + 1, 4) AS quarter,
    SUM(complete_checklists) AS complete_checklists
  FROM ebird.region_daily_totals
  GROUP BY ALL
), species AS (
  SELECT DISTINCT
    region_code,
    species_code,
    com_name,
    sci_name
  FROM ebird.species_daily
), reports AS (
  SELECT
    region_code,
    species_code,
    EXTRACT(MONTH FROM obs_date) AS month,
    LEAST((
      EXTRACT(DAY FROM obs_date) - 1
    ) // 7 + 1, 4) AS quarter,
    SUM(complete_checklists_reporting) AS complete_checklists_reporting
  FROM ebird.species_daily
  GROUP BY ALL
)
SELECT
  species.region_code,
  species.species_code,
  samples.month,
  samples.quarter,
  species.com_name,
  species.sci_name,
  samples.complete_checklists::BIGINT AS complete_checklists,
  COALESCE(reports.complete_checklists_reporting, 0)::BIGINT AS complete_checklists_reporting,
  (
    COALESCE(reports.complete_checklists_reporting, 0) / samples.complete_checklists
  )::DOUBLE AS frequency
FROM species
INNER JOIN samples
  ON samples.region_code = species.region_code
LEFT JOIN reports
  ON reports.region_code = species.region_code
  AND reports.species_code = species.species_code
  AND reports.month = samples.month
  AND reports.quarter = samples.quarter
WHERE
  samples.complete_checklists > 0