"""The transform location: from raw tables to staging and marts."""
