/* FULL: some hundred changes a year. */
MODEL (
  name ebird.taxonomy_crosswalk,
  kind FULL,
  grain (old_version, old_code)
);

SELECT
  old.taxonomy_version AS old_version,
  old.species_code AS old_code,
  old.com_name AS old_com_name,
  old.sci_name AS old_sci_name,
  old.next_version AS new_version,
  COALESCE(lumped_into.species_code, new.species_code) AS new_code,
  COALESCE(lumped_into.com_name, new.com_name) AS new_com_name,
  COALESCE(lumped_into.sci_name, new.sci_name) AS new_sci_name,
  CASE
    WHEN old.num_next_species > 1
    THEN 'split'
    WHEN new.species_code IS NULL
    THEN 'retired'
    WHEN old.category = 'species' AND new.category <> 'species'
    THEN 'lumped'
    WHEN old.category <> 'species' AND new.category = 'species'
    THEN 'split'
    WHEN new.species_code <> old.species_code
    THEN 'recoded'
    WHEN old.sci_name <> new.sci_name OR old.com_name <> new.com_name
    THEN 'renamed'
    ELSE 'reclassified'
  END AS change
FROM ebird_staging.taxa_versions AS old
LEFT JOIN ebird_staging.taxa_versions AS new
  ON new.taxonomy_version = old.next_version AND new.species_code = old.next_code
LEFT JOIN ebird_staging.taxa_versions AS lumped_into
  ON lumped_into.taxonomy_version = old.next_version
  AND lumped_into.species_code = new.rollup_species_code
  AND old.category = 'species'
  AND new.category <> 'species'
WHERE
  NOT old.next_version IS NULL
  AND (
    new.species_code IS NULL
    OR old.num_next_species > 1
    OR new.species_code <> old.species_code
    OR old.category <> new.category
    OR old.sci_name <> new.sci_name
    OR old.com_name <> new.com_name
    OR old.rollup_species_code IS DISTINCT FROM new.rollup_species_code
  )