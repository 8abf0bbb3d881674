"""Alerts go where the settings say, and never with a secret in a text."""

import socketserver
import ssl
from unittest import mock

import pytest
from receivers import Mailbox, serving, webhook_of_the_settings

from databox_shared.alerts import AlertError, send_alert
from databox_shared.settings import load_settings


def _smtp(connect: mock.MagicMock) -> mock.MagicMock:
    return connect.return_value.__enter__.return_value


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


def test_a_webhook_that_is_broken_stops_no_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    Mailbox.messages.clear()
    monkeypatch.setenv("ALERT_WEBHOOK_URL", "http://127.0.0.1:9/secret-path")
    with serving(socketserver.TCPServer(("127.0.0.1", 0), Mailbox)) as port:
        monkeypatch.setenv("ALERT_EMAIL", "team@example.org")
        monkeypatch.setenv("ALERT_SMTP_URL", f"smtp://127.0.0.1:{port}")
        send_alert(load_settings(), "What happened")
    assert len(Mailbox.messages) == 1


def test_what_a_webhook_took_is_delivered_whatever_becomes_of_the_mail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALERT_EMAIL", "team@example.org")
    monkeypatch.setenv("ALERT_SMTP_URL", "smtp://127.0.0.1:9")
    with webhook_of_the_settings(monkeypatch) as webhook:
        send_alert(load_settings(), "What happened")
    assert webhook.texts == ["What happened"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/secret path", "http://127.0.0.1:9x/secret"])
def test_an_address_that_cannot_be_asked_is_not_repeated_either(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("ALERT_WEBHOOK_URL", url)
    with pytest.raises(AlertError) as raised:
        send_alert(load_settings(), "text")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_password_is_given_only_to_a_server_that_is_known(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("ALERT_EMAIL", "team@example.org")
    monkeypatch.setenv("ALERT_SMTP_URL", f"{scheme}://user:password@mail.example.org:465")
    with mock.patch("smtplib.SMTP") as plain, mock.patch("smtplib.SMTP_SSL") as encrypted:
        send_alert(load_settings(), "What happened")
    asked = encrypted.call_args if scheme == "smtps" else _smtp(plain).starttls.call_args
    context = asked.kwargs["context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_failure_to_deliver_does_not_repeat_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_WEBHOOK_URL", "http://127.0.0.1:9/secret-path")
    with pytest.raises(AlertError) as raised:
        send_alert(load_settings(), "text")
    assert "secret-path" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
