"""One sandbox process for the tests that ask over real HTTP, and one world for the others."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
import requests

from ebird_sandbox.process import Sandbox, running_sandbox
from ebird_sandbox.world import World, today_at_noon

TODAY = date(2026, 5, 20)
KEY = {"X-eBirdApiToken": "any"}


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(today=TODAY, seed=7) as running:
        yield running


@pytest.fixture(scope="session")
def ask(sandbox: Sandbox) -> Callable[..., Any]:
    """Asks for a path with a key and gives the JSON of the answer."""

    def get(path: str, **query: object) -> Any:
        parameters = {name: str(value) for name, value in query.items()}
        answer = requests.get(sandbox.url + path, params=parameters, headers=KEY, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return get


@pytest.fixture(scope="session")
def world() -> World:
    return World(7, today_at_noon(TODAY))
