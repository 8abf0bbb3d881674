/* FULL: notable reports are few, and any of them may be reviewed or withdrawn later. */
MODEL (
  name ebird.rarity_alerts,
  kind FULL,
  grain (region_code, species_code, loc_id, obs_date)
);

WITH judged AS (
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
    OR EXISTS(
      SELECT
        1
      FROM ebird_staging.notable_polls AS polls
      WHERE
        polls.region_code = reports.region_code
        AND polls.polled_at > reports.last_polled_at
        AND polls.first_day <= reports.obs_date
    ) AS is_withdrawn /* a later poll reaches back to it and lacks it */
  FROM ebird_staging.notable_reports AS reports
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
), compared AS (
  SELECT
    *,
    BOOL_AND(is_withdrawn::BOOLEAN) OVER (PARTITION BY region_code, species_code, loc_id, obs_date) AS all_withdrawn
  FROM judged
), alerts AS (
  /* a withdrawn report counts for nothing beside one that stands */
  SELECT
    *
  FROM compared
  WHERE
    NOT is_withdrawn OR all_withdrawn
)
SELECT
  alerts.region_code,
  alerts.species_code,
  alerts.loc_id,
  alerts.obs_date,
  species.com_name,
  locations.loc_name,
  locations.latitude,
  locations.longitude,
  CASE
    WHEN BOOL_OR(alerts.is_withdrawn::BOOLEAN)
    THEN 'withdrawn'
    WHEN BOOL_OR(alerts.is_confirmed::BOOLEAN)
    THEN 'confirmed'
    ELSE 'unconfirmed'
  END AS status,
  birds.first_seen,
  birds.last_seen,
  COUNT(DISTINCT alerts.sub_id)::BIGINT AS num_checklists,
  COUNT(DISTINCT alerts.observer_id)::BIGINT AS num_observers
FROM alerts
INNER JOIN ebird_staging.taxa AS species
  ON species.species_code = alerts.species_code
INNER JOIN ebird_staging.locations AS locations
  ON locations.loc_id = alerts.loc_id
LEFT JOIN birds
  ON birds.region_code = alerts.region_code
  AND birds.species_code = alerts.species_code
  AND birds.loc_id = alerts.loc_id
GROUP BY
  alerts.region_code,
  alerts.species_code,
  alerts.loc_id,
  alerts.obs_date,
  species.com_name,
  locations.loc_name,
  locations.latitude,
  locations.longitude,
  birds.first_seen,
  birds.last_seen