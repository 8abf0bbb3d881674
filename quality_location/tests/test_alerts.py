"""Alerts: said once per incident, where the settings say, and never with a secret in a text."""

import json
import socketserver
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest

from databox_shared.settings import load_settings
from quality_location.alerts import AlertError, send_alert

if TYPE_CHECKING:
    from .conftest import World


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


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Webhook]]:
    Webhook.texts.clear()
    Webhook.status = 200
    with serving(HTTPServer(("127.0.0.1", 0), Webhook)) as port:
        monkeypatch.setenv("ALERT_WEBHOOK_URL", f"http://127.0.0.1:{port}/secret-path")
        yield Webhook


def test_an_incident_is_told_once_and_again_when_it_comes_back(
    released_world: "World", webhook: type[Webhook]
) -> None:
    world = released_world
    for birds in (-7, -8, 7, -9):
        world.run_sql(
            "transform", f"UPDATE stored.ebird__species_daily SET birds_counted = {birds}"
        )
        world.publish()
        result = world.check()
    assert len(webhook.texts) == 2
    assert "ebird.species_daily: values: 6 of 6 rows fail" in webhook.texts[0]
    assert f"(run {result.run_id[:8]}, team:transform)" in webhook.texts[1]


def test_an_alert_that_cannot_be_delivered_is_tried_again_and_stops_nothing(
    released_world: "World", webhook: type[Webhook]
) -> None:
    world = released_world
    world.run_sql("transform", "UPDATE stored.ebird__species_daily SET birds_counted = -7")
    world.publish()
    webhook.status = 500
    assert world.check().success
    assert webhook.texts == []
    webhook.status = 200
    world.check()
    world.check()
    assert len(webhook.texts) == 1


def test_a_warning_alone_is_no_alert(world: "World", webhook: type[Webhook]) -> None:
    world.run_sql("ingestion", "UPDATE stored.ebird_raw__region_stats SET num_checklists = 400")
    world.publish()
    world.check()
    assert webhook.texts == []


def test_a_mail_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    Mailbox.messages.clear()
    with serving(socketserver.TCPServer(("127.0.0.1", 0), Mailbox)) as port:
        monkeypatch.setenv("ALERT_EMAIL", "team@example.org")
        monkeypatch.setenv("ALERT_SMTP_URL", f"smtp://127.0.0.1:{port}")
        send_alert(load_settings(), "What happened\nwhere it happened")
    [message] = Mailbox.messages
    assert "Subject: What happened" in message
    assert "To: team@example.org" in message
    assert "where it happened" in message


def test_a_failure_to_deliver_does_not_repeat_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_WEBHOOK_URL", "http://127.0.0.1:9/secret-path")
    with pytest.raises(AlertError) as raised:
        send_alert(load_settings(), "text")
    assert "secret-path" not in str(raised.value)
    assert raised.value.__cause__ is None
