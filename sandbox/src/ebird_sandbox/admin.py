"""The admin side: the clock, changes to the world, faults, the request log, and the truth.

It is not part of the eBird API and is there only if asked for. Every answer is JSON; a request
that makes no sense gets 400 with a sentence. This module must never be reachable by default.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date, datetime, time, timedelta
from typing import cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ebird_sandbox import edits
from ebird_sandbox.checklists import FIRST_DAY, LAST_DAY, Checklist
from ebird_sandbox.endpoints import Api, sub_number_of
from ebird_sandbox.faults import BadRuleError, Faults, from_mapping
from ebird_sandbox.places import Location
from ebird_sandbox.replies import ApiError
from ebird_sandbox.requestlog import RequestLog
from ebird_sandbox.scopes import region_scope
from ebird_sandbox.truth import truth_of_checklist
from ebird_sandbox.world import World

Said = Mapping[str, object]
Json = dict[str, object]
_MOST_AT_ONCE = 5_000


class Admin:
    """The handlers; each takes what was said and gives what is so now."""

    def __init__(self, api: Api, faults: Faults, log: RequestLog) -> None:
        self._api = api
        self._faults = faults
        self._log = log
        self._start = api.world.now

    @property
    def _world(self) -> World:
        return self._api.world

    def routes(self) -> list[Route]:
        """The paths of the admin side."""
        handlers: list[tuple[str, str, Callable[[Request, Said], Json]]] = [
            ("GET", "", self.state),
            ("POST", "/clock", self.clock),
            ("POST", "/reset", self.reset),
            ("GET", "/truth/{r}/{day}", self.truth),
            ("POST", "/checklists", self.submit),
            ("PATCH", "/checklists/{subId}", self.edit),
            ("DELETE", "/checklists/{subId}", self.delete),
            ("POST", "/reviews", self.review),
            ("POST", "/locations/{locId}/merge", self.merge),
            ("POST", "/locations/{locId}/rename", self.rename),
            ("POST", "/taxonomy/rollover", self.rollover),
            ("GET", "/faults", self.faults),
            ("POST", "/faults", self.add_faults),
            ("DELETE", "/faults", self.clear_faults),
            ("GET", "/requests", self.requests),
            ("DELETE", "/requests", self.clear_requests),
        ]
        return [
            Route(
                "/admin" + path,
                self._served(handler, of_the_world=path not in ("/faults", "/requests")),
                methods=[method],
            )
            for method, path, handler in handlers
        ]

    def state(self, _request: Request, _said: Said) -> Json:
        """What world this is, and where its clock stands."""
        world = self._world
        return {
            "seed": world.seed,
            "now": world.now.isoformat(timespec="minutes"),
            "today": world.today.isoformat(),
            "taxonomyVersion": world.taxonomy.version,
            "areas": {
                code: {"checklistsPerDay": here.area.checklists_per_day}
                for code, here in world.areas.items()
            },
        }

    def clock(self, request: Request, said: Said) -> Json:
        """Sets the clock (``now`` or ``today``) or advances it (``days``, ``hours``)."""
        moved = self._world.now
        if "today" in said:
            moved = datetime.combine(_day(said["today"]), moved.time())
        if "now" in said:
            moved = datetime.fromisoformat(str(said["now"])).replace(tzinfo=None)
        moved += timedelta(days=_number(said, "days"), hours=_number(said, "hours"))
        if not FIRST_DAY <= moved.date() <= LAST_DAY:
            message = f"the clock goes from {FIRST_DAY} to {LAST_DAY}"
            raise edits.ImpossibleError(message)
        self._world.move_to(moved)
        return self.state(request, said)

    def reset(self, request: Request, said: Said) -> Json:
        """Makes the world what it was at the start; faults and the log stay."""
        areas = [here.area for here in self._world.areas.values()]
        self._api.world = World(self._world.seed, self._start, areas)
        return self.state(request, said)

    def truth(self, request: Request, _said: Said) -> Json:
        """The present truth of a day: every checklist that is there, with its observations."""
        code, day = request.path_params["r"], _day(request.path_params["day"])
        scope = region_scope(self._world, self._api.regions, code)
        known = sorted(scope.known(self._world, day), key=lambda checklist: checklist.number)
        checklists = [truth_of_checklist(self._world, checklist) for checklist in known]
        return {"region": code, "day": day.isoformat(), "checklists": checklists}

    def submit(self, _request: Request, said: Said) -> Json:
        """Submits checklists now for a day: ``region``, ``day``, ``number`` or ``observations``."""
        number = int(_number(said, "number", 1))
        if not 1 <= number <= _MOST_AT_ONCE:
            message = f"number is between 1 and {_MOST_AT_ONCE}"
            raise edits.ImpossibleError(message)
        counts = _counts(said, "observations") if "observations" in said else None
        region, day = str(said.get("region")), _day(said.get("day"))
        made = edits.submit(self._world, region, day, number, counts)
        return {"submitted": [checklist.sub_id for checklist in made]}

    def edit(self, request: Request, said: Said) -> Json:
        """Edits a checklist: ``counts`` (null is X) changes and adds, ``remove`` withdraws."""
        removed = said.get("remove", [])
        if not isinstance(removed, list):
            message = "remove is a list of species codes"
            raise edits.ImpossibleError(message)
        codes = [str(code) for code in cast("list[object]", removed)]
        checklist = edits.edit(
            self._world, self._checklist(request), _counts(said, "counts"), codes
        )
        return truth_of_checklist(self._world, checklist)

    def delete(self, request: Request, _said: Said) -> Json:
        """Deletes a checklist."""
        checklist = self._checklist(request)
        edits.delete(self._world, checklist)
        return {"deleted": checklist.sub_id}

    def review(self, _request: Request, said: Said) -> Json:
        """Confirms or rejects an observation: ``obsId``, ``accepted``."""
        obs_id, accepted = str(said.get("obsId")), said.get("accepted")
        if not isinstance(accepted, bool) or not obs_id[3:].isdecimal():
            message = "obsId is an observation's key, accepted is true or false"
            raise edits.ImpossibleError(message)
        edits.review(self._world, int(obs_id[3:]), accepted=accepted)
        return {"obsId": obs_id, "accepted": accepted}

    def merge(self, request: Request, said: Said) -> Json:
        """Merges a location into the hotspot ``into``."""
        source = self._location(request.path_params["locId"])
        target = self._location(str(said.get("into")))
        edits.merge(self._world, source, target)
        return {"merged": source.loc_id, "into": target.loc_id}

    def rename(self, request: Request, said: Said) -> Json:
        """Gives a location the ``name``."""
        location = self._location(request.path_params["locId"])
        name = str(said.get("name") or "").strip()
        if not name:
            message = "a location needs a name"
            raise edits.ImpossibleError(message)
        edits.rename(self._world, location, name)
        return {"locId": location.loc_id, "name": name}

    def rollover(self, request: Request, said: Said) -> Json:
        """Brings in next year's taxonomy."""
        edits.roll_over(self._world)
        return self.state(request, said)

    def faults(self, _request: Request, _said: Said) -> Json:
        """The fault rules in force."""
        return {"faults": [asdict(rule) for rule in self._faults.rules]}

    def add_faults(self, request: Request, said: Said) -> Json:
        """Puts one rule in force, or several under ``faults``."""
        rules = said.get("faults", [said])
        if not isinstance(rules, list):
            message = "faults is a list of rules"
            raise BadRuleError(message)
        made = [from_mapping(_mapping(rule)) for rule in cast("list[object]", rules)]
        for rule in made:
            self._faults.add(rule)
        return self.faults(request, said)

    def clear_faults(self, request: Request, said: Said) -> Json:
        """Takes all rules out of force."""
        self._faults.clear()
        return self.faults(request, said)

    def requests(self, request: Request, _said: Said) -> Json:
        """What was asked so far; with ``?log=true``, each of the latest requests too."""
        log = self._log
        found: Json = {
            "total": log.total,
            "byEndpoint": dict(log.by_endpoint),
            "byStatus": dict(log.by_status),
        }
        if request.query_params.get("log", "").lower() == "true":
            found["requests"] = [asdict(asked) for asked in log.latest]
        return found

    def clear_requests(self, request: Request, said: Said) -> Json:
        """Forgets what was asked."""
        self._log.clear()
        return self.requests(request, said)

    def _served(
        self, handler: Callable[[Request, Said], Json], *, of_the_world: bool
    ) -> Callable[[Request], object]:
        async def answer(request: Request) -> Response:
            try:
                body = await request.body()
                said = _mapping(json.loads(body)) if body else {}
                if not of_the_world:
                    return JSONResponse(handler(request, said))
                loop, worker = asyncio.get_running_loop(), self._api.worker
                return JSONResponse(await loop.run_in_executor(worker, handler, request, said))
            except (ValueError, TypeError, OverflowError) as error:
                return JSONResponse({"error": str(error)}, status_code=400)
            except ApiError as error:
                return JSONResponse({"error": error.title}, status_code=400)

        return answer

    def _checklist(self, request: Request) -> Checklist:
        sub_id = request.path_params["subId"]
        found = self._world.checklist(sub_number_of(sub_id))
        if found is None:
            message = f"there is no checklist {sub_id}"
            raise edits.ImpossibleError(message)
        return found

    def _location(self, loc_id: str) -> Location:
        found = self._world.location(int(loc_id[1:])) if loc_id[1:].isdecimal() else None
        if found is None:
            message = f"there is no location {loc_id}"
            raise edits.ImpossibleError(message)
        return found


def _mapping(value: object) -> Said:
    if not isinstance(value, dict):
        message = "the body is a JSON object"
        raise edits.ImpossibleError(message)
    return cast("dict[str, object]", value)


def _day(value: object) -> date:
    return datetime.combine(date.fromisoformat(str(value)), time()).date()


def _number(said: Said, name: str, default: float = 0) -> float:
    value = said.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        message = f"{name} is a number"
        raise edits.ImpossibleError(message)
    return value


def _counts(said: Said, name: str) -> dict[str, int | None]:
    counts = _mapping(said.get(name, {}))
    found: dict[str, int | None] = {}
    for code, count in counts.items():
        if count is not None and (isinstance(count, bool) or not isinstance(count, int)):
            message = f"the count of {code} is a whole number or null"
            raise edits.ImpossibleError(message)
        found[code] = count
    return found
