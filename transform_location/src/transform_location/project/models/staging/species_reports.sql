/* What the marts count. A shared checklist is n copies whose lists may differ: its counted copy stands
for them, and reports every species that any of them does. */
MODEL (
  name ebird_staging.species_reports,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column obs_date
  ),
  grain (region_code, sub_id, species_code),
  audits (
    reports_are_of_counted_checklists
  )
);

WITH copies AS (
  SELECT
    region_code,
    sub_id,
    obs_date,
    is_complete,
    MAX(CASE WHEN is_group_primary THEN sub_id END) OVER (PARTITION BY region_code, obs_date, COALESCE(group_id, sub_id)) AS counted_sub_id,
    MAX(CASE WHEN is_group_primary THEN loc_id END) OVER (PARTITION BY region_code, obs_date, COALESCE(group_id, sub_id)) AS loc_id
  FROM ebird_staging.checklists
  WHERE
    obs_date BETWEEN @start_date AND @end_date
), lists AS (
  /* a copy's count of a species is the sum of its forms, and no number with an X among them */
  SELECT
    copies.region_code,
    copies.sub_id,
    copies.obs_date,
    copies.is_complete,
    copies.counted_sub_id,
    copies.loc_id,
    taxa.rollup_species_code AS species_code,
    CASE
      WHEN COUNT(observations.how_many) = COUNT(*)
      THEN SUM(observations.how_many)
    END AS how_many
  FROM copies
  INNER JOIN ebird_staging.observations AS observations
    ON observations.region_code = copies.region_code
    AND observations.sub_id = copies.sub_id
  INNER JOIN ebird_staging.taxa AS taxa
    ON taxa.species_code = observations.species_code
  WHERE
    observations.obs_date BETWEEN @start_date AND @end_date
    AND NOT taxa.rollup_species_code IS NULL
  GROUP BY ALL
), numbered AS (
  /* the copies with the species: complete ones before others, then the lowest number */
  SELECT
    *,
    ROW_NUMBER() OVER (
      PARTITION BY region_code, counted_sub_id, species_code
      ORDER BY CASE WHEN is_complete THEN 0 ELSE 1 END, LENGTH(sub_id), sub_id
    ) AS number
  FROM lists
  WHERE
    how_many IS NULL OR how_many > 0
)
SELECT
  region_code,
  counted_sub_id AS sub_id,
  species_code,
  obs_date,
  loc_id,
  is_complete AS is_on_complete_list,
  how_many::BIGINT AS how_many
FROM numbered
WHERE
  number = 1