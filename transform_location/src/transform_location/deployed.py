"""Which code is deployed in the warehouse: a note beside SQLMesh's state, read without SQLMesh.

It is written after a deploy has succeeded, so a deploy that died is done again. It must never be
written by anything else.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

NOTE = "deployed.json"


def deployed_fingerprint(folder: Path) -> str | None:
    """The fingerprint of the deployed code, None if nothing was ever deployed."""
    note = folder / NOTE
    if not note.is_file():
        return None
    return str(json.loads(note.read_text(encoding="utf-8"))["fingerprint"])


def note_deployed(folder: Path, fingerprint: str) -> None:
    """Say that prod was made from this code."""
    said = {
        "fingerprint": fingerprint,
        "deployed_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    temporary = folder / f"{NOTE}.part"
    temporary.write_text(json.dumps(said), encoding="utf-8")
    temporary.replace(folder / NOTE)
