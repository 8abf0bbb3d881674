"""Servers that take what Databox tells people: a webhook and a mailbox, on loopback."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest


class Webhook(BaseHTTPRequestHandler):
    texts: ClassVar[list[str]] = []
    status: ClassVar[int] = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.status == 200:
            self.texts.append(json.loads(body)["text"])
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its base's name
        pass


class Mailbox(socketserver.StreamRequestHandler):
    """Just enough of SMTP to take a message."""

    messages: ClassVar[list[str]] = []

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        lines: list[str] | None = None
        for raw in self.rfile:
            line = raw.decode().rstrip("\r\n")
            if lines is not None and line != ".":
                lines.append(line)
            elif lines is not None:
                self.messages.append("\n".join(lines))
                lines = None
                self.wfile.write(b"250 taken\r\n")
            elif line.upper().startswith("DATA"):
                lines = []
                self.wfile.write(b"354 go on\r\n")
            elif line.upper() == "QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


@contextmanager
def serving(server: socketserver.TCPServer) -> Generator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def webhook_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> Generator[type[Webhook]]:
    """A webhook with nothing in it yet, which the settings name."""
    Webhook.texts.clear()
    Webhook.status = 200
    with serving(HTTPServer(("127.0.0.1", 0), Webhook)) as port:
        monkeypatch.setenv("ALERT_WEBHOOK_URL", f"http://127.0.0.1:{port}/secret-path")
        yield Webhook
