"""Where a webserver is found, and who else can reach it: Dagster asks nobody for a login."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address

_EVERY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def own_url(address: str, port: int) -> str:
    """Where a browser of this machine finds what listens at an address."""
    # what listens on every address has none itself
    name = _EVERY.get(address, address)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def open_warning(address: str, port: int) -> str | None:
    """A sentence for who lets others in; None if only this machine can reach the UI."""
    with suppress(ValueError):
        if ip_address(address).is_loopback:
            return None
    if address == "localhost":
        return None
    return (
        f"Warning: whoever can reach port {port} of this machine can start and stop everything "
        f"here without a login; listen on 127.0.0.1 and put a proxy that asks for one before it"
    )
