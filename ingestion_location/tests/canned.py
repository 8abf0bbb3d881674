"""A small HTTP server whose answers a test decides, one request at a time."""

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """One answer; a body that is not text is sent as JSON, and None hangs up."""

    body: Any = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass
class Canned:
    """The running server: `requests` are the paths asked for, with their query."""

    port: int
    requests: list[str]
    headers: list[dict[str, str]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v2"


@contextmanager
def canned_api(answer: Callable[[str], Reply | None], port: int = 0) -> Generator[Canned]:
    """Answer every GET below `/v2/` with what `answer` makes of its path and query."""
    canned = Canned(port, [], [])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.removeprefix("/v2/")
            canned.requests.append(path)
            canned.headers.append(dict(self.headers))
            reply = answer(path)
            if reply is None:
                self.close_connection = True
                return
            body = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        canned.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield canned
        finally:
            server.shutdown()
            thread.join()
