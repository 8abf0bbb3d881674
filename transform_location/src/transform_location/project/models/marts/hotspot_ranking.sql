/* FULL: its periods end on the last loaded day, so every row changes with each new day. */
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
    last_day,
    '30 days' AS period,
    last_day - 29 AS first_day
  FROM last_days
  UNION ALL
  SELECT
    region_code,
    last_day,
    '365 days' AS period,
    last_day - 364 AS first_day
  FROM last_days
  UNION ALL
  SELECT
    region_code,
    last_day,
    'all' AS period,
    '1800-01-01'::DATE AS first_day
  FROM last_days
), visits AS (
  /* the place must be a hotspot today: one that became personal since is not shown */
  SELECT
    checklists.region_code,
    checklists.sub_id,
    checklists.obs_date,
    checklists.loc_id,
    checklists.is_complete,
    locations.loc_name,
    locations.latitude,
    locations.longitude
  FROM ebird_staging.checklists AS checklists
  INNER JOIN ebird_staging.locations AS locations
    ON locations.loc_id = checklists.loc_id
  WHERE
    checklists.is_group_primary AND locations.is_hotspot
), seen AS (
  SELECT DISTINCT
    visits.region_code,
    visits.sub_id,
    visits.obs_date,
    visits.loc_id,
    visits.is_complete,
    taxa.rollup_species_code AS species_code
  FROM visits
  INNER JOIN ebird_staging.observations AS observations
    ON observations.region_code = visits.region_code
    AND observations.sub_id = visits.sub_id
  INNER JOIN ebird_staging.taxa AS taxa
    ON taxa.species_code = observations.species_code
  WHERE
    NOT taxa.rollup_species_code IS NULL
), visited AS (
  SELECT
    visits.region_code,
    visits.loc_id,
    periods.period,
    visits.loc_name,
    visits.latitude,
    visits.longitude,
    periods.last_day,
    COUNT(visits.sub_id) AS num_checklists,
    COUNT(CASE WHEN visits.is_complete THEN visits.sub_id END) AS complete_checklists,
    MAX(visits.obs_date) AS last_visit
  FROM visits
  INNER JOIN periods
    ON periods.region_code = visits.region_code AND visits.obs_date >= periods.first_day
  GROUP BY
    visits.region_code,
    visits.loc_id,
    periods.period,
    visits.loc_name,
    visits.latitude,
    visits.longitude,
    periods.last_day
), found AS (
  SELECT
    seen.region_code,
    seen.loc_id,
    periods.period,
    COUNT(DISTINCT seen.species_code) AS num_species,
    COUNT(CASE WHEN seen.is_complete THEN seen.species_code END) AS species_on_complete_checklists
  FROM seen
  INNER JOIN periods
    ON periods.region_code = seen.region_code AND seen.obs_date >= periods.first_day
  GROUP BY
    seen.region_code,
    seen.loc_id,
    periods.period
)
SELECT
  visited.region_code,
  visited.loc_id,
  visited.period,
  visited.loc_name,
  visited.latitude,
  visited.longitude,
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
  DATE_DIFF('DAY', visited.last_visit, visited.last_day)::BIGINT AS days_since_last_visit
FROM visited
LEFT JOIN found
  ON found.region_code = visited.region_code
  AND found.loc_id = visited.loc_id
  AND found.period = visited.period