/* FULL: a place is one small row however long its history is. */
MODEL (
  name ebird_staging.locations,
  kind FULL,
  grain loc_id,
  audits (
    personal_places_stay_private
  )
);

WITH lists AS (
  SELECT
    region_code,
    MAX(read_at) AS read_at
  FROM @raw_catalog.ebird_raw.hotspots
  GROUP BY
    region_code
), visited AS (
  /* a list of hotspots is whole: a place that a later one lacks is no hotspot any more */
  SELECT
    checklists.loc_id,
    checklists.is_hotspot
    AND checklists.read_at > COALESCE(lists.read_at, '1970-01-01'::TIMESTAMP) AS is_hotspot,
    checklists.loc_name,
    checklists.latitude,
    checklists.longitude,
    checklists.country_code,
    checklists.subnational1_code,
    checklists.subnational2_code,
    checklists.read_at,
    GREATEST(checklists.read_at, COALESCE(lists.read_at, checklists.read_at)) AS known_at,
    checklists.read_at > lists.read_at AS is_later
  FROM @raw_catalog.ebird_raw.checklists AS checklists
  LEFT JOIN lists
    ON lists.region_code = checklists.region_code
), named AS (
  SELECT
    2 AS preference,
    loc_id,
    TRUE AS is_hotspot,
    loc_name,
    lat AS latitude,
    lng AS longitude,
    country_code,
    subnational1_code,
    subnational2_code,
    read_at,
    read_at AS known_at
  FROM @raw_catalog.ebird_raw.hotspots
  UNION ALL
  SELECT
    CASE WHEN is_later AND NOT is_hotspot THEN 1 ELSE 3 END AS preference, /* its list is the word on a hotspot, unless the place was read as personal after it */
    loc_id,
    is_hotspot,
    loc_name,
    latitude,
    longitude,
    country_code,
    subnational1_code,
    subnational2_code,
    read_at,
    known_at
  FROM visited
), newest AS (
  SELECT
    *
  FROM named
  QUALIFY
    ROW_NUMBER() OVER (
      PARTITION BY loc_id
      ORDER BY preference, read_at DESC, is_hotspot, loc_name, latitude, longitude
    ) = 1
)
SELECT
  loc_id,
  is_hotspot,
  CASE WHEN is_hotspot THEN loc_name END AS loc_name,
  CASE WHEN is_hotspot THEN latitude END AS latitude,
  CASE WHEN is_hotspot THEN longitude END AS longitude,
  country_code,
  subnational1_code,
  subnational2_code,
  TIME_ZONE_AT(latitude, longitude)::TEXT AS time_zone,
  known_at AS read_at
FROM newest