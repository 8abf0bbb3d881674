/* A view over marts only, so that a release can have it without its rows: every checklist times every
species of its region would be the largest table by far. */
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
  WHERE
    complete_checklists_reporting > 0
)
SELECT
  checklists.region_code,
  checklists.sub_id,
  species.species_code,
  checklists.obs_date,
  NOT reports.species_code IS NULL AS is_present,
  CASE WHEN reports.species_code IS NULL THEN 0 ELSE reports.how_many END::BIGINT AS how_many
FROM ebird.checklists AS checklists
INNER JOIN species
  ON species.region_code = checklists.region_code
LEFT JOIN ebird.checklist_reports AS reports
  ON reports.region_code = checklists.region_code
  AND reports.sub_id = checklists.sub_id
  AND reports.species_code = species.species_code
  AND reports.is_on_complete_list
WHERE
  checklists.is_complete