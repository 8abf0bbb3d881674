/* FULL: added up from the months of places; every year's November changes with a day in November. */
MODEL (
  name ebird.best_places,
  kind FULL,
  grain (region_code, species_code, month, loc_id)
);

WITH samples AS (
  SELECT
    region_code,
    loc_id,
    EXTRACT(MONTH FROM month) AS month,
    SUM(complete_checklists)::BIGINT AS complete_checklists
  FROM ebird_staging.place_months
  GROUP BY ALL
), reports AS (
  SELECT
    region_code,
    loc_id,
    species_code,
    EXTRACT(MONTH FROM month) AS month,
    SUM(complete_checklists_reporting)::BIGINT AS complete_checklists_reporting
  FROM ebird_staging.place_species_months
  GROUP BY ALL
), rated AS (
  SELECT
    reports.region_code,
    reports.species_code,
    reports.month,
    reports.loc_id,
    locations.loc_name,
    locations.latitude,
    locations.longitude,
    samples.complete_checklists,
    reports.complete_checklists_reporting,
    reports.complete_checklists_reporting / samples.complete_checklists AS frequency
  FROM reports
  INNER JOIN samples
    ON samples.region_code = reports.region_code
    AND samples.loc_id = reports.loc_id
    AND samples.month = reports.month
  INNER JOIN ebird_staging.locations AS locations
    ON locations.loc_id = reports.loc_id
  WHERE
    reports.complete_checklists_reporting > 0 AND locations.is_hotspot
), bounded AS (
  /* Wilson's lower bound of k of n, z = 1.96; 3.8416 is its square, and all are doubles: engines divide decimals differently */
  SELECT
    *,
    (
      frequency + 3.8416::DOUBLE / (
        2 * complete_checklists
      ) - 1.96::DOUBLE * SQRT(
        (
          frequency * (
            1 - frequency
          ) + 3.8416::DOUBLE / (
            4 * complete_checklists
          )
        ) / complete_checklists
      )
    ) / (
      1 + 3.8416::DOUBLE / complete_checklists
    ) AS lower_bound
  FROM rated
)
SELECT
  bounded.region_code,
  bounded.species_code,
  bounded.month,
  bounded.loc_id,
  species.com_name,
  bounded.loc_name,
  bounded.latitude,
  bounded.longitude,
  RANK() OVER (
    PARTITION BY bounded.region_code, bounded.species_code, bounded.month
    ORDER BY bounded.lower_bound DESC
  )::BIGINT AS ranking,
  bounded.complete_checklists,
  bounded.complete_checklists_reporting,
  bounded.frequency::DOUBLE AS frequency,
  bounded.lower_bound::DOUBLE AS lower_bound
FROM bounded
INNER JOIN ebird_staging.taxa AS species
  ON species.species_code = bounded.species_code