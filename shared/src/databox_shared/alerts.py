"""Tells people where the settings say: an incoming webhook, or an e-mail.

What is told, and how often, is the caller's affair. An alert that cannot be delivered changes
nothing about data or runs: the caller says so in its log and tries again. The addresses hold
secrets and are never repeated.
"""

import json
import smtplib
import urllib.request
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from databox_shared.settings import Settings

_TIMEOUT_SECONDS = 10


class AlertError(Exception):
    """An alert was not delivered. The text names the way, not the address."""


def send_alert(settings: Settings, text: str) -> None:
    """Deliver a text by the ways that the settings name, if any. Raises `AlertError`."""
    try:
        if settings.alert_webhook_url:
            _post(settings.alert_webhook_url.get_secret_value(), text)
        if settings.alert_email and settings.alert_smtp_url:
            _mail(settings.alert_email, settings.alert_smtp_url.get_secret_value(), text)
    except (OSError, ValueError, smtplib.SMTPException) as error:
        # no chaining: an error of these libraries can repeat the address
        msg = f"the alert was not delivered ({type(error).__name__}); it is tried again"
        raise AlertError(msg) from None


def _post(url: str, text: str) -> None:
    request = urllib.request.Request(  # noqa: S310  the operator's own setting
        url,
        data=json.dumps({"text": text}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310  as above
        pass


def _mail(address: str, server: str, text: str) -> None:
    url = urlsplit(server)
    message = EmailMessage()
    message["Subject"], _, body = text.partition("\n")
    message["From"] = message["To"] = address
    message.set_content(body)
    connect = smtplib.SMTP_SSL if url.scheme == "smtps" else smtplib.SMTP
    with connect(url.hostname or "", url.port or 0, timeout=_TIMEOUT_SECONDS) as smtp:
        if url.username:
            if url.scheme != "smtps":
                smtp.starttls()
            smtp.login(unquote(url.username), unquote(url.password or ""))
        smtp.send_message(message)
