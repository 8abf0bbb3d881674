"""The ``ref`` endpoints: regions, hotspots and the taxonomy."""

from starlette.requests import Request
from starlette.responses import Response

from ebird_sandbox import params, replies, rows, totals
from ebird_sandbox.endpoints import Api, Endpoint
from ebird_sandbox.older_taxonomy import older_taxonomy
from ebird_sandbox.regions import TYPES, type_of
from ebird_sandbox.replies import ApiError, json_reply, reply
from ebird_sandbox.scopes import Circle, Scope, around, region_scope, unknown_region
from ebird_sandbox.taxonomy import ROLLOVER_VERSION, VERSIONS, Taxonomy, load

_NAME_FORMATS = ("detailed", "detailednoqual", "full", "namequal", "nameonly", "revdetailed")
_HOTSPOT = "refHotspotCmd"
_HAWKS, _FALCONS = "Hawks, Eagles, and Kites", "Falcons and Caracaras"
_FORMATS = ("csv", "json")
# The names are in English whatever is asked for, so only its variants are offered.
_LOCALES = (
    ("en", "English"),
    ("en_AU", "English (Australia)"),
    ("en_IN", "English (India)"),
    ("en_UK", "English (United Kingdom)"),
    ("en_US", "English (United States)"),
)
_LOCALES_UPDATED = "2025-10-28 09:00"


def region_list(api: Api, request: Request) -> Response:
    """The regions of a type in a region, or in the world."""
    kind = request.path_params["regionType"].lower()
    if kind not in TYPES:
        params.refuse_field("regionType", "Pattern", "regionType is invalid.")
    found = api.regions.within(kind, request.path_params["parent"])
    if params.choice(request, "fmt", "json", _FORMATS) == "csv":
        lines = [("REGION_CODE", "REGION_NAME"), *((r.code, r.name) for r in found)]
        return reply(request, replies.csv_text(lines), replies.CSV)
    return json_reply(request, [{"code": r.code, "name": r.name} for r in found])


def region_info(api: Api, request: Request) -> Response:
    """Name and bounds of a region."""
    code = request.path_params["r"]
    form = params.choice(request, "regionNameFormat", "full", _NAME_FORMATS)
    delim = request.query_params.get("delim", ", ")
    location = api.world.location(int(code[1:])) if type_of(code) == "location" else None
    if location is not None:
        return json_reply(request, rows.location_info(api.regions, location, form, delim))
    region = api.regions.find(code)
    if region is None:
        title = f"No message found under code '{code}' for locale 'en_US'."
        raise ApiError(500, "http.status.500", title)
    return json_reply(request, rows.region_info(api.regions, region, form, delim))


def adjacent(api: Api, request: Request) -> Response:
    """The neighbours of a region."""
    code = request.path_params["r"]
    if api.regions.find(code) is None:
        raise unknown_region(code)
    found = api.regions.adjacent(code)
    return json_reply(request, [{"code": r.code, "name": r.name} for r in found])


def _hotspots(api: Api, request: Request, scope: Scope) -> Response:
    back = None
    if request.query_params.get("back", "").strip():
        back = params.days_back(request, 1)
    as_json = params.choice(request, "fmt", "csv", _FORMATS) == "json"
    found = totals.hotspots(api.world, scope, back)
    if as_json:
        return json_reply(request, [rows.hotspot_row(hotspot) for hotspot in found])
    lines = (rows.hotspot_csv_row(hotspot) for hotspot in found)
    return reply(request, replies.csv_text(lines), replies.CSV)


def hotspots(api: Api, request: Request) -> Response:
    """The hotspots of a region."""
    return _hotspots(api, request, region_scope(api.world, api.regions, request.path_params["r"]))


def hotspots_nearby(api: Api, request: Request) -> Response:
    """The hotspots around a point."""
    circle = Circle(
        lat=params.decimal(request, "lat", -90, 90),
        lng=params.decimal(request, "lng", -180, 180),
        radius=params.distance(request, 25, 500),
    )
    return _hotspots(api, request, around(api.world, circle))


def hotspot_info(api: Api, request: Request) -> Response:
    """One hotspot; nothing at all for a place that is private or unknown."""
    code = request.path_params["locId"]
    location = api.world.location(int(code[1:])) if type_of(code) == "location" else None
    if location is None or not location.is_hotspot:
        return reply(request, b"")
    return json_reply(request, api.views.hotspot_info(location))


def taxonomy(api: Api, request: Request) -> Response:
    """The taxa, all of them or some."""
    present = api.world.taxonomy
    version = request.query_params.get("version", "").strip() or "latest"
    versions = {str(v) for v in VERSIONS} | {f"{v:g}" for v in VERSIONS} | {"latest"}
    if version not in versions | {f"{present.version:g}", str(present.version)}:
        params.refuse_field("version", "Pattern", "version is invalid.")
    known = _of_version(present, version)
    categories = params.categories(request)
    # Asked for both, eBird looks at the categories alone.
    wanted = set() if categories else set(params.words_of(request, "species"))
    found = [
        taxon
        for taxon in known.taxa
        if (not categories or taxon.category in categories) and (not wanted or taxon.code in wanted)
    ]
    if params.choice(request, "fmt", "csv", _FORMATS) == "json":
        return json_reply(request, [rows.taxon_form(taxon) for taxon in found])
    lines = [rows.TAXON_HEADER, *(rows.taxon_csv_row(taxon) for taxon in found)]
    return reply(request, replies.csv_text(lines), replies.PLAIN)


def _of_version(present: Taxonomy, version: str) -> Taxonomy:
    """The taxonomy of a version; those before 2024 are told as that of 2024."""
    if version == "latest" or float(version) == present.version:
        return present
    return load() if float(version) == VERSIONS[0] else older_taxonomy()


def taxonomy_versions(api: Api, request: Request) -> Response:
    """The versions of the taxonomy, the latest first."""
    latest = api.world.taxonomy.version
    versions = (*([ROLLOVER_VERSION] if latest == ROLLOVER_VERSION else []), *VERSIONS)
    found = [{"authorityVer": version, "latest": version == latest} for version in versions]
    return json_reply(request, found)


def forms(api: Api, request: Request) -> Response:
    """The subspecies groups and forms of a species, and in the end itself."""
    taxon = api.species(request.path_params["speciesCode"])
    below = api.world.taxonomy.forms.get(taxon.code, [])
    codes = [t.code for t in below if t.category in ("issf", "form", "intergrade")]
    return json_reply(request, [*codes, taxon.code])


def taxa_locales(_api: Api, request: Request) -> Response:
    """The languages that common names are known in."""
    lines = [
        {"code": code, "name": name, "lastUpdate": _LOCALES_UPDATED} for code, name in _LOCALES
    ]
    return json_reply(request, lines)


def species_groups(api: Api, request: Request) -> Response:
    """Groups of like birds, here one for each family, with the span of their order."""
    grouping = request.path_params["grouping"].lower()
    if grouping not in ("merlin", "ebird"):
        params.refuse_field("speciesGrouping", "Pattern", "speciesGrouping is invalid.")
    spans: dict[str, list[int]] = {}
    for taxon in api.world.taxonomy.taxa:
        if taxon.family_com_name:
            spans.setdefault(taxon.family_com_name, []).append(taxon.taxon_order)
    names = list(spans)
    if grouping == "merlin":
        # Merlin puts like birds together, whatever their descent.
        names.remove(_FALCONS)
        names.insert(names.index(_HAWKS) + 1, _FALCONS)
    lines = [
        {
            "groupName": name,
            "groupOrder": order,
            "taxonOrderBounds": [[min(spans[name]), max(spans[name])]],
        }
        for order, name in enumerate(names, start=1)
    ]
    return json_reply(request, lines)


ENDPOINTS = (
    Endpoint("region_list", "/ref/region/list/{regionType}/{parent}", region_list),
    Endpoint("region_info", "/ref/region/info/{r}", region_info),
    Endpoint("adjacent", "/ref/adjacent/{r}", adjacent),
    Endpoint(
        "hotspots_nearby", "/ref/hotspot/geo", hotspots_nearby, False, _HOTSPOT, many_days=True
    ),
    Endpoint("hotspot_info", "/ref/hotspot/info/{locId}", hotspot_info, False, _HOTSPOT),
    Endpoint("hotspots", "/ref/hotspot/{r}", hotspots, False, _HOTSPOT, many_days=True),
    Endpoint("taxonomy", "/ref/taxonomy/ebird", taxonomy, needs_key=False),
    Endpoint("taxonomy_versions", "/ref/taxonomy/versions", taxonomy_versions, needs_key=False),
    Endpoint("forms", "/ref/taxon/forms/{speciesCode}", forms),
    Endpoint("taxa_locales", "/ref/taxa-locales/ebird", taxa_locales),
    Endpoint("species_groups", "/ref/sppgroup/{grouping}", species_groups, needs_key=False),
)
