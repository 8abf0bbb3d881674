"""The schemas of what the endpoints answer, for the OpenAPI document.

Strict: a field that is not here is not answered, and one that is required is always there. This
module must never be read to make an answer; the tests hold the answers to it.
"""

Json = dict[str, object]
STRING: Json = {"type": "string"}
_NUMBER: Json = {"type": "number"}
_INTEGER: Json = {"type": "integer"}
_BOOLEAN: Json = {"type": "boolean"}
CODES: Json = {"type": "array", "items": {"type": "string"}}


def one_of(*words: str, default: str | None = None) -> Json:
    """A schema of a few words."""
    schema: Json = {"type": "string", "enum": list(words)}
    return schema if default is None else schema | {"default": default}


def rows_of(name: str) -> Json:
    """A list of the named schema."""
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


def ref(name: str) -> Json:
    """The named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: dict[str, Json], optional: dict[str, Json] | None = None) -> Json:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _strings(names: str) -> dict[str, Json]:
    return dict.fromkeys(names.split(), STRING)


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
SCHEMAS: dict[str, Json] = {
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
            "exoticCategory": one_of("N", "P", "X"),
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
            "loc": ref("Location"),
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
            "deleteTrack": _BOOLEAN,
            "projectIds": CODES,
            "obs": rows_of("ChecklistObservation"),
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
            "exoticCategory": one_of("N", "P", "X"),
            "comments": STRING,
            "obsAux": rows_of("Aux"),
            "mediaCounts": {"type": "object", "additionalProperties": _INTEGER},
        },
    ),
    "Aux": _object(_strings("subId obsId speciesCode fieldName entryMethodCode auxCode value")),
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
            "result": STRING,
            "bounds": _object(dict.fromkeys(("minX", "maxX", "minY", "maxY"), _NUMBER)),
            "parent": ref("RegionInfo"),
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
            **dict.fromkeys(("bandingCodes", "comNameCodes", "sciNameCodes"), CODES),
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
            "groupName": STRING,
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
