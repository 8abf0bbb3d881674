"""What the running webserver shows of the workspace, by GraphQL: the host's own view of the code.

Its answer to a reload is not to be trusted (it names the new server and shows the old
definitions), so nothing here asks for one: the webserver and the daemon notice another server by
themselves, and this waits until they have.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, cast

import requests

_QUERY = """
query Workspace {
  version
  workspaceOrError {
    __typename
    ... on Workspace {
      locationEntries {
        name
        loadStatus
        displayMetadata { key value }
        locationOrLoadError {
          __typename
          ... on RepositoryLocation { serverId repositories { pipelines { name } } }
          ... on PythonError { message }
        }
      }
    }
    ... on PythonError { message }
  }
}
"""
_TIMEOUT_SECONDS = 30
_POLL_SECONDS = 0.3


class ViewError(Exception):
    """The webserver cannot be asked, or does not show what it should."""


@dataclass(frozen=True)
class Shown:
    """One location as the webserver shows it. `error` is set if it does not load."""

    name: str
    server_id: str | None
    image: str | None
    jobs: frozenset[str]
    error: str | None


def shown(url: str) -> tuple[str, dict[str, Shown]]:
    """The webserver's version of Dagster, and each location as it shows it.

    Raises `ViewError` if it cannot be asked.
    """
    try:
        answer = requests.post(
            f"{url}/graphql", json={"query": _QUERY}, timeout=_TIMEOUT_SECONDS
        ).json()
    except (requests.RequestException, ValueError) as error:
        msg = f"the webserver at {url} cannot be asked: {error}"
        raise ViewError(msg) from None
    data = cast("dict[str, Any]", answer.get("data") or {})
    workspace = data.get("workspaceOrError") or {}
    if "locationEntries" not in workspace:
        msg = f"the webserver at {url} shows no workspace: {workspace or answer.get('errors')}"
        raise ViewError(msg)
    found = [_shown(entry) for entry in workspace["locationEntries"]]
    return str(data["version"]), {location.name: location for location in found}


def wait_until_shown(
    url: str, location: str, *, server_id: str, image: str, jobs: frozenset[str], seconds: float
) -> None:
    """Wait until the webserver shows this server's code for the location.

    Raises `ViewError` with what it shows instead.
    """
    deadline = time.monotonic() + seconds
    while True:
        _, locations = shown(url)
        seen = locations.get(location)
        if seen and (seen.server_id, seen.image, seen.jobs) == (server_id, image, jobs):
            return
        if time.monotonic() > deadline:
            what = seen.error or f"{seen.image} of server {seen.server_id}" if seen else "nothing"
            msg = f"after {seconds:.0f} s the webserver still shows {what} for {location}"
            raise ViewError(msg)
        time.sleep(_POLL_SECONDS)


def _shown(entry: dict[str, Any]) -> Shown:
    found = entry["locationOrLoadError"] or {}
    metadata = {item["key"]: item["value"] for item in entry["displayMetadata"]}
    return Shown(
        name=entry["name"],
        server_id=found.get("serverId"),
        image=metadata.get("image"),
        jobs=frozenset(
            job["name"]
            for repository in found.get("repositories", [])
            for job in repository["pipelines"]
        ),
        error=found.get("message"),
    )
