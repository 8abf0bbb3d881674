"""The speed bench: see `benchmarks/README.md`."""
