/* A view: every checklist times every species of its region would be the largest table by far. */
MODEL (
  name ebird.checklist_species,
  kind VIEW,
  ignored_rules ['nomissingaudits'],
  grain (region_code, sub_id, species_code)
);

WITH species AS (
  SELECT DISTINCT
    region_code,
    species_code
  FROM ebird.species_daily
), counts AS (
  SELECT
    observations.region_code,
    observations.sub_id,
    taxa.rollup_species_code AS species_code,
    CASE
      WHEN COUNT(observations.how_many) = COUNT(*)
      THEN SUM(observations.how_many)
    END AS how_many
  FROM ebird_staging.observations AS observations
  INNER JOIN ebird_staging.taxa AS taxa
    ON taxa.species_code = observations.species_code
  WHERE
    NOT taxa.rollup_species_code IS NULL
  GROUP BY
    observations.region_code,
    observations.sub_id,
    taxa.rollup_species_code
)
SELECT
  checklists.region_code,
  checklists.sub_id,
  species.species_code,
  checklists.obs_date,
  NOT counts.species_code IS NULL AS is_present,
  CASE WHEN counts.species_code IS NULL THEN 0 ELSE counts.how_many END::BIGINT AS how_many
FROM ebird_staging.checklists AS checklists
INNER JOIN species
  ON species.region_code = checklists.region_code
LEFT JOIN counts
  ON counts.region_code = checklists.region_code
  AND counts.sub_id = checklists.sub_id
  AND counts.species_code = species.species_code
WHERE
  checklists.is_complete AND checklists.is_group_primary