"""Which code is deployed in the warehouse: a note beside SQLMesh's state, read without SQLMesh.

It is written after a deploy has succeeded, so a deploy that died is done again. It must never be
written by anything else.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

NOTE = "deployed.json"


@dataclass(frozen=True)
class Deployed:
    """What the note says: the fingerprint of the deployed code, and when it was deployed (UTC)."""

    fingerprint: str
    deployed_at: str


def deployed_code(folder: Path) -> Deployed | None:
    """The code that prod was made from, None if nothing was ever deployed."""
    note = folder / NOTE
    if not note.is_file():
        return None
    said = json.loads(note.read_text(encoding="utf-8"))
    return Deployed(str(said["fingerprint"]), str(said["deployed_at"]))


def deployed_fingerprint(folder: Path) -> str | None:
    """The fingerprint of the deployed code, None if nothing was ever deployed."""
    code = deployed_code(folder)
    return code.fingerprint if code else None


def note_deployed(folder: Path, fingerprint: str) -> None:
    """Say that prod was made from this code."""
    code = Deployed(fingerprint, datetime.now(UTC).isoformat())
    temporary = folder / f"{NOTE}.part"
    temporary.write_text(json.dumps(asdict(code)), encoding="utf-8")
    temporary.replace(folder / NOTE)
