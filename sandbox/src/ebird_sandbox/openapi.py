"""The API's description of itself, as an OpenAPI document.

Says what the sandbox does, corrected where the official description is known to be wrong. It is
made from one table, which has a row for every endpoint. This module must never promise a field
that an answer lacks.
"""

from collections.abc import Sequence

from ebird_sandbox.endpoints import Endpoint
from ebird_sandbox.regions import TYPES
from ebird_sandbox.taxonomy import CATEGORIES

Json = dict[str, object]
_STRING: Json = {"type": "string"}
_NUMBER: Json = {"type": "number"}
_INTEGER: Json = {"type": "integer"}
_BOOLEAN: Json = {"type": "boolean"}


def _whole(low: int, high: int, default: int | None = None) -> Json:
    schema: Json = {"type": "integer", "minimum": low, "maximum": high}
    return schema if default is None else schema | {"default": default}


def _one_of(*words: str, default: str | None = None) -> Json:
    schema: Json = {"type": "string", "enum": list(words)}
    return schema if default is None else schema | {"default": default}


def _flag() -> Json:
    return {"type": "boolean", "default": False}


def _rows(name: str) -> Json:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


_CODES: Json = {"type": "array", "items": {"type": "string"}}
_REGION: Json = {"type": "string", "pattern": "^([A-Z]{2}(-[A-Z0-9]{0,3}){0,2}|L[0-9]{1,12})$"}
_PATH: dict[str, Json] = {
    "r": _REGION,
    "parent": _STRING,
    "regionType": _one_of(*TYPES),
    "locId": _STRING,
    "subId": {"type": "string", "pattern": "^S[0-9]+$"},
    "speciesCode": {"type": "string", "pattern": "^[a-z0-9]{2,8}$"},
    "grouping": _one_of("merlin", "ebird"),
    "y": _whole(1800, 9999),
    "m": _whole(1, 12),
    "d": _whole(1, 31),
}
_LOCALE: Json = {"type": "string", "default": "en"}
_BACK = _whole(1, 30, 14)
_MOST = _whole(1, 10_000)
_COMMON: dict[str, Json] = {"back": _BACK, "hotspot": _flag(), "sppLocale": _LOCALE}
_SIMPLE_OR_FULL = _one_of("simple", "full", default="simple")
_OBS: dict[str, Json] = {**_COMMON, "maxResults": _MOST, "detail": _SIMPLE_OR_FULL}
_REVIEWED: dict[str, Json] = {"includeProvisional": _flag()}
_CATEGORY: dict[str, Json] = {"cat": _one_of(*CATEGORIES)}
_R: dict[str, Json] = {"r": {**_CODES, "maxItems": 10}}
_POINT: dict[str, Json] = {
    "lat!": {"type": "number", "minimum": -90, "maximum": 90},
    "lng!": {"type": "number", "minimum": -180, "maximum": 180},
    "dist": _whole(0, 50, 25),
}
_FORMAT: dict[str, Json] = {"fmt": _one_of("csv", "json", default="csv")}
_LISTS: dict[str, Json] = {"maxResults": _whole(1, 200, 10)}

