"""What goes over the wire: JSON, CSV, and eBird's kinds of error, with its headers.

Every answer of the API is made here, so that headers and error bodies stay alike. This module
must never decide which answer is due.
"""

import gzip
import json
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

JSON = "application/json;charset=utf-8"
CSV = "text/csv;charset=utf-8"
PLAIN = "text/plain;charset=utf-8"
_ALWAYS = {
    "cache-control": "no-cache, no-store, max-age=0, must-revalidate",
    "pragma": "no-cache",
    "expires": "0",
}
_WORTH_COMPRESSING = 50


class ApiError(Exception):
    """An answer that is an error: its status and the one entry of its body.

    One that is about a field says so in front of its title: ``Field dist of rawDataCmd: ...``.
    """

    def __init__(self, status: int, code: str, title: str, field: str | None = None) -> None:
        super().__init__(title)
        self.status = status
        self.code = code
        self.title = title
        self.field = field


def to_json(value: object) -> bytes:
    """The way eBird writes JSON: UTF-8, without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def reply(request: Request, body: bytes, content_type: str = JSON) -> Response:
    """An answer that is not an error."""
    headers = _headers(content_type if body else None)
    accepts = request.headers.get("accept-encoding", "")
    if len(body) >= _WORTH_COMPRESSING and "gzip" in accepts.lower():
        body = gzip.compress(body, compresslevel=1, mtime=0)
        headers["content-encoding"] = "gzip"
    return Response(body, headers=headers)


def json_reply(request: Request, value: object) -> Response:
    """An answer in JSON."""
    return reply(request, to_json(value))


def csv_text(rows: Iterable[Iterable[object]]) -> bytes:
    """Lines of CSV, quoted where they must be."""
    lines = (",".join(_cell(value) for value in row) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def error_reply(error: ApiError, command: str = "requestCmd") -> Response:
    """An error in eBird's form. ``command`` is its name for what the fields were read into."""
    # eBird names the reason of a bad request only; its other errors have the bare number.
    status = "400 BAD_REQUEST" if error.status == HTTPStatus.BAD_REQUEST else str(error.status)
    title = f"Field {error.field} of {command}: {error.title}" if error.field else error.title
    entry = {"status": status, "code": error.code, "title": title}
    body = to_json({"errors": [entry]})
    return Response(body, status_code=error.status, headers=_headers("application/json"))


def forbidden_reply() -> Response:
    """403 with nothing in it, not even a content type."""
    return Response(status_code=403, headers=_headers(None))


def no_endpoint(method: str, path: str) -> ApiError:
    """What an unknown path gets."""
    return ApiError(404, "http.status.404", f"No endpoint {method} {path}.")


def _headers(content_type: str | None) -> dict[str, str]:
    headers = {**_ALWAYS, "date": formatdate(usegmt=True)}
    if content_type:
        headers["content-type"] = content_type
    return headers


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    if any(mark in text for mark in ',"\n'):
        return '"' + text.replace('"', '""') + '"'
    return text
