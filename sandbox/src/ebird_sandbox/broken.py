"""Answers that are wrong on purpose: statuses, hangs, cut and slow bodies, and odd JSON.

Everything here breaks an answer that was right. This module must never break one by itself: it
does what a ``Hit`` says.
"""

import asyncio
import csv
import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.client import responses
from io import StringIO
from time import perf_counter
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ebird_sandbox.faults import Hit
from ebird_sandbox.replies import ApiError, csv_text, error_reply, to_json

_EMPTY_STATUSES = (403, 410)
_CHUNKS = 10


def failure(hit: Hit) -> Response | None:
    """The answer, if it does not depend on what would have been right."""
    if hit.kind == "hang":
        return Hanging(hit.seconds)
    if hit.kind == "empty":
        return Response(b"", headers={"content-type": "application/json;charset=utf-8"})
    if not hit.kind.isdecimal():
        return None
    status = int(hit.kind)
    if status in _EMPTY_STATUSES:
        return Response(status_code=status)
    title = responses.get(status, "Error")
    answer = error_reply(ApiError(status, f"http.status.{status}", title))
    retry_after = _retry_after(hit)
    if retry_after and status in (429, 503):
        answer.headers["retry-after"] = retry_after
    return answer


def broken(hit: Hit, right: Response) -> Response:
    """A right answer, broken."""
    if hit.kind == "clock-skew":
        skewed = datetime.now(UTC) + timedelta(seconds=hit.seconds)
        right.headers["date"] = format_datetime(skewed, usegmt=True)
        return right
    if hit.kind == "late":
        return Late(right, hit.since + hit.seconds)
    if hit.kind in ("slow", "cut"):
        return Dribbling(right, hit.seconds if hit.kind == "slow" else 0, hit.kind == "cut")
    body = bytes(right.body)
    headers = dict(right.headers)
    if headers.pop("content-encoding", None):
        body = gzip.decompress(body)
    headers.pop("content-length", None)
    is_csv = headers.get("content-type", "").startswith(("text/csv", "text/plain"))
    other = _changed_csv if is_csv else _changed_json
    change = _invalid if hit.kind == "invalid-json" else other
    return Response(change(hit, body), status_code=right.status_code, headers=headers)


class Hanging(Response):
    """Says nothing for a while, then hangs up."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Waits until the time is over or the other side has gone."""
        gone = asyncio.ensure_future(_disconnected(receive))
        await asyncio.wait([gone], timeout=self._seconds)
        gone.cancel()
        # Promised and not sent: the server closes the connection, as it would not without a start.
        headers = [(b"content-length", b"1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


class Late(Response):
    """A right answer that lets itself be waited for, as one from far away does."""

    def __init__(self, right: Response, due: float) -> None:
        super().__init__(status_code=right.status_code)
        self._right = right
        self._due = due

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Waits until it is due, then answers."""
        await asyncio.sleep(max(0.0, self._due - perf_counter()))
        await self._right(scope, receive, send)


class Dribbling(Response):
    """Sends a body slowly, or only the first half of it."""

    def __init__(self, right: Response, seconds: float, cut: bool) -> None:
        super().__init__(bytes(right.body), right.status_code)
        self.raw_headers = right.raw_headers
        self._seconds = seconds
        self._cut = cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Sends what it sends; a cut body ends without an end."""
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        body = bytes(self.body)
        size = max(1, len(body) // _CHUNKS)
        pieces = [body[i : i + size] for i in range(0, len(body), size)]
        for piece in pieces[: len(pieces) // 2] if self._cut else pieces:
            await asyncio.sleep(self._seconds / _CHUNKS)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        if not self._cut:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _retry_after(hit: Hit) -> str:
    said = hit.fault.retry_after
    if said == "date":
        return format_datetime(datetime.now(UTC) + timedelta(seconds=6), usegmt=True)
    return "" if said == "none" else said


def _invalid(_hit: Hit, body: bytes) -> bytes:
    return body[: max(1, len(body) * 2 // 3)] + b"<html>"


def _changed_json(hit: Hit, body: bytes) -> bytes:
    try:
        value: object = json.loads(body)
    except ValueError:
        return body
    if isinstance(value, list) and value and isinstance(value[0], str):
        return to_json(_changed_codes(hit.kind, cast("list[str]", value)))
    name = hit.fault.field or _some_field(value, hit.luck)
    match hit.kind:
        case "unknown-field":
            _in_rows(value, lambda row: row.update({"sandboxField": {"new": True}}))
        case "missing-field":
            _in_rows(value, lambda row: row.pop(name, None))
        case _:
            _in_rows(value, lambda row: _retype(row, name))
    return to_json(value)


def _changed_codes(kind: str, codes: list[str]) -> list[object]:
    """What the same faults do to a list of bare codes, which have no fields."""
    match kind:
        case "unknown-field":
            return [*codes, {"sandboxField": {"new": True}}]
        case "missing-field":
            return [None, *codes[1:]]
        case _:
            return [{"value": code} for code in codes]


def _changed_csv(hit: Hit, body: bytes) -> bytes:
    rows = list(csv.reader(StringIO(body.decode())))
    column = int(hit.luck * 1e6) % len(rows[0]) if rows else 0
    for row in rows:
        match hit.kind:
            case "unknown-field":
                row.append("sandboxField")
            case "missing-field":
                del row[column]
            case _:
                row[column] = f"value={row[column]}"
    return csv_text(rows)


def _some_field(value: object, luck: float) -> str:
    row = value[0] if isinstance(value, list) and value else value
    names = sorted(row) if isinstance(row, dict) else []
    return str(names[int(luck * 1e6) % len(names)]) if names else ""


def _retype(row: dict[str, object], name: str) -> None:
    if name in row:
        old = row[name]
        row[name] = {"value": old} if isinstance(old, str) else str(old)


def _in_rows(value: object, change: Callable[[dict[str, object]], object]) -> None:
    """Changes every object, however deep: a field is asked for by its name alone."""
    if isinstance(value, list):
        for item in value:
            _in_rows(item, change)
    elif isinstance(value, dict):
        for item in list(value.values()):
            _in_rows(item, change)
        change(value)
