/* FULL: a few hundred rows. */
MODEL (
  name ebird_staging.regions,
  kind FULL,
  grain region_code
);

SELECT
  region_code,
  region_name,
  region_type,
  parent_code,
  min_x AS west,
  max_x AS east,
  min_y AS south,
  max_y AS north
FROM @raw_catalog.ebird_raw.regions