"""A local server that speaks the eBird API 2.0, with generated birds."""
