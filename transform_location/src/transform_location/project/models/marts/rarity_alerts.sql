/* FULL: notable reports are few, and any of them may be reviewed or withdrawn later. */
MODEL (
  name ebird.rarity_alerts,
  kind FULL,
  grain (region_code, species_code, loc_id, obs_date)
);

WITH polls AS (
  SELECT
    region_code,
    MAX(last_polled_at) AS polled_at
  FROM ebird_staging.notable_reports
  GROUP BY
    region_code
), windows AS (
  /* the newest poll reaches back to its oldest report at least */
  SELECT
    reports.region_code,
    polls.polled_at,
    MIN(reports.obs_date) AS first_day
  FROM ebird_staging.notable_reports AS reports
  INNER JOIN polls
    ON polls.region_code = reports.region_code
    AND polls.polled_at = reports.last_polled_at
  GROUP BY
    reports.region_code,
    polls.polled_at
), judged AS (
  SELECT
    reports.region_code,
    reports.loc_id,
    reports.obs_date,
    reports.sub_id,
    reports.observer_id,
    taxa.rollup_species_code AS species_code,
    reports.is_reviewed AND reports.is_valid AS is_confirmed,
    (
      reports.is_reviewed AND NOT reports.is_valid
    )
    OR (
      reports.last_polled_at < windows.polled_at
      AND reports.obs_date > windows.first_day
    ) AS is_withdrawn
  FROM ebird_staging.notable_reports AS reports
  INNER JOIN windows
    ON windows.region_code = reports.region_code
  INNER JOIN ebird_staging.taxa AS taxa
    ON taxa.species_code = reports.species_code
  INNER JOIN ebird_staging.locations AS locations
    ON locations.loc_id = reports.loc_id
  WHERE
    reports.is_public
    AND locations.is_hotspot
    AND NOT taxa.rollup_species_code IS NULL
), birds AS (
  SELECT
    region_code,
    species_code,
    loc_id,
    MIN(obs_date) AS first_seen,
    MAX(obs_date) AS last_seen
  FROM judged
  WHERE
    NOT is_withdrawn
  GROUP BY
    region_code,
    species_code,
    loc_id
)
SELECT
  judged.region_code,
  judged.species_code,
  judged.loc_id,
  judged.obs_date,
  species.com_name,
  locations.loc_name,
  locations.latitude,
  locations.longitude,
  CASE
    WHEN BOOL_OR(CAST(judged.is_confirmed AND NOT judged.is_withdrawn AS BOOLEAN))
    THEN 'confirmed'
    WHEN BOOL_AND(judged.is_withdrawn::BOOLEAN)
    THEN 'withdrawn'
    ELSE 'unconfirmed'
  END AS status,
  birds.first_seen,
  birds.last_seen,
  COUNT(DISTINCT judged.sub_id)::BIGINT AS num_checklists,
  COUNT(DISTINCT judged.observer_id)::BIGINT AS num_observers
FROM judged
INNER JOIN ebird_staging.taxa AS species
  ON species.species_code = judged.species_code
INNER JOIN ebird_staging.locations AS locations
  ON locations.loc_id = judged.loc_id
LEFT JOIN birds
  ON birds.region_code = judged.region_code
  AND birds.species_code = judged.species_code
  AND birds.loc_id = judged.loc_id
GROUP BY
  judged.region_code,
  judged.species_code,
  judged.loc_id,
  judged.obs_date,
  species.com_name,
  locations.loc_name,
  locations.latitude,
  locations.longitude,
  birds.first_seen,
  birds.last_seen