AUDIT (
  name reporting_is_part_of_the_sample
);

/* No more checklists report a species than were looked at. */
SELECT
  *
FROM @this_model
WHERE
  complete_checklists_reporting > complete_checklists
  OR complete_checklists_reporting > checklists_reporting
  OR checklists_with_x > checklists_reporting
  OR x_only <> (
    birds_counted IS NULL
  );

AUDIT (
  name day_is_complete,
  blocking FALSE
);

/* What eBird counts was loaded. A warning: late checklists keep arriving. */
SELECT
  *
FROM @this_model
WHERE
  completeness < 0.95 OR is_capped;

AUDIT (
  name encounters_are_part_of_the_sample
);

/* No more checklists report a species than were comparable. */
SELECT
  *
FROM @this_model
WHERE
  checklists_reporting > checklists;

AUDIT (
  name life_list_codes_are_known,
  blocking FALSE
);

/* Every code of a life list is a taxon. A warning: an unknown one is no species that was seen, so its
bird stays a target. */
SELECT
  life_list.*
FROM ebird_staging.life_list AS life_list
LEFT JOIN ebird_staging.taxa AS taxa
  ON taxa.species_code = life_list.species_code
WHERE
  taxa.species_code IS NULL