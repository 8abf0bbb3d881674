"""The transform location: from raw tables to staging and marts."""

import os

# SQLMesh reads it as it is imported, so it must be said before any module here does that. It would
# fork workers within a run, which live on when the run is killed, and hold its locks with it
os.environ.setdefault("MAX_FORK_WORKERS", "1")
