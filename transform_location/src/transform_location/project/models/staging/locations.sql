/* FULL: a place is one small row however long its history is. */
MODEL (
  name ebird_staging.locations,
  kind FULL,
  grain loc_id,
  audits (
    personal_places_stay_private
  )
);

WITH named AS (
  SELECT
    1 AS preference,
    loc_id,
    TRUE AS is_hotspot,
    loc_name,
    lat AS latitude,
    lng AS longitude,
    country_code,
    subnational1_code,
    subnational2_code,
    read_at
  FROM @raw_catalog.ebird_raw.hotspots
  UNION ALL
  SELECT
    2 AS preference,
    loc_id,
    is_hotspot,
    loc_name,
    latitude,
    longitude,
    country_code,
    subnational1_code,
    subnational2_code,
    read_at
  FROM @raw_catalog.ebird_raw.checklists
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
  subnational2_code
FROM newest