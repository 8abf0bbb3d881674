MODEL (
  name ebird_staging.observation_history,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column obs_date
  ),
  grain (region_code, obs_date, obs_id, valid_from),
  audits (
    one_state_at_a_time
  )
);

SELECT
  region_code,
  obs_date,
  obs_id,
  valid_from,
  valid_to,
  change,
  changed_fields,
  is_withdrawn,
  sub_id,
  species_code,
  CASE WHEN REGEXP_MATCHES(how_many_str, '^[0-9]+$') THEN how_many_str::BIGINT END AS how_many,
  how_many_str = 'X' AS is_x_count,
  exotic_category,
  obs_valid AS is_valid,
  obs_reviewed AS is_reviewed,
  NOT obs_valid AND NOT obs_reviewed AS is_provisional
FROM @raw_catalog.ebird_raw.observation_history
WHERE
  obs_date BETWEEN @start_date AND @end_date