# For each endpoint: its query parameters (with ! those that must be given), what a 200 holds,
# and the content type of its CSV, if it has any.
_OPERATIONS: dict[str, tuple[dict[str, Json], Json, str | None]] = {
    "recent": ({**_OBS, **_REVIEWED, **_CATEGORY, **_R}, _rows("Observation"), None),
    "notable": ({**_OBS, **_R}, _rows("Observation"), None),
    "species": ({**_OBS, **_REVIEWED, **_R}, _rows("Observation"), None),
    "historic": (
        {
            **_OBS,
            **_REVIEWED,
            **_CATEGORY,
            "r": {**_CODES, "maxItems": 50},
            "rank": _one_of("mrec", "create", default="mrec"),
        },
        _rows("Observation"),
        None,
    ),
    "recent_nearby": (
        {
            **_POINT,
            **_OBS,
            **_REVIEWED,
            **_CATEGORY,
            "sort": _one_of("date", "species", default="date"),
        },
        _rows("Observation"),
        None,
    ),
    "notable_nearby": ({**_POINT, **_OBS}, _rows("Observation"), None),
    "species_nearby": ({**_POINT, **_OBS, **_REVIEWED}, _rows("Observation"), None),
    "nearest": (
        {**_POINT, **_OBS, **_REVIEWED, "dist": _whole(0, 50, 50), "maxResults": _whole(1, 3000)},
        _rows("Observation"),
        None,
    ),
    "lists": (
        {**_LISTS, "sortKey": _one_of("obs_dt", "creation_dt", default="obs_dt")},
        _rows("ChecklistEntry"),
        None,
    ),
    "lists_recent": (_LISTS, _rows("ChecklistEntry"), None),
    "checklist": ({}, _ref("Checklist"), None),
    "stats": ({}, _ref("Stats"), None),
    "top100": (
        {"rankedBy": _one_of("spp", "cl", default="spp"), "maxResults": _whole(1, 100, 100)},
        _rows("Leader"),
        None,
    ),
    "spplist": ({}, _CODES, None),
    "region_list": (
        {"fmt": _one_of("csv", "json", default="json")},
        _rows("RegionName"),
        "text/csv",
    ),
    "region_info": (
        {
            "regionNameFormat": _one_of(
                "detailed",
                "detailednoqual",
                "full",
                "namequal",
                "nameonly",
                "revdetailed",
                default="full",
            ),
            "delim": {"type": "string", "default": ", "},
        },
        _ref("RegionInfo"),
        None,
    ),
    "adjacent": ({}, _rows("RegionName"), None),
    "hotspots": ({"back": _whole(1, 30), **_FORMAT}, _rows("Hotspot"), "text/csv"),
    "hotspots_nearby": (
        {**_POINT, "dist": _whole(0, 500, 25), "back": _whole(1, 30), **_FORMAT},
        _rows("Hotspot"),
        "text/csv",
    ),
    "hotspot_info": ({}, _ref("Location"), None),
    "taxonomy": (
        {
            **_CATEGORY,
            **_FORMAT,
            "locale": _LOCALE,
            "species": _STRING,
            "version": {"type": "string", "default": "latest"},
        },
        _rows("Taxon"),
        "text/plain",
    ),
    "taxonomy_versions": ({}, _rows("Version"), None),
    "forms": ({}, _CODES, None),
    "taxa_locales": ({}, _rows("Locale"), None),
    "species_groups": ({"groupNameLocale": _LOCALE}, _rows("Group"), None),
}


def _object(required: dict[str, Json], optional: dict[str, Json] | None = None) -> Json:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _strings(names: str) -> dict[str, Json]:
    return dict.fromkeys(names.split(), _STRING)


_LOCATION_NAMES = _strings(
    "locId name countryCode countryName subnational1Code subnational1Name locName "
    "hierarchicalName locID"
)
_PLACE: dict[str, Json] = {
    "latitude": _NUMBER,
    "longitude": _NUMBER,
    "lat": _NUMBER,
    "lng": _NUMBER,
}
_COUNTY = _strings("subnational2Code subnational2Name")
_SCHEMAS: dict[str, Json] = {
    "Observation": _object(
        {
            **_strings("speciesCode comName sciName locId locName obsDt subId"),
            "lat": _NUMBER,
            "lng": _NUMBER,
            "obsValid": _BOOLEAN,
            "obsReviewed": _BOOLEAN,
            "locationPrivate": _BOOLEAN,
        },
        {
            "howMany": _INTEGER,
            "exoticCategory": _one_of("N", "P", "X"),
            **_COUNTY,
            **_strings("subnational1Code subnational1Name countryCode countryName"),
            **_strings("userDisplayName obsId checklistId firstName lastName"),
            "presenceNoted": _BOOLEAN,
            "hasComments": _BOOLEAN,
            "hasRichMedia": _BOOLEAN,
        },
    ),
    "Location": _object({**_LOCATION_NAMES, **_PLACE, "isHotspot": _BOOLEAN}, _COUNTY),
    "ChecklistEntry": _object(
        {
            **_strings("locId subId userDisplayName obsDt isoObsDate subID"),
            "numSpecies": _INTEGER,
            "loc": _ref("Location"),
        },
        _strings("obsTime"),
    ),
    "Checklist": _object(
        {
            **_strings("projId subId protocolId locId creationDt lastEditedDt obsDt checklistId"),
            **_strings("subnational1Code submissionMethodCode userDisplayName"),
            "allObsReported": _BOOLEAN,
            "obsTimeValid": _BOOLEAN,
            "numSpecies": _INTEGER,
            "obs": _rows("ChecklistObservation"),
        },
        {
            **_strings("groupId comments effortDistanceEnteredUnit effortAreaEnteredUnit"),
            "durationHrs": _NUMBER,
            "numObservers": _INTEGER,
            "effortDistanceKm": _NUMBER,
            "effortAreaHa": _NUMBER,
        },
    ),
    "ChecklistObservation": _object(
        {**_strings("speciesCode howManyStr obsId"), "present": _BOOLEAN},
        {
            "howManyAtleast": _INTEGER,
            "howManyAtmost": _INTEGER,
            "exoticCategory": _one_of("N", "P", "X"),
            "comments": _STRING,
            "mediaCounts": {"type": "object", "additionalProperties": _INTEGER},
        },
    ),
    "Stats": _object(dict.fromkeys(("numChecklists", "numContributors", "numSpecies"), _INTEGER)),
    "Leader": _object(
        {
            **_strings("userDisplayName userId"),
            **dict.fromkeys(("numSpecies", "numCompleteChecklists", "rowNum"), _INTEGER),
        },
        _strings("profileHandle"),
    ),
    "RegionName": _object(_strings("code name")),
    "RegionInfo": _object(
        {**_strings("code type"), "longitude": _NUMBER, "latitude": _NUMBER},
        {
            "result": _STRING,
            "bounds": _object(dict.fromkeys(("minX", "maxX", "minY", "maxY"), _NUMBER)),
            "parent": _ref("RegionInfo"),
        },
    ),
    "Hotspot": _object(
        {
            **_strings("locId locName countryCode subnational1Code"),
            "lat": _NUMBER,
            "lng": _NUMBER,
            "numSpeciesAllTime": _INTEGER,
            "numChecklistsAllTime": _INTEGER,
        },
        _strings("subnational2Code latestObsDt"),
    ),
    "Taxon": _object(
        {
            **_strings("sciName comName speciesCode category order"),
            "taxonOrder": _NUMBER,
            **dict.fromkeys(("bandingCodes", "comNameCodes", "sciNameCodes"), _CODES),
        },
        {
            **_strings("familyCode familyComName familySciName reportAs"),
            "extinct": _BOOLEAN,
            "extinctYear": _INTEGER,
        },
    ),
    "Version": _object({"authorityVer": _NUMBER, "latest": _BOOLEAN}),
    "Locale": _object(_strings("code name lastUpdate")),
    "Group": _object(
        {
            "groupName": _STRING,
            "groupOrder": _INTEGER,
            "taxonOrderBounds": {"type": "array", "items": {"type": "array", "items": _NUMBER}},
        }
    ),
    "Errors": _object(
        {
            "errors": {
                "type": "array",
                "minItems": 1,
                "items": _object(_strings("status code title")),
            }
        }
    ),
}


def document(endpoints: Sequence[Endpoint], url: str) -> Json:
    """The whole document, for a server at ``url``."""
    return {
        "openapi": "3.0.3",
        "info": {"title": "eBird API 2.0, sandbox", "version": "2.0"},
        "servers": [{"url": url}],
        "paths": {endpoint.path: {"get": _operation(endpoint)} for endpoint in endpoints},
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {
                "header": {"type": "apiKey", "in": "header", "name": "X-eBirdApiToken"},
                "query": {"type": "apiKey", "in": "query", "name": "key"},
            },
        },
    }


def _operation(endpoint: Endpoint) -> Json:
    query, returns, csv = _OPERATIONS[endpoint.name]
    content: Json = {"application/json": {"schema": returns}}
    if csv:
        content[csv] = {"schema": _STRING}
    errors: Json = {"application/json": {"schema": _ref("Errors")}}
    responses: Json = {
        "200": {"description": "What was asked for.", "content": content},
        "400": {"description": "A parameter that cannot be.", "content": errors},
        "404": {"description": "No such path.", "content": errors},
    }
    if endpoint.name == "region_info":
        responses["500"] = {"description": "An unknown region.", "content": errors}
    if endpoint.needs_key:
        responses["403"] = {"description": "No key, or a wrong one. The body is empty."}
    summary = (endpoint.handler.__doc__ or endpoint.name).strip()
    return {
        "operationId": endpoint.name,
        "summary": summary,
        "parameters": [*_path_parameters(endpoint.path), *_query_parameters(query)],
        "responses": responses,
        "security": [{"header": []}, {"query": []}] if endpoint.needs_key else [],
    }


def _path_parameters(path: str) -> list[Json]:
    names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
    return [{"name": n, "in": "path", "required": True, "schema": _PATH[n]} for n in names]


def _query_parameters(query: dict[str, Json]) -> list[Json]:
    found: list[Json] = []
    for name, schema in query.items():
        parameter: Json = {"name": name.strip("!"), "in": "query", "schema": schema}
        if name.endswith("!"):
            parameter["required"] = True
        if schema.get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        found.append(parameter)
    return found
