MODEL (
  name ebird.encounter_rate,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column week
  ),
  tags by_week,
  grain (region_code, species_code, week),
  audits (
    encounters_are_part_of_the_sample
  )
);

WITH comparable AS (
  SELECT
    region_code,
    sub_id,
    DATE_TRUNC('WEEK', obs_date)::DATE AS week,
    duration_minutes,
    distance_km
  FROM ebird_staging.checklists
  WHERE
    obs_date BETWEEN @start_date AND @end_date + 6
    AND DATE_TRUNC('WEEK', obs_date)::DATE BETWEEN @start_date AND @end_date
    AND is_group_primary
    AND is_complete
    AND protocol IN ('stationary', 'traveling')
    AND duration_minutes <= 360
    AND distance_km <= 10
    AND distance_km * 60 <= duration_minutes * 100
    AND num_observers <= 10
), samples AS (
  SELECT
    region_code,
    week,
    COUNT(sub_id) AS checklists,
    SUM(duration_minutes::DECIMAL(18, 6)) /* a sum of floats depends on the order of its rows, and the same data must give the same file */::DOUBLE / 60 AS hours
  FROM comparable
  GROUP BY
    region_code,
    week
), encounters AS (
  SELECT
    comparable.region_code,
    comparable.week,
    reports.species_code,
    COUNT(comparable.sub_id) AS checklists_reporting
  FROM comparable
  INNER JOIN ebird_staging.species_reports AS reports
    ON reports.region_code = comparable.region_code
    AND reports.sub_id = comparable.sub_id
  WHERE
    reports.obs_date BETWEEN @start_date AND @end_date + 6
    AND reports.is_on_complete_list
  GROUP BY
    comparable.region_code,
    comparable.week,
    reports.species_code
)
SELECT
  encounters.region_code,
  encounters.species_code,
  encounters.week,
  species.com_name,
  species.sci_name,
  samples.checklists::BIGINT AS checklists,
  samples.hours::DOUBLE AS hours,
  encounters.checklists_reporting::BIGINT AS checklists_reporting,
  (
    encounters.checklists_reporting / samples.checklists
  )::DOUBLE AS encounter_rate
FROM encounters
INNER JOIN samples
  ON samples.region_code = encounters.region_code AND samples.week = encounters.week
INNER JOIN ebird_staging.taxa AS species
  ON species.species_code = encounters.species_code