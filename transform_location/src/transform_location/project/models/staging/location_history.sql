/* Raw has the newest attributes of a place only. This remembers the earlier ones, as slowly changing
dimension of type 2, so it is added to and never made anew. A change is dated by the read that
showed it, not by the clock, so that the same data gives the same history. */
MODEL (
  name ebird_staging.location_history,
  kind INCREMENTAL_BY_UNIQUE_KEY (
    unique_key (loc_id, valid_from),
    forward_only TRUE,
    disable_restatement TRUE
  ),
  columns (
    loc_id TEXT,
    valid_from TIMESTAMP,
    valid_to TIMESTAMP,
    is_hotspot BOOLEAN,
    loc_name TEXT,
    latitude DOUBLE,
    longitude DOUBLE,
    country_code TEXT,
    subnational1_code TEXT,
    subnational2_code TEXT
  ),
  grain (loc_id, valid_from),
  audits (one_version_at_a_time, named_only_if_a_hotspot_today)
);

WITH known AS (
  SELECT
    history.loc_id,
    history.valid_from,
    history.valid_to,
    history.is_hotspot,
    history.loc_name,
    history.latitude,
    history.longitude,
    history.country_code,
    history.subnational1_code,
    history.subnational2_code
  FROM ebird_staging.location_history AS history
), present AS (
  SELECT
    loc_id,
    MAX(COALESCE(valid_to, valid_from)) AS changed_at
  FROM known
  GROUP BY
    loc_id
), opened AS (
  SELECT
    locations.loc_id,
    GREATEST(locations.read_at, COALESCE(present.changed_at, locations.read_at)) AS changed_at, /* never before what is known of the place: an older read may have been loaded late */
    locations.is_hotspot,
    locations.loc_name,
    locations.latitude,
    locations.longitude,
    locations.country_code,
    locations.subnational1_code,
    locations.subnational2_code
  FROM ebird_staging.locations AS locations
  LEFT JOIN present
    ON present.loc_id = locations.loc_id
  LEFT JOIN known
    ON known.loc_id = locations.loc_id AND known.valid_to IS NULL
  WHERE
    known.loc_id IS NULL
    OR known.is_hotspot IS DISTINCT FROM locations.is_hotspot
    OR known.loc_name IS DISTINCT FROM locations.loc_name
    OR known.latitude IS DISTINCT FROM locations.latitude
    OR known.longitude IS DISTINCT FROM locations.longitude
    OR known.country_code IS DISTINCT FROM locations.country_code
    OR known.subnational1_code IS DISTINCT FROM locations.subnational1_code
    OR known.subnational2_code IS DISTINCT FROM locations.subnational2_code
), newest_read AS (
  SELECT
    MAX(read_at) AS read_at
  FROM ebird_staging.locations
), gone AS (
  /* it was merged into another place, or was deleted */
  SELECT
    known.loc_id,
    GREATEST(known.valid_from, newest_read.read_at) AS changed_at
  FROM known
  CROSS JOIN newest_read
  LEFT JOIN ebird_staging.locations AS locations
    ON locations.loc_id = known.loc_id
  WHERE
    known.valid_to IS NULL AND locations.loc_id IS NULL
), changed AS (
  SELECT
    loc_id,
    changed_at,
    is_hotspot,
    FALSE AS is_gone
  FROM opened
  UNION ALL
  SELECT
    loc_id,
    changed_at,
    FALSE AS is_hotspot,
    TRUE AS is_gone
  FROM gone
)
SELECT
  loc_id,
  changed_at AS valid_from,
  NULL::TIMESTAMP AS valid_to,
  is_hotspot,
  loc_name,
  latitude,
  longitude,
  country_code,
  subnational1_code,
  subnational2_code
FROM opened
UNION ALL
/* what was public of a place stays only while it is a hotspot */
SELECT
  known.loc_id,
  known.valid_from,
  COALESCE(known.valid_to, changed.changed_at) AS valid_to,
  known.is_hotspot,
  CASE WHEN changed.is_hotspot THEN known.loc_name END AS loc_name,
  CASE WHEN changed.is_hotspot THEN known.latitude END AS latitude,
  CASE WHEN changed.is_hotspot THEN known.longitude END AS longitude,
  known.country_code,
  known.subnational1_code,
  known.subnational2_code
FROM known
INNER JOIN changed
  ON changed.loc_id = known.loc_id
WHERE
  known.valid_from < changed.changed_at OR changed.is_gone