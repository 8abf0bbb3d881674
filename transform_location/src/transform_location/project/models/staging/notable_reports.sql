/* Raw has the last poll only. This remembers every report that a poll ever had, so it is added to
and never made anew. */
MODEL (
  name ebird_staging.notable_reports,
  kind INCREMENTAL_BY_UNIQUE_KEY (
    unique_key (region_code, obs_id),
    forward_only TRUE,
    disable_restatement TRUE
  ),
  grain (region_code, obs_id)
);

SELECT
  region_code,
  obs_id,
  sub_id,
  loc_id,
  NOT location_private AS is_public,
  species_code,
  obs_dt::DATE AS obs_date,
  how_many,
  MD5(user_display_name) AS observer_id,
  obs_valid AS is_valid,
  obs_reviewed AS is_reviewed,
  polled_at AS last_polled_at
FROM @raw_catalog.ebird_raw.notable_observations