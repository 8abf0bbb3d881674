"""What acts on all code locations at once, through Dagster only."""
