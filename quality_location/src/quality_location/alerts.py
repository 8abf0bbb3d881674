"""Tells people that a check has begun to fail: in the log, and where the settings say.

Once per incident, which the history keeps track of, not once per run. An alert that cannot be
delivered changes nothing about data or release: it is said in the log and tried again by the next
run. The addresses hold secrets and are never repeated.
"""

import json
import smtplib
import urllib.request
from collections.abc import Sequence
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from databox_shared.settings import Settings
from quality_location.history import Incident

_TIMEOUT_SECONDS = 10


class AlertError(Exception):
    """An alert was not delivered. The text names the way, not the address."""


def alert_text(incidents: Sequence[Incident]) -> str:
    """What happened, where, in which run, and who looks after it."""
    lines = [
        f"{incident.table}: {incident.check}: {incident.reason} "
        f"(run {incident.run_id[:8]}, {incident.owner})"
        for incident in incidents
    ]
    return "\n".join(["Databox withholds its release; the last good one stays.", *lines])


def send_alert(settings: Settings, text: str) -> None:
    """Deliver a text by the ways that the settings name, if any. Raises `AlertError`."""
    try:
        if settings.alert_webhook_url:
            _post(settings.alert_webhook_url.get_secret_value(), text)
        if settings.alert_email and settings.alert_smtp_url:
            _mail(settings.alert_email, settings.alert_smtp_url.get_secret_value(), text)
    except (OSError, ValueError, smtplib.SMTPException) as error:
        # no chaining: an error of these libraries can repeat the address
        msg = f"the alert was not delivered ({type(error).__name__}); the next run tries again"
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
