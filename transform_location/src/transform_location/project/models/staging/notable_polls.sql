/* Raw has the last poll of a region only. What was withdrawn must stay so when later polls do not reach
back to it any more, so this remembers every poll and is never made anew. */
MODEL (
  name ebird_staging.notable_polls,
  kind INCREMENTAL_BY_UNIQUE_KEY (
    unique_key (region_code, polled_at),
    forward_only TRUE,
    disable_restatement TRUE
  ),
  grain (region_code, polled_at)
);

SELECT
  region_code,
  polled_at,
  (
    (
      polled_at + INTERVAL '14' HOUR
    )::DATE - days_back::INT + 1
  ) /* the first whole day, and it is latest in the easternmost time zone, of UTC+14 */::DATE AS first_day
FROM @raw_catalog.ebird_raw.notable_polls