"""Tells people where the settings say: an incoming webhook, or an e-mail.

What is told, and how often, is the caller's affair. An alert that cannot be delivered changes
nothing about data or runs: the caller says so in its log and tries again. The addresses hold
secrets and are never repeated.
"""

import json
import smtplib
import ssl
import urllib.request
from collections.abc import Callable
from email.message import EmailMessage
from functools import partial
from http.client import HTTPException
from urllib.parse import unquote, urlsplit

from databox_shared.settings import Settings

_TIMEOUT_SECONDS = 10


class AlertError(Exception):
    """An alert was not delivered. The text names the way, not the address."""


def send_alert(settings: Settings, text: str) -> None:
    """Deliver a text by the ways that the settings name, if any.

    It is delivered if one of them took it: it would come again and again by that one while another
    is broken. Raises `AlertError` if none did.
    """
    ways: list[Callable[[], None]] = []
    if settings.alert_webhook_url:
        ways.append(partial(_post, settings.alert_webhook_url.get_secret_value(), text))
    if settings.alert_email and settings.alert_smtp_url:
        url = settings.alert_smtp_url.get_secret_value()
        ways.append(partial(_mail, settings.alert_email, url, text))
    failures: list[str] = []
    for deliver in ways:
        try:
            deliver()
        except (OSError, ValueError, HTTPException, smtplib.SMTPException) as error:
            failures.append(type(error).__name__)
    if failures and len(failures) == len(ways):
        # no chaining: an error of these libraries can repeat the address
        msg = f"the alert was not delivered ({', '.join(failures)}); it is tried again"
        raise AlertError(msg)


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
    host, port = url.hostname or "", url.port or 0
    # smtplib's own contexts do not ask who the server is, and it is given a password
    trusted = ssl.create_default_context()
    with (
        smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT_SECONDS, context=trusted)
        if url.scheme == "smtps"
        else smtplib.SMTP(host, port, timeout=_TIMEOUT_SECONDS)
    ) as smtp:
        if url.username:
            if url.scheme != "smtps":
                smtp.starttls(context=trusted)
            smtp.login(unquote(url.username), unquote(url.password or ""))
        smtp.send_message(message)
