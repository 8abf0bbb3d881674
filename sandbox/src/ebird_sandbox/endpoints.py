"""What an endpoint is: a path, a handler, whether it asks for a key, and what it shares.

This module holds the vocabulary that the endpoint modules are written in; no endpoint is here.
"""

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from ebird_sandbox.regions import Regions
from ebird_sandbox.replies import ApiError
from ebird_sandbox.taxonomy import Taxon
from ebird_sandbox.views import Views
from ebird_sandbox.world import World


@dataclass
class Api:
    """What every handler works on."""

    world: World
    regions: Regions = field(default_factory=Regions)
    worker: Executor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=1))
    """One thread, in which the world is changed and long answers are made, one after the other."""

    @property
    def views(self) -> Views:
        """The JSON forms of what is in the world."""
        return Views(self.world, self.regions)

    def species(self, code: str) -> Taxon:
        """A taxon of the present taxonomy."""
        taxon = self.world.taxonomy.by_code.get(code)
        if taxon is None:
            raise ApiError(400, "error.data.unknown_species", f"Unknown species: {code}", "sci")
        return taxon


@dataclass(frozen=True)
class Endpoint:
    """One operation of the API."""

    name: str
    path: str
    handler: Callable[[Api, Request], Response]
    needs_key: bool = True
    command: str = "requestCmd"
    """What eBird calls that which it reads the parameters into; errors about a field name it."""
    many_days: bool = False
    """Whether an answer may need many days, so that it is made by the worker: others go on."""


def sub_number_of(sub_id: str) -> int:
    """The number in a checklist's key."""
    if sub_id[:1] != "S" or not sub_id[1:].isascii() or not sub_id[1:].isdigit():
        raise no_checklist()
    return int(sub_id[1:20])


def no_checklist() -> ApiError:
    """The error of a key that is no checklist's, or no longer."""
    return ApiError(400, "Pattern", "subId is invalid.", "subId")
