/* FULL: some hundred changes a year. */
MODEL (
  name ebird.taxonomy_crosswalk,
  kind FULL,
  grain (old_version, old_code)
);

WITH versions AS (
  SELECT
    taxonomy_version,
    LEAD(taxonomy_version) OVER (ORDER BY taxonomy_version)::DOUBLE AS next_version
  FROM @raw_catalog.ebird_raw.taxa
  GROUP BY
    taxonomy_version
), old AS (
  SELECT
    taxa.*,
    versions.next_version
  FROM @raw_catalog.ebird_raw.taxa AS taxa
  INNER JOIN versions
    ON versions.taxonomy_version = taxa.taxonomy_version
  WHERE
    NOT versions.next_version IS NULL
), matched AS (
  SELECT
    old.*,
    COALESCE(same_code.species_code, same_name.species_code) AS new_code,
    COALESCE(same_code.com_name, same_name.com_name) AS new_com_name,
    COALESCE(same_code.sci_name, same_name.sci_name) AS new_sci_name,
    COALESCE(same_code.category, same_name.category) AS new_category,
    COALESCE(same_code.report_as, same_name.report_as) AS new_report_as
  FROM old
  LEFT JOIN @raw_catalog.ebird_raw.taxa AS same_code
    ON same_code.taxonomy_version = old.next_version
    AND same_code.species_code = old.species_code
  LEFT JOIN @raw_catalog.ebird_raw.taxa AS same_name
    ON same_name.taxonomy_version = old.next_version
    AND same_name.sci_name = old.sci_name
    AND same_name.category = old.category
  QUALIFY
    ROW_NUMBER() OVER (
      PARTITION BY old.taxonomy_version, old.species_code
      ORDER BY same_name.species_code
    ) = 1
)
SELECT
  taxonomy_version AS old_version,
  species_code AS old_code,
  com_name AS old_com_name,
  sci_name AS old_sci_name,
  next_version AS new_version,
  CASE
    WHEN category = 'species' AND new_category <> 'species'
    THEN COALESCE(new_report_as, new_code)
    ELSE new_code
  END AS new_code,
  new_com_name,
  new_sci_name,
  CASE
    WHEN new_code IS NULL
    THEN 'retired'
    WHEN category = 'species' AND new_category <> 'species'
    THEN 'lumped'
    WHEN category <> 'species' AND new_category = 'species'
    THEN 'split'
    WHEN new_code <> species_code
    THEN 'recoded'
    WHEN sci_name <> new_sci_name OR com_name <> new_com_name
    THEN 'renamed'
    ELSE 'reclassified'
  END AS change
FROM matched
WHERE
  new_code IS NULL
  OR new_code <> species_code
  OR category <> new_category
  OR sci_name <> new_sci_name
  OR com_name <> new_com_name
  OR report_as IS DISTINCT FROM new_report_as