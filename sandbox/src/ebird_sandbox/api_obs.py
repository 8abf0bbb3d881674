"""The ``data/obs`` endpoints: observations in a region, around a point, and on a past day."""

from starlette.requests import Request
from starlette.responses import Response

from ebird_sandbox import params, sightings
from ebird_sandbox.endpoints import Api, Endpoint
from ebird_sandbox.replies import json_reply
from ebird_sandbox.scopes import Circle, Scope, around, region_scope, union_scope
from ebird_sandbox.sightings import MOST_OBSERVATIONS, Filters, Sighting

_MOST_NEAREST = 3_000


def _filters(request: Request) -> Filters:
    return Filters(
        back=params.days_back(request, 14),
        categories=params.categories(request),
        hotspot=params.boolean(request, "hotspot"),
        provisional=params.boolean(request, "includeProvisional"),
    )


def _region(api: Api, request: Request, most_locations: int = 10) -> Scope:
    # With ``r`` the region in the path is not looked at: clients leave it empty or write "hotspot".
    codes = params.words_of(request, "r", most_locations)
    if codes:
        return union_scope(api.world, api.regions, codes)
    return region_scope(api.world, api.regions, request.path_params["r"])


def _circle(request: Request, default: float = 25, high: float = 50) -> Circle:
    return Circle(
        lat=params.decimal(request, "lat", -90, 90),
        lng=params.decimal(request, "lng", -180, 180),
        radius=params.distance(request, default, high),
    )


def _reply(
    api: Api, request: Request, found: list[Sighting], *, cap: int = MOST_OBSERVATIONS
) -> Response:
    wanted = found[: params.max_results(request, cap, cap)]
    views = api.views
    detail = params.choice(request, "detail", "simple", ("simple", "full"))
    form = views.full if detail == "full" else views.simple
    return json_reply(request, [form(sighting) for sighting in wanted])


def _sorted(request: Request, found: list[Sighting]) -> list[Sighting]:
    if params.choice(request, "sort", "date", ("date", "species")) == "species":
        return sorted(found, key=lambda one: one.observation.taxon.taxon_order)
    return found


def recent(api: Api, request: Request) -> Response:
    """Recent observations in a region."""
    filters = _filters(request)
    return _reply(api, request, sightings.recent(api.world, _region(api, request), filters))


def notable(api: Api, request: Request) -> Response:
    """Recent notable observations in a region."""
    filters = _filters(request)
    return _reply(api, request, sightings.notable(api.world, _region(api, request), filters))


def species(api: Api, request: Request) -> Response:
    """Recent observations of a species in a region."""
    filters = _filters(request)
    scope = _region(api, request)
    taxon = api.species(request.path_params["speciesCode"])
    found = sightings.recent_of_species(api.world, scope, filters, taxon)
    return _reply(api, request, found)


def historic(api: Api, request: Request) -> Response:
    """Observations on a date."""
    day = params.path_date(request)
    rank = params.choice(request, "rank", "mrec", ("mrec", "create"))
    scope = _region(api, request, most_locations=50)
    found = sightings.historic(
        api.world, scope, day, _filters(request), first_created=rank == "create"
    )
    return _reply(api, request, found)


def recent_nearby(api: Api, request: Request) -> Response:
    """Recent observations around a point."""
    filters = _filters(request)
    found = sightings.recent(api.world, around(api.world, _circle(request)), filters)
    return _reply(api, request, _sorted(request, found))


def notable_nearby(api: Api, request: Request) -> Response:
    """Recent notable observations around a point."""
    filters = _filters(request)
    found = sightings.notable(api.world, around(api.world, _circle(request)), filters)
    return _reply(api, request, found)


def species_nearby(api: Api, request: Request) -> Response:
    """Recent observations of a species around a point."""
    filters = _filters(request)
    scope = around(api.world, _circle(request))
    taxon = api.species(request.path_params["speciesCode"])
    found = sightings.recent_of_species(api.world, scope, filters, taxon)
    return _reply(api, request, found)


def nearest(api: Api, request: Request) -> Response:
    """The nearest places where a species was seen."""
    filters = _filters(request)
    circle = _circle(request, default=50)
    taxon = api.species(request.path_params["speciesCode"])
    scope = around(api.world, circle)
    found = sightings.nearest(api.world, scope, filters, taxon, circle)
    return _reply(api, request, found, cap=_MOST_NEAREST)


_HANDLERS = {
    "notable_nearby": ("/data/obs/geo/recent/notable", notable_nearby),
    "species_nearby": ("/data/obs/geo/recent/{speciesCode}", species_nearby),
    "recent_nearby": ("/data/obs/geo/recent", recent_nearby),
    "nearest": ("/data/nearest/geo/recent/{speciesCode}", nearest),
    "notable": ("/data/obs/{r}/recent/notable", notable),
    "species": ("/data/obs/{r}/recent/{speciesCode}", species),
    "recent": ("/data/obs/{r}/recent", recent),
    "historic": ("/data/obs/{r}/historic/{y}/{m}/{d}", historic),
}
ENDPOINTS = tuple(
    Endpoint(name, path, handler, command="rawDataCmd", many_days=True)
    for name, (path, handler) in _HANDLERS.items()
)
