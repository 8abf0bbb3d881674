/* No more checklists report a species than were looked at. */
AUDIT (
  name reporting_is_part_of_the_sample
);

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

/* eBird counts checklists of the day that were not loaded. A warning: late ones keep arriving. */
AUDIT (
  name day_is_complete,
  blocking FALSE
);

SELECT
  *
FROM @this_model
WHERE
  completeness < 0.95 OR is_capped
