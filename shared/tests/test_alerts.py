"""Alerts go where the settings say, and never with a secret in a text."""

import socketserver

import pytest
from receivers import Mailbox, serving

from databox_shared.alerts import AlertError, send_alert
from databox_shared.settings import load_settings


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
