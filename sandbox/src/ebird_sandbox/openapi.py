"""The API's description of itself, as an OpenAPI document.

Says what the sandbox does, corrected where the official description is known to be wrong. It is
made from one table, which has a row for every endpoint. This module must never promise a field
that an answer lacks.
"""

from collections.abc import Sequence

from ebird_sandbox.endpoints import Endpoint
from ebird_sandbox.regions import TYPES
from ebird_sandbox.schemas import CODES, SCHEMAS, STRING, Json, one_of, ref, rows_of
from ebird_sandbox.taxonomy import CATEGORIES


def _whole(low: int, high: int, default: int | None = None) -> Json:
    schema: Json = {"type": "integer", "minimum": low, "maximum": high}
    return schema if default is None else schema | {"default": default}


def _flag() -> Json:
    return {"type": "boolean", "default": False}


_REGION: Json = {"type": "string", "pattern": "^([A-Z]{2}(-[A-Z0-9]{0,3}){0,2}|L[0-9]{1,12})$"}
_PATH: dict[str, Json] = {
    "r": _REGION,
    "parent": STRING,
    "regionType": one_of(*TYPES),
    "locId": STRING,
    "subId": {"type": "string", "pattern": "^S[0-9]+$"},
    "speciesCode": {"type": "string", "pattern": "^[a-z0-9]{2,8}$"},
    "grouping": one_of("merlin", "ebird"),
    "y": _whole(1800, 9999),
    "m": _whole(1, 12),
    "d": _whole(1, 31),
}
_LOCALE: Json = {"type": "string", "default": "en"}
_BACK = _whole(1, 30, 14)
_MOST = _whole(1, 10_000)
_COMMON: dict[str, Json] = {"back": _BACK, "hotspot": _flag(), "sppLocale": _LOCALE}
_SIMPLE_OR_FULL = one_of("simple", "full", default="simple")
_OBS: dict[str, Json] = {**_COMMON, "maxResults": _MOST, "detail": _SIMPLE_OR_FULL}
_REVIEWED: dict[str, Json] = {"includeProvisional": _flag()}
_CATEGORY: dict[str, Json] = {"cat": one_of(*CATEGORIES)}
_R: dict[str, Json] = {"r": {**CODES, "maxItems": 10}}
_POINT: dict[str, Json] = {
    "lat!": {"type": "number", "minimum": -90, "maximum": 90},
    "lng!": {"type": "number", "minimum": -180, "maximum": 180},
    "dist": _whole(0, 50, 25),
}
_FORMAT: dict[str, Json] = {"fmt": one_of("csv", "json", default="csv")}
_LISTS: dict[str, Json] = {"maxResults": _whole(1, 200, 10)}

# For each endpoint: its query parameters (with ! those that must be given), what a 200 holds,
# and the content type of its CSV, if it has any.
_OPERATIONS: dict[str, tuple[dict[str, Json], Json, str | None]] = {
    "recent": ({**_OBS, **_REVIEWED, **_CATEGORY, **_R}, rows_of("Observation"), None),
    "notable": ({**_OBS, **_R}, rows_of("Observation"), None),
    "species": ({**_OBS, **_REVIEWED, **_R}, rows_of("Observation"), None),
    "historic": (
        {
            **_OBS,
            **_REVIEWED,
            **_CATEGORY,
            "r": {**CODES, "maxItems": 50},
            "rank": one_of("mrec", "create", default="mrec"),
        },
        rows_of("Observation"),
        None,
    ),
    "recent_nearby": (
        {
            **_POINT,
            **_OBS,
            **_REVIEWED,
            **_CATEGORY,
            "sort": one_of("date", "species", default="date"),
        },
        rows_of("Observation"),
        None,
    ),
    "notable_nearby": ({**_POINT, **_OBS}, rows_of("Observation"), None),
    "species_nearby": ({**_POINT, **_OBS, **_REVIEWED}, rows_of("Observation"), None),
    "nearest": (
        {**_POINT, **_OBS, **_REVIEWED, "dist": _whole(0, 50, 50), "maxResults": _whole(1, 3000)},
        rows_of("Observation"),
        None,
    ),
    "lists": (
        {**_LISTS, "sortKey": one_of("obs_dt", "creation_dt", default="obs_dt")},
        rows_of("ChecklistEntry"),
        None,
    ),
    "lists_recent": (_LISTS, rows_of("ChecklistEntry"), None),
    "checklist": ({}, ref("Checklist"), None),
    "stats": ({}, ref("Stats"), None),
    "top100": (
        {"rankedBy": one_of("spp", "cl", default="spp"), "maxResults": _whole(1, 100, 100)},
        rows_of("Leader"),
        None,
    ),
    "spplist": ({}, CODES, None),
    "region_list": (
        {"fmt": one_of("csv", "json", default="json")},
        rows_of("RegionName"),
        "text/csv",
    ),
    "region_info": (
        {
            "regionNameFormat": one_of(
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
        ref("RegionInfo"),
        None,
    ),
    "adjacent": ({}, rows_of("RegionName"), None),
    "hotspots": ({"back": _whole(1, 30), **_FORMAT}, rows_of("Hotspot"), "text/csv"),
    "hotspots_nearby": (
        {**_POINT, "dist": _whole(0, 500, 25), "back": _whole(1, 30), **_FORMAT},
        rows_of("Hotspot"),
        "text/csv",
    ),
    "hotspot_info": ({}, ref("Location"), None),
    "taxonomy": (
        {
            **_CATEGORY,
            **_FORMAT,
            "locale": _LOCALE,
            "species": STRING,
            "version": {"type": "string", "default": "latest"},
        },
        rows_of("Taxon"),
        "text/plain",
    ),
    "taxonomy_versions": ({}, rows_of("Version"), None),
    "forms": ({}, CODES, None),
    "taxa_locales": ({}, rows_of("Locale"), None),
    "species_groups": ({"groupNameLocale": _LOCALE}, rows_of("Group"), None),
}


def document(endpoints: Sequence[Endpoint], url: str) -> Json:
    """The whole document, for a server at ``url``."""
    return {
        "openapi": "3.0.3",
        "info": {"title": "eBird API 2.0, sandbox", "version": "2.0"},
        "servers": [{"url": url}],
        "paths": {endpoint.path: {"get": _operation(endpoint)} for endpoint in endpoints},
        "components": {
            "schemas": SCHEMAS,
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
        content[csv] = {"schema": STRING}
    errors: Json = {"application/json": {"schema": ref("Errors")}}
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
