"""Everything about one source, eBird: its API, what it said, and the tables made from that."""
