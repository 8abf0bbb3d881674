/* A view, so that a place which became personal since is hidden at once on all of its days. */
MODEL (
  name ebird.checklists,
  kind VIEW,
  ignored_rules ['nomissingaudits'],
  grain (region_code, sub_id)
);

SELECT
  checklists.region_code,
  checklists.sub_id,
  checklists.obs_date,
  checklists.observed_at,
  locations.loc_id,
  locations.loc_name,
  locations.latitude,
  locations.longitude,
  checklists.protocol,
  checklists.duration_minutes,
  checklists.distance_km,
  checklists.area_ha,
  checklists.num_observers,
  checklists.is_complete
FROM ebird_staging.checklists AS checklists
LEFT JOIN ebird_staging.locations AS locations
  ON locations.loc_id = checklists.loc_id AND locations.is_hotspot
WHERE
  checklists.is_group_primary