/* FULL: every code of the loaded versions, some 18,000 rows. A superseded code is kept, because
observations and reports that were read before the renewal have it. */
MODEL (
  name ebird_staging.taxa,
  kind FULL,
  grain species_code,
  audits (
    rolls_up_to_a_species
  )
);

WITH RECURSIVE newest AS (
  SELECT
    MAX(taxonomy_version) AS taxonomy_version
  FROM ebird_staging.taxa_versions
), last_known AS (
  SELECT
    taxa_versions.*,
    taxa_versions.taxonomy_version = newest.taxonomy_version AS is_current
  FROM ebird_staging.taxa_versions AS taxa_versions
  CROSS JOIN newest
  QUALIFY
    ROW_NUMBER() OVER (
      PARTITION BY taxa_versions.species_code
      ORDER BY taxa_versions.taxonomy_version DESC
    ) = 1
), succession AS (
  /* from version to version until the newest, or until nothing became of it */
  SELECT
    species_code,
    next_version AS taxonomy_version,
    next_code AS present_code
  FROM last_known
  WHERE
    NOT is_current AND NOT next_code IS NULL
  UNION ALL
  SELECT
    succession.species_code,
    later.next_version AS taxonomy_version,
    later.next_code AS present_code
  FROM succession
  INNER JOIN ebird_staging.taxa_versions AS later
    ON later.taxonomy_version = succession.taxonomy_version
    AND later.species_code = succession.present_code
  WHERE
    NOT later.next_code IS NULL
)
SELECT
  last_known.species_code,
  last_known.taxonomy_version,
  last_known.com_name,
  last_known.sci_name,
  last_known.category,
  last_known.taxon_order,
  last_known.order_name,
  last_known.family_code,
  last_known.family_com_name,
  last_known.family_sci_name,
  CASE
    WHEN last_known.is_current
    THEN last_known.rollup_species_code
    ELSE present.rollup_species_code
  END AS rollup_species_code,
  last_known.is_extinct,
  last_known.is_current
FROM last_known
CROSS JOIN newest
LEFT JOIN succession
  ON succession.species_code = last_known.species_code
  AND succession.taxonomy_version = newest.taxonomy_version
LEFT JOIN ebird_staging.taxa_versions AS present
  ON present.taxonomy_version = succession.taxonomy_version
  AND present.species_code = succession.present_code