/* What the marts over all time are added up from, so that they need not read every observation. */
MODEL (
  name ebird_staging.place_species_months,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column month
  ),
  tags by_month,
  grain (region_code, loc_id, species_code, month)
);

SELECT
  checklists.region_code,
  checklists.loc_id,
  taxa.rollup_species_code AS species_code,
  DATE_TRUNC('MONTH', checklists.obs_date)::DATE AS month,
  COUNT(DISTINCT checklists.sub_id)::BIGINT AS checklists_reporting,
  COUNT(DISTINCT CASE WHEN checklists.is_complete THEN checklists.sub_id END)::BIGINT AS complete_checklists_reporting
FROM ebird_staging.checklists AS checklists
INNER JOIN ebird_staging.observations AS observations
  ON observations.region_code = checklists.region_code
  AND observations.sub_id = checklists.sub_id
INNER JOIN ebird_staging.taxa AS taxa
  ON taxa.species_code = observations.species_code
WHERE
  checklists.obs_date BETWEEN @start_date AND LAST_DAY(@end_date)
  AND observations.obs_date BETWEEN @start_date AND LAST_DAY(@end_date)
  AND checklists.is_group_primary
  AND NOT taxa.rollup_species_code IS NULL
GROUP BY
  checklists.region_code,
  checklists.loc_id,
  taxa.rollup_species_code,
  DATE_TRUNC('MONTH', checklists.obs_date)::DATE