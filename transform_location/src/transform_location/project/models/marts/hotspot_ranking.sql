/* FULL: its periods end on the last loaded day, so every row changes with each new day. It reads a
year of checklists, and months of places for what is older. */
MODEL (
  name ebird.hotspot_ranking,
  kind FULL,
  grain (region_code, loc_id, period)
);

WITH last_days AS (
  SELECT
    region_code,
    MAX(obs_date) AS last_day
  FROM ebird.region_daily_totals
  GROUP BY
    region_code
), periods AS (
  SELECT
    region_code,
    '30 days' AS period,
    last_day - 29 AS first_day
  FROM last_days
  UNION ALL
  SELECT
    region_code,
    '365 days' AS period,
    last_day - 364 AS first_day
  FROM last_days
), visits AS (
  SELECT
    checklists.region_code,
    checklists.sub_id,
    checklists.obs_date,
    checklists.loc_id,
    checklists.is_complete,
    periods.period
  FROM ebird_staging.checklists AS checklists
  INNER JOIN periods
    ON periods.region_code = checklists.region_code
    AND checklists.obs_date >= periods.first_day
  WHERE
    checklists.is_group_primary
), seen AS (
  SELECT
    reports.region_code,
    reports.sub_id,
    reports.loc_id,
    reports.is_on_complete_list,
    reports.species_code,
    periods.period
  FROM ebird_staging.species_reports AS reports
  INNER JOIN periods
    ON periods.region_code = reports.region_code
    AND reports.obs_date >= periods.first_day
), visited AS (
  SELECT
    region_code,
    loc_id,
    period,
    COUNT(sub_id) AS num_checklists,
    COUNT(CASE WHEN is_complete THEN sub_id END) AS complete_checklists,
    MAX(obs_date) AS last_visit
  FROM visits
  GROUP BY
    region_code,
    loc_id,
    period
  UNION ALL
  SELECT
    region_code,
    loc_id,
    'all' AS period,
    SUM(num_checklists) AS num_checklists,
    SUM(complete_checklists) AS complete_checklists,
    MAX(last_visit) AS last_visit
  FROM ebird_staging.place_months
  GROUP BY
    region_code,
    loc_id
), found AS (
  SELECT
    region_code,
    loc_id,
    period,
    COUNT(DISTINCT species_code) AS num_species,
    COUNT(CASE WHEN is_on_complete_list THEN species_code END) AS species_on_complete_checklists
  FROM seen
  GROUP BY
    region_code,
    loc_id,
    period
  UNION ALL
  SELECT
    region_code,
    loc_id,
    'all' AS period,
    COUNT(DISTINCT species_code) AS num_species,
    SUM(complete_checklists_reporting) AS species_on_complete_checklists
  FROM ebird_staging.place_species_months
  GROUP BY
    region_code,
    loc_id
)
SELECT
  visited.region_code,
  visited.loc_id,
  visited.period,
  locations.loc_name,
  locations.latitude,
  locations.longitude,
  RANK() OVER (
    PARTITION BY visited.region_code, visited.period
    ORDER BY COALESCE(found.num_species, 0) DESC
  )::BIGINT AS ranking,
  visited.num_checklists::BIGINT AS num_checklists,
  COALESCE(found.num_species, 0)::BIGINT AS num_species,
  visited.complete_checklists::BIGINT AS complete_checklists,
  (
    COALESCE(found.species_on_complete_checklists, 0) / NULLIF(visited.complete_checklists, 0)
  )::DOUBLE AS species_per_checklist,
  visited.last_visit,
  DATE_DIFF('DAY', visited.last_visit, last_days.last_day)::BIGINT AS days_since_last_visit
FROM visited
INNER JOIN last_days
  ON last_days.region_code = visited.region_code
/* the place must be a hotspot today: one that became personal since is not shown */
INNER JOIN ebird_staging.locations AS locations
  ON locations.loc_id = visited.loc_id AND locations.is_hotspot
LEFT JOIN found
  ON found.region_code = visited.region_code
  AND found.loc_id = visited.loc_id
  AND found.period = visited.period