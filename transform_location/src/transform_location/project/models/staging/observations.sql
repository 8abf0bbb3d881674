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

WITH told AS (
  /* a checklist does not say how its observations stand in review; two other answers do, of some */
  SELECT
    region_code,
    obs_id,
    is_valid,
    is_reviewed,
    last_polled_at AS told_at,
    1 AS preference
  FROM ebird_staging.notable_reports
  WHERE
    obs_date BETWEEN @start_date AND @end_date
  UNION ALL
  SELECT
    region_code,
    obs_id,
    obs_valid AS is_valid,
    obs_reviewed AS is_reviewed,
    read_at AS told_at,
    2 AS preference
  FROM @raw_catalog.ebird_raw.historic_observations
  WHERE
    obs_date BETWEEN @start_date AND @end_date
), reviews AS (
  SELECT
    region_code,
    obs_id,
    is_valid,
    is_reviewed
  FROM told
  QUALIFY
    ROW_NUMBER() OVER (PARTITION BY region_code, obs_id ORDER BY told_at DESC, preference) = 1
)
SELECT
  observations.region_code,
  observations.obs_id,
  observations.sub_id,
  observations.obs_date,
  observations.species_code,
  taxa.category,
  CASE
    WHEN REGEXP_MATCHES(observations.how_many_str, '^[0-9]+$')
    THEN observations.how_many_str::BIGINT
  END AS how_many,
  observations.how_many_str = 'X' AS is_x_count,
  observations.exotic_category,
  reviews.is_valid,
  reviews.is_reviewed,
  NOT reviews.is_valid AND NOT reviews.is_reviewed AS is_provisional
FROM @raw_catalog.ebird_raw.observations AS observations
LEFT JOIN reviews
  ON reviews.region_code = observations.region_code
  AND reviews.obs_id = observations.obs_id
LEFT JOIN ebird_staging.taxa AS taxa
  ON taxa.species_code = observations.species_code
/* the API's field present is true only for an X: a counted bird has present = false */
WHERE
  observations.obs_date BETWEEN @start_date AND @end_date