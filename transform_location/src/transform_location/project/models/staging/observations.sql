MODEL (
  name ebird_staging.observations,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column obs_date
  ),
  grain (region_code, obs_id),
  audits (
    counted_or_x
  )
);

SELECT
  region_code,
  obs_id,
  sub_id,
  obs_date,
  species_code,
  CASE WHEN REGEXP_MATCHES(how_many_str, '^[0-9]+$') THEN how_many_str::BIGINT END AS how_many,
  how_many_str = 'X' AS is_x_count,
  exotic_category
FROM @raw_catalog.ebird_raw.observations
/* the API's field present is true only for an X: a counted bird has present = false */
WHERE
  obs_date BETWEEN @start_date AND @end_date