"""The ``product`` endpoints: checklists, totals, leaders and species lists."""

from starlette.requests import Request
from starlette.responses import Response

from ebird_sandbox import params, totals
from ebird_sandbox.endpoints import Api, Endpoint, no_checklist, sub_number_of
from ebird_sandbox.replies import ApiError, json_reply
from ebird_sandbox.rows import leader
from ebird_sandbox.scopes import Scope, region_scope
from ebird_sandbox.totals import MOST_CHECKLISTS

_VIEW = "checklistBySubIdCmd"


def _region(api: Api, request: Request) -> Scope:
    return region_scope(api.world, api.regions, request.path_params["r"])


def lists_recent(api: Api, request: Request) -> Response:
    """The most recently submitted checklists of a region."""
    wanted = params.max_results(request, 10, MOST_CHECKLISTS)
    found = totals.recent_lists(api.world, _region(api, request), wanted)
    return json_reply(request, [api.views.feed_entry(checklist) for checklist in found])


def lists(api: Api, request: Request) -> Response:
    """The checklists of a date; more than 200 are cut, and nothing says so."""
    day = params.path_date(request)
    wanted = params.max_results(request, 10, MOST_CHECKLISTS)
    key = params.choice(request, "sortKey", "obs_dt", ("obs_dt", "creation_dt"))
    scope = _region(api, request)
    found = totals.lists_of_day(api.world, scope, day, by_creation=key == "creation_dt")
    return json_reply(request, [api.views.feed_entry(checklist) for checklist in found[:wanted]])


def checklist(api: Api, request: Request) -> Response:
    """One checklist."""
    found = api.world.checklist(sub_number_of(request.path_params["subId"]))
    if found is None:
        raise no_checklist()
    return json_reply(request, api.views.checklist(found))


def stats(api: Api, request: Request) -> Response:
    """The control totals of a date."""
    found = totals.stats(api.world, _region(api, request), params.path_date(request))
    return json_reply(
        request,
        {
            "numChecklists": found.num_checklists,
            "numContributors": found.num_contributors,
            "numSpecies": found.num_species,
        },
    )


def top100(api: Api, request: Request) -> Response:
    """The leaders of a date."""
    day = params.path_date(request)
    ranked_by = params.choice(request, "rankedBy", "spp", ("spp", "cl"))
    wanted = params.max_results(request, 100, 100)
    scope = _region(api, request)
    if scope.kind == "subnational2":
        title = "A country, subnational1 or location code is wanted."
        raise ApiError(400, "methodInvocation", title, "regionCode")
    found = totals.top100(api.world, scope, day, by_checklists=ranked_by == "cl", wanted=wanted)
    return json_reply(request, [leader(row) for row in found])


def spplist(api: Api, request: Request) -> Response:
    """The species ever seen in a region."""
    return json_reply(request, totals.species_list(api.world, _region(api, request)))


ENDPOINTS = (
    Endpoint("lists", "/product/lists/{r}/{y}/{m}/{d}", lists, command="recListsCmd"),
    Endpoint(
        "lists_recent", "/product/lists/{r}", lists_recent, command="recListsCmd", many_days=True
    ),
    Endpoint("checklist", "/product/checklist/view/{subId}", checklist, command=_VIEW),
    Endpoint("stats", "/product/stats/{r}/{y}/{m}/{d}", stats),
    Endpoint("top100", "/product/top100/{r}/{y}/{m}/{d}", top100),
    Endpoint("spplist", "/product/spplist/{r}", spplist, command="sppListCmd", many_days=True),
)
