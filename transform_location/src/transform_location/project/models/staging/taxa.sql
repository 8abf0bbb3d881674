/* FULL: the whole taxonomy is some 18,000 rows and is replaced as a whole each year. */
MODEL (
  name ebird_staging.taxa,
  kind FULL,
  grain species_code,
  audits (
    rolls_up_to_a_species
  )
);

SELECT
  species_code,
  taxonomy_version,
  com_name,
  sci_name,
  category,
  taxon_order,
  order_name,
  family_code,
  family_com_name,
  family_sci_name,
  CASE WHEN category = 'species' THEN species_code ELSE report_as END AS rollup_species_code,
  is_extinct
FROM @raw_catalog.ebird_raw.taxa
WHERE
  taxonomy_version = (
    SELECT
      MAX(newest.taxonomy_version)
    FROM @raw_catalog.ebird_raw.taxa AS newest
  )