"""Landing files: what the API said, unchanged, so that nothing is ever asked twice.

A file holds every answer about one resource of one region (and day), read on one date: one JSON
line per answer, with the question, the time and the body as it came. While it is being gathered it
is an append-only `.part`, so a killed fetch goes on with what is missing; when the last answer is
in, it is compressed and moved into place in one atomic step. A complete file never changes.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any

from ingestion_location.ebird import shapes
from ingestion_location.ebird.api import Answer, EbirdApi
from ingestion_location.ebird.shapes import ShapeError


@dataclass(frozen=True)
class Landing:
    """The folder of landing files of one source: `resource/region[/day]/read-date.jsonl.gz`."""

    folder: Path

    def file(self, resource: str, region: str, day: date | None, read: str) -> LandingFile:
        """The file of one resource, region and day, read on the date `read` (ISO)."""
        return LandingFile(self._partition(resource, region, day), read, resource, region, day)

    def reads(self, resource: str, region: str, day: date | None) -> set[str]:
        """The dates on which that partition was read, or began to be."""
        files = self._partition(resource, region, day).glob("*.jsonl.*")
        return {file.name.partition(".jsonl.")[0] for file in files}

    def regions(self, resource: str) -> set[str]:
        """The regions of which that resource was ever asked for."""
        return {folder.name for folder in (self.folder / resource).glob("*")}

    def _partition(self, resource: str, region: str, day: date | None) -> Path:
        folder = self.folder / resource / region
        return folder / day.isoformat() if day is not None else folder


class LandingFile:
    """The answers about one resource of one region and day, gathered or being gathered.

    `made` counts the questions that were put to the API, `saved` those already answered here, and
    `unknown` are the fields that were new in what came.
    """

    def __init__(
        self, folder: Path, read: str, resource: str, region: str, day: date | None
    ) -> None:
        self.path = folder / f"{read}.jsonl.gz"
        self.resource = resource
        self.unknown: set[str] = set()
        self.made = 0
        self.saved = 0
        self._part = folder / f"{read}.jsonl.part"
        self._rejected = folder / f"{read}.jsonl.part.rejected"
        self._envelope = {"region": region, "day": day.isoformat() if day else None}
        self._bodies: dict[str, Any] = {}
        self._writer: IO[bytes] | None = None
        self._lock = threading.Lock()

    @property
    def is_complete(self) -> bool:
        """Whether every answer is in; then the file never changes again."""
        return self.path.exists()

    def whole_answers(self) -> Path:
        """The file with all answers that are in, for a fetch that is over, whole or broken off."""
        if self.is_complete:
            return self.path
        self.open()
        self.close()
        return self._part

    def open(self) -> None:
        """Read what an earlier fetch gathered, and get ready for more unless it is complete."""
        if self.is_complete:
            with gzip.open(self.path) as stream:
                self._remember(stream)
            return
        self._part.parent.mkdir(parents=True, exist_ok=True)
        writer = self._part.open("ab+")
        writer.seek(0)
        # a kill can tear the last line only: cut it off, its question is asked again
        writer.truncate(self._remember(writer))
        self._writer = writer

    @property
    def bodies(self) -> list[Any]:
        """All answers that are in, in the order in which they came."""
        return list(self._bodies.values())

    def paths_with(self, sub_id: str) -> list[str]:
        """The questions whose answer lists that checklist."""
        return [
            path
            for path, rows in self._bodies.items()
            if any(row["subId"] == sub_id for row in rows)
        ]

    def ask(self, api: EbirdApi, path: str) -> Any:
        """The answer to one question: from this file if it is here, from the API otherwise.

        Raises `EbirdError`, and `ShapeError` for an answer that the contract cannot rest on; that
        one is not kept among the others, so it is asked for again, but put aside to be looked at.
        """
        if path in self._bodies:
            with self._lock:
                self.saved += 1
            return self._bodies[path]
        answer, unknown = self._checked(api, path)
        with self._lock:
            self.made += 1
            self.unknown |= unknown
            self._append(path, answer)
        return answer.body

    def ask_again(self, api: EbirdApi, path: str) -> Any:
        """What the API says now to a question whose first answer stays the one that is kept.

        Raises as `ask` does.
        """
        return self._checked(api, path)[0].body

    def complete(self) -> None:
        """Every answer is in: compress and move into place."""
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        temporary = self.path.with_name(self.path.name + ".tmp")
        with self._part.open("rb") as part, temporary.open("wb") as raw:
            # no name or time inside: the same answers give the same bytes
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as compressed:
                shutil.copyfileobj(part, compressed)
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(self.path)
        self._part.unlink()
        self.forget_rejected()

    def forget_rejected(self) -> None:
        """Remove the answer that was put aside: a better one has come since."""
        self._rejected.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop gathering; what is in stays for the next fetch."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _checked(self, api: EbirdApi, path: str) -> tuple[Answer, set[str]]:
        """An answer that the contract can rest on, and the fields in it that no shape knows."""
        answer = api.get(path)
        try:
            return answer, shapes.check(self.resource, answer.body)
        except ShapeError as error:
            self._rejected.write_text(answer.text, encoding="utf-8")
            msg = f"{api.url}/{path}: {error}; the answer is in {self._rejected}"
            raise ShapeError(msg) from None

    def _remember(self, stream: Any) -> int:
        end = 0
        for line in _whole_lines(stream):
            entry = json.loads(line)
            self._bodies[entry["path"]] = entry["body"]
            end += len(line)
        return end

    def _append(self, path: str, answer: Answer) -> None:
        if self._writer is None:
            msg = f"{self.path} is complete and holds no answer to {path}"
            raise RuntimeError(msg)
        read_at = answer.read_at.strftime("%Y-%m-%d %H:%M:%S")
        head = json.dumps({**self._envelope, "path": path, "read_at": read_at})
        # a line break outside a JSON string is white space, inside one it cannot be
        body = answer.text.replace("\r", " ").replace("\n", " ")
        self._writer.write(f'{head[:-1]}, "body": {body}}}\n'.encode())
        self._writer.flush()
        self._bodies[path] = answer.body


def _whole_lines(stream: Any) -> Iterator[bytes]:
    for line in stream:
        if not line.endswith(b"\n"):
            return
        yield line
