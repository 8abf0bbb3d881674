AUDIT (
  name one_primary_per_group
);

/* A shared checklist counts once: its group has one primary copy a day, a complete one if it has any. */
SELECT
  region_code,
  obs_date,
  group_id
FROM @this_model
WHERE
  NOT group_id IS NULL
GROUP BY
  region_code,
  obs_date,
  group_id
HAVING
  COUNT(CASE WHEN is_group_primary THEN 1 END) <> 1
  OR BOOL_OR(is_complete::BOOLEAN) <> BOOL_OR(CAST(is_complete AND is_group_primary AS BOOLEAN));

AUDIT (
  name reports_are_of_counted_checklists
);

/* A report is of the one copy that is counted, and of a complete list only if that copy is complete. */
SELECT
  reports.*
FROM @this_model AS reports
LEFT JOIN ebird_staging.checklists AS checklists
  ON checklists.region_code = reports.region_code
  AND checklists.sub_id = reports.sub_id
  AND checklists.obs_date = reports.obs_date
WHERE
  checklists.sub_id IS NULL
  OR NOT checklists.is_group_primary
  OR (
    reports.is_on_complete_list AND NOT checklists.is_complete
  );

AUDIT (
  name counted_or_x
);

/* A report has a number or an X; anything else is a count that is not understood yet. */
SELECT
  *
FROM @this_model
WHERE
  (
    how_many IS NULL
  ) <> is_x_count;

AUDIT (
  name rolls_up_to_a_species
);

/* What a taxon is rolled up to is a species of the newest taxonomy. */
SELECT
  taxa.*
FROM @this_model AS taxa
LEFT JOIN @this_model AS parents
  ON parents.species_code = taxa.rollup_species_code
  AND parents.category = 'species'
  AND parents.is_current
WHERE
  NOT taxa.rollup_species_code IS NULL AND parents.species_code IS NULL;

AUDIT (
  name rolls_up_within_its_version,
  blocking FALSE
);

/* What a taxon is rolled up to is a species of the same version. A warning: eBird will not mend an
old version, and counts follow from the newest, whose roll-up is checked in taxa. */
SELECT
  taxa.*
FROM @this_model AS taxa
LEFT JOIN @this_model AS parents
  ON parents.taxonomy_version = taxa.taxonomy_version
  AND parents.species_code = taxa.rollup_species_code
  AND parents.category = 'species'
WHERE
  NOT taxa.rollup_species_code IS NULL AND parents.species_code IS NULL;

AUDIT (
  name personal_places_stay_private
);

/* A personal location may be a home address: it has no name and no coordinates. */
SELECT
  *
FROM @this_model
WHERE
  NOT is_hotspot
  AND (
    NOT loc_name IS NULL OR NOT latitude IS NULL OR NOT longitude IS NULL
  );

AUDIT (
  name one_version_at_a_time
);

/* A place has one version at a time: each ends no later than the next begins. */
SELECT
  *
FROM (
  SELECT
    *,
    LEAD(valid_from) OVER (PARTITION BY loc_id ORDER BY valid_from) AS next_from
  FROM @this_model
)
WHERE
  valid_to < valid_from
  OR (
    NOT next_from IS NULL AND COALESCE(valid_to > next_from, TRUE)
  );

AUDIT (
  name named_only_if_a_hotspot_today
);

/* A place that is no hotspot any more keeps nothing of what was public of it. */
SELECT
  history.*
FROM @this_model AS history
LEFT JOIN @this_model AS today
  ON today.loc_id = history.loc_id AND today.valid_to IS NULL AND today.is_hotspot
WHERE
  today.loc_id IS NULL
  AND (
    NOT history.loc_name IS NULL
    OR NOT history.latitude IS NULL
    OR NOT history.longitude IS NULL
  );

AUDIT (
  name one_state_at_a_time
);

/* An observation stands in one way at a time: each ends when the next begins, and the last holds. */
SELECT
  *
FROM (
  SELECT
    *,
    LEAD(valid_from) OVER (PARTITION BY region_code, obs_date, obs_id ORDER BY valid_from) AS next_from
  FROM @this_model
)
WHERE
  valid_to IS DISTINCT FROM next_from