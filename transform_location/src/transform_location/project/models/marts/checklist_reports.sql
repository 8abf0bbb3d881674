/* A view: staging has the rows, and only the place of a checklist is not for everybody. */
MODEL (
  name ebird.checklist_reports,
  kind VIEW,
  ignored_rules ['nomissingaudits'],
  grain (region_code, sub_id, species_code)
);

SELECT
  region_code,
  sub_id,
  species_code,
  obs_date,
  is_on_complete_list,
  how_many
FROM ebird_staging.species_reports