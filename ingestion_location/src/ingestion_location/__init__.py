"""The ingestion location: from the eBird API to raw tables."""
