"""The quality location: checks, the release, the report."""
