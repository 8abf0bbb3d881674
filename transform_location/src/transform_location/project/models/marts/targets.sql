/* FULL: at most 12 rows a person and species, added up from species_frequency. */
MODEL (
  name ebird.targets,
  kind FULL,
  grain (person, region_code, month, species_code),
  audits (
    life_list_codes_are_known
  )
);

WITH people AS (
  SELECT DISTINCT
    person
  FROM ebird_staging.life_list
), seen AS (
  /* a subspecies, or a code of an older taxonomy, is the species that it counts as */
  SELECT DISTINCT
    life_list.person,
    taxa.rollup_species_code AS species_code
  FROM ebird_staging.life_list AS life_list
  INNER JOIN ebird_staging.taxa AS taxa
    ON taxa.species_code = life_list.species_code
), months AS (
  SELECT
    region_code,
    species_code,
    month,
    com_name,
    sci_name,
    SUM(complete_checklists)::BIGINT AS complete_checklists,
    SUM(complete_checklists_reporting)::BIGINT AS complete_checklists_reporting
  FROM ebird.species_frequency
  GROUP BY ALL
)
SELECT
  people.person,
  months.region_code,
  months.month,
  months.species_code,
  months.com_name,
  months.sci_name,
  RANK() OVER (
    PARTITION BY people.person, months.region_code, months.month
    ORDER BY months.complete_checklists_reporting / months.complete_checklists DESC
  )::BIGINT AS ranking,
  months.complete_checklists,
  months.complete_checklists_reporting,
  (
    months.complete_checklists_reporting / months.complete_checklists
  )::DOUBLE AS frequency
FROM people
CROSS JOIN months
LEFT JOIN seen
  ON seen.person = people.person AND seen.species_code = months.species_code
WHERE
  seen.species_code IS NULL AND months.complete_checklists_reporting > 0