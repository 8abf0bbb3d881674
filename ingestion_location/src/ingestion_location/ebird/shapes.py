"""The shapes of the API's answers: which fields they have, of which types, and which are new.

An answer is checked when it arrives, before it is kept. A field that is missing or has another
type stops the fetch with a sentence; a field that nobody knows is let through, kept and counted.
The same shapes give DuckDB the types under which it reads landing files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ingestion_location.ebird.errors import EbirdError

Fields: TypeAlias = Mapping[str, Any]
"""Fields by name: a DuckDB type, or the fields of an object.

`TIME` is eBird's local date with or without a time, as text; `-` a field that no table needs.
A name may end in `[]` for an array of objects, and `!` marks what is never missing. An answer that
is an array of plain values has the type of one instead of fields.
"""


def _unused(names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), "-")


_OBSERVATION: Fields = {
    "speciesCode!": "VARCHAR",
    "comName!": "VARCHAR",
    "sciName!": "VARCHAR",
    "subId!": "VARCHAR",
    "locId!": "VARCHAR",
    "locName!": "VARCHAR",
    "obsDt!": "TIME",
    "howMany": "BIGINT",
    "lat!": "DOUBLE",
    "lng!": "DOUBLE",
    "obsValid!": "BOOLEAN",
    "obsReviewed!": "BOOLEAN",
    "locationPrivate!": "BOOLEAN",
    "exoticCategory": "VARCHAR",
}

_FULL_OBSERVATION: Fields = (
    _OBSERVATION
    | {
        "obsId!": "VARCHAR",
        "subnational1Code!": "VARCHAR",
        "subnational2Code": "VARCHAR",
        "userDisplayName!": "VARCHAR",
        "hasRichMedia!": "BOOLEAN",
    }
    | _unused(
        "subnational2Name subnational1Name countryCode countryName checklistId presenceNoted "
        "hasComments firstName lastName"
    )
)

_PARENT: Fields = {"code": "VARCHAR", "result": "VARCHAR"} | _unused(
    "bounds type longitude latitude"
)

SHAPES: dict[str, Fields | str] = {
    "stats": {
        "numChecklists!": "BIGINT",
        "numContributors!": "BIGINT",
        "numSpecies!": "BIGINT",
    },
    "lists[]": {
        "subId!": "VARCHAR",
        "isoObsDate!": "TIME",
        "loc!": {
            "locId!": "VARCHAR",
            "name!": "VARCHAR",
            "latitude!": "DOUBLE",
            "longitude!": "DOUBLE",
            "countryCode!": "VARCHAR",
            "subnational1Code!": "VARCHAR",
            "subnational2Code": "VARCHAR",
            "isHotspot!": "BOOLEAN",
        }
        | _unused(
            "countryName subnational1Name subnational2Name locName lat lng hierarchicalName locID"
        ),
    }
    | _unused("locId userDisplayName numSpecies obsDt obsTime subID"),
    "views": {
        "subId!": "VARCHAR",
        "projId": "VARCHAR",
        "protocolId!": "VARCHAR",
        "locId": "VARCHAR",
        "groupId": "VARCHAR",
        "durationHrs": "DOUBLE",
        "allObsReported!": "BOOLEAN",
        "comments": "VARCHAR",
        "creationDt": "TIME",
        "lastEditedDt": "TIME",
        "obsDt!": "TIME",
        "obsTimeValid!": "BOOLEAN",
        "numObservers": "BIGINT",
        "effortDistanceKm": "DOUBLE",
        "effortAreaHa": "DOUBLE",
        "submissionMethodCode": "VARCHAR",
        "userDisplayName!": "VARCHAR",
        "numSpecies!": "BIGINT",
        "obs[]!": {
            "speciesCode!": "VARCHAR",
            "howManyStr!": "VARCHAR",
            "howManyAtleast": "BIGINT",
            "howManyAtmost": "BIGINT",
            "present!": "BOOLEAN",
            "obsId!": "VARCHAR",
            "exoticCategory": "VARCHAR",
            "comments": "VARCHAR",
            "mediaCounts": "JSON",
            "obsAux": "JSON",
        }
        | _unused("obsDt hideFlags projId subId subnational1Code"),
    }
    | _unused(
        "checklistId effortDistanceEnteredUnit effortAreaEnteredUnit subnational1Code "
        "deleteTrack projectIds subAux subAuxAi submissionMethodVersion "
        "submissionMethodVersionDisp"
    ),
    "recent[]": _OBSERVATION,
    "notable[]": _FULL_OBSERVATION,
    "historic[]": _FULL_OBSERVATION,
    "top100[]": {
        "userId!": "VARCHAR",
        "userDisplayName!": "VARCHAR",
        "profileHandle": "VARCHAR",
        "rowNum!": "BIGINT",
        "numSpecies!": "BIGINT",
        "numCompleteChecklists!": "BIGINT",
    },
    "species_lists[]": "VARCHAR",
    "hotspots[]": {
        "locId!": "VARCHAR",
        "locName!": "VARCHAR",
        "countryCode!": "VARCHAR",
        "subnational1Code!": "VARCHAR",
        "subnational2Code": "VARCHAR",
        "lat!": "DOUBLE",
        "lng!": "DOUBLE",
        "latestObsDt": "TIME",
        "numSpeciesAllTime": "BIGINT",
        "numChecklistsAllTime": "BIGINT",
    },
    "taxa[]": {
        "speciesCode!": "VARCHAR",
        "comName!": "VARCHAR",
        "sciName!": "VARCHAR",
        "category!": "VARCHAR",
        "taxonOrder!": "DOUBLE",
        "order": "VARCHAR",
        "familyCode": "VARCHAR",
        "familyComName": "VARCHAR",
        "familySciName": "VARCHAR",
        "reportAs": "VARCHAR",
        "extinct": "BOOLEAN",
        "extinctYear": "BIGINT",
        "bandingCodes": "-",
        "comNameCodes": "-",
        "sciNameCodes": "-",
    },
    "taxonomy_versions[]": {"authorityVer!": "DOUBLE", "latest!": "BOOLEAN"},
    "region_info": {
        "result!": "VARCHAR",
        "bounds": {"minX!": "DOUBLE", "maxX!": "DOUBLE", "minY!": "DOUBLE", "maxY!": "DOUBLE"},
        # a county lies in a state and that in a country: no region has more above it
        "parent": _PARENT | {"parent": _PARENT | _unused("parent")},
    }
    | _unused("code type longitude latitude"),
    "region_list[]": {"code!": "VARCHAR", "name!": "VARCHAR"},
}


class ShapeError(EbirdError):
    """An answer has not the shape that the contract rests on; the message names the field."""


def check(resource: str, body: Any) -> set[str]:
    """Check one answer; returns the fields that nobody knows, such as `obs[].mood`.

    Raises `ShapeError` on a missing field, another type, or versions without a latest one.
    """
    unknown = _CHECKS[resource](body, "")
    if resource == "taxonomy_versions" and not any(version["latest"] for version in body):
        msg = "no version is marked as the latest"
        raise ShapeError(msg)
    return unknown


def is_array(resource: str) -> bool:
    """Whether an answer is an array of items."""
    return f"{resource}[]" in SHAPES


def known_fields(resource: str) -> set[str]:
    """All fields of one item, in the words in which `check` names unknown ones."""
    fields = _fields(resource)
    return set() if isinstance(fields, str) else set(_names(fields, ""))


def duckdb_type(resource: str, more: Sequence[str] = ()) -> str:
    """The DuckDB type of one item, with the fields that tables need and `more` as JSON."""
    fields = _fields(resource)
    return fields if isinstance(fields, str) else _struct(fields, "", more)


def _fields(resource: str) -> Fields | str:
    return SHAPES[f"{resource}[]" if is_array(resource) else resource]


def _names(fields: Fields, where: str) -> Iterator[str]:
    for key, kind in fields.items():
        name = f"{where}{key.rstrip('!')}"
        yield name.removesuffix("[]")
        if isinstance(kind, Mapping):
            yield from _names(kind, f"{name}.")


def _struct(fields: Fields, where: str, more: Sequence[str]) -> str:
    parts = [
        f'"{field.removeprefix(where)}" JSON'
        for field in more
        if field.startswith(where) and "." not in field.removeprefix(where)
    ]
    for key, kind in fields.items():
        name = key.rstrip("!").removesuffix("[]")
        if isinstance(kind, Mapping):
            inner = _struct(kind, f"{where}{key.rstrip('!')}.", more)
            parts.append(f'"{name}" {inner}' + ("[]" if "[]" in key else ""))
        elif kind != "-":
            parts.append(f'"{name}" {"VARCHAR" if kind == "TIME" else kind}')
    return f"STRUCT({', '.join(parts)})"


_Check: TypeAlias = Callable[[Any, str], set[str]]

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "VARCHAR": (str,),
    "TIME": (str,),
    "BIGINT": (int,),
    "DOUBLE": (int, float),
    "BOOLEAN": (bool,),
}
_WORDS = {
    "VARCHAR": "text",
    "TIME": "a date or time",
    "BIGINT": "a whole number",
    "DOUBLE": "a number",
    "BOOLEAN": "true or false",
}
_TIME = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?")
_MOST_SAID = 40
_FINE: set[str] = set()


class _Object:
    """Fields, prepared for a check that runs for every observation that is ever read."""

    def __init__(self, fields: Fields) -> None:
        plain = {key.rstrip("!").removesuffix("[]"): kind for key, kind in fields.items()}
        self._kinds = {
            name: kind
            for name, kind in plain.items()
            if kind not in ("-", "JSON") and isinstance(kind, str)
        }
        self._types = {name: _PYTHON_TYPES[kind] for name, kind in self._kinds.items()}
        self._times = {name for name, kind in self._kinds.items() if kind == "TIME"}
        self._nested: dict[str, _Check] = {
            key.rstrip("!").removesuffix("[]"): _array(_Object(kind))
            if "[]" in key
            else _Object(kind)
            for key, kind in fields.items()
            if isinstance(kind, Mapping)
        }
        self._unchecked = plain.keys() - self._kinds.keys() - self._nested.keys()
        self._required = [key.rstrip("!").removesuffix("[]") for key in fields if key[-1] == "!"]

    def __call__(self, value: Any, where: str) -> set[str]:
        if type(value) is not dict:
            raise _misfit(where.rstrip(".") or "the answer", value, "an object")
        unknown = _FINE
        for name, item in value.items():
            if name in self._types:
                # a bool is an int to Python and not to eBird, so the type itself is compared
                if type(item) not in self._types[name] and item is not None:
                    raise _misfit(where + name, item, _WORDS[self._kinds[name]])
            elif name in self._nested:
                if item is not None:
                    unknown = unknown | self._nested[name](item, f"{where}{name}.")
            elif name not in self._unchecked:
                unknown = unknown | {where + name}
        self._check_times(value, where)
        for name in self._required:
            if value.get(name) is None:
                msg = f"{where}{name} is missing"
                raise ShapeError(msg)
        return unknown

    def _check_times(self, value: dict[str, Any], where: str) -> None:
        for name in self._times:
            if (text := value.get(name)) is not None and not _TIME.fullmatch(text):
                raise _misfit(where + name, text, _WORDS["TIME"])


def _array(item: _Check) -> _Check:
    def check_array(value: Any, where: str) -> set[str]:
        name = where.rstrip(".")
        if type(value) is not list:
            raise _misfit(name or "the answer", value, "an array")
        place = f"{name}[]." if name else ""
        unknown = _FINE
        for entry in value:
            unknown = unknown | item(entry, place)
        return unknown

    return check_array


def _misfit(field: str, value: Any, wanted: str) -> ShapeError:
    said = repr(value)
    shown = said if len(said) <= _MOST_SAID else f"{said[:_MOST_SAID]}…"
    return ShapeError(f"{field} is {shown} and not {wanted}")


def _value(kind: str) -> _Check:
    def check_value(value: Any, where: str) -> set[str]:
        if type(value) not in _PYTHON_TYPES[kind]:
            name = where.rstrip(".") or "an item of the answer"
            raise _misfit(name, value, _WORDS[kind])
        return _FINE

    return check_value


def _check_of(resource: str, shape: Fields | str) -> _Check:
    item = _value(shape) if isinstance(shape, str) else _Object(shape)
    return _array(item) if resource.endswith("[]") else item


_CHECKS: dict[str, _Check] = {
    resource.removesuffix("[]"): _check_of(resource, shape) for resource, shape in SHAPES.items()
}
