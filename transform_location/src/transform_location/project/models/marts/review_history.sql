MODEL (
  name ebird.review_history,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column obs_date
  ),
  grain (region_code, obs_date, obs_id, valid_from)
);

SELECT
  history.region_code,
  history.obs_date,
  history.obs_id,
  history.valid_from,
  history.valid_to,
  history.sub_id,
  history.species_code,
  taxa.com_name,
  history.change,
  history.changed_fields,
  history.is_valid,
  history.is_reviewed,
  history.is_provisional,
  history.is_withdrawn,
  history.how_many,
  history.is_x_count
FROM ebird_staging.observation_history AS history
LEFT JOIN ebird_staging.taxa AS taxa
  ON taxa.species_code = history.species_code
WHERE
  history.obs_date BETWEEN @start_date AND @end_date