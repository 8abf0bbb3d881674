/* The species that a person has seen: edit seeds/life_list.csv and deploy. The
audit of its codes is with the targets, which read the taxa, too. */
MODEL (
  name ebird_staging.life_list,
  kind SEED (
    path '$root/seeds/life_list.csv'
  ),
  columns (
    person TEXT,
    species_code TEXT
  ),
  ignored_rules ['nomissingunittest'],
  grain (person, species_code)
)