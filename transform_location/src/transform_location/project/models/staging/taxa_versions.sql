/* FULL: some 18,000 rows for each loaded version, which changes once a year. */
MODEL (
  name ebird_staging.taxa_versions,
  kind FULL,
  grain (taxonomy_version, species_code),
  audits (
    rolls_up_within_its_version
  )
);

WITH versions AS (
  SELECT
    taxonomy_version,
    LEAD(taxonomy_version) OVER (ORDER BY taxonomy_version) AS next_version
  FROM @raw_catalog.ebird_raw.taxa
  GROUP BY
    taxonomy_version
), named AS (
  SELECT
    taxa.*,
    CASE WHEN taxa.category = 'species' THEN taxa.species_code ELSE taxa.report_as END AS rollup_species_code,
    versions.next_version
  FROM @raw_catalog.ebird_raw.taxa AS taxa
  INNER JOIN versions
    ON versions.taxonomy_version = taxa.taxonomy_version
), parts AS (
  /* what the forms of a species are rolled up to in the next version */
  SELECT
    forms.taxonomy_version,
    forms.rollup_species_code AS species_code,
    MIN(later.rollup_species_code) AS later_code,
    COUNT(DISTINCT later.rollup_species_code) AS num_species
  FROM named AS forms
  INNER JOIN named AS later
    ON later.taxonomy_version = forms.next_version
    AND later.species_code = forms.species_code
  WHERE
    NOT later.rollup_species_code IS NULL
  GROUP BY
    forms.taxonomy_version,
    forms.rollup_species_code
), by_sci_name AS (
  SELECT
    taxonomy_version,
    category,
    sci_name,
    MIN(species_code) AS species_code
  FROM named
  GROUP BY
    taxonomy_version,
    category,
    sci_name
), by_com_name AS (
  SELECT
    taxonomy_version,
    category,
    com_name,
    MIN(species_code) AS species_code
  FROM named
  GROUP BY
    taxonomy_version,
    category,
    com_name
)
SELECT
  named.taxonomy_version,
  named.species_code,
  named.com_name,
  named.sci_name,
  named.category,
  named.taxon_order,
  named.order_name,
  named.family_code,
  named.family_com_name,
  named.family_sci_name,
  named.rollup_species_code,
  named.is_extinct,
  named.next_version::DOUBLE AS next_version,
  CASE
    WHEN NOT same_code.species_code IS NULL
    THEN same_code.species_code
    WHEN parts.num_species > 1
    THEN NULL
    ELSE COALESCE(by_sci_name.species_code, by_com_name.species_code, parts.later_code)
  END AS next_code, /* a name that stays with one part of a species that was split says nothing about the others */
  parts.num_species::BIGINT AS num_next_species
FROM named
LEFT JOIN named AS same_code
  ON same_code.taxonomy_version = named.next_version
  AND same_code.species_code = named.species_code
LEFT JOIN by_sci_name
  ON by_sci_name.taxonomy_version = named.next_version
  AND by_sci_name.category = named.category
  AND by_sci_name.sci_name = named.sci_name
LEFT JOIN by_com_name
  ON by_com_name.taxonomy_version = named.next_version
  AND by_com_name.category = named.category
  AND by_com_name.com_name = named.com_name
LEFT JOIN parts
  ON parts.taxonomy_version = named.taxonomy_version
  AND parts.species_code = named.species_code