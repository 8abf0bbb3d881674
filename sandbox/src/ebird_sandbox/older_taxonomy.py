"""The taxonomy of the year before: what an autumn's update changed, told backwards.

The changes are real ones of the last decade (the yellow warblers and whimbrels of 2025, the
redpolls and the hawks of 2024, codes and spellings of other years), all put into one autumn so
that every kind of change is there. This module must never be asked for a version newer than 2025.
"""

from dataclasses import replace
from functools import cache
from typing import Any

from ebird_sandbox.taxonomy import Taxonomy, load

OLDER_VERSION = 2024.0

# what a taxon of today was: a form of a species that has been split, a species that has been
# lumped, a name or code that has been changed
_WAS: dict[str, dict[str, Any]] = {
    "yelwar1": {
        "com_name": "Yellow Warbler (Northern)",
        "sci_name": "Setophaga petechia [aestiva Group]",
        "category": "issf",
        "report_as": "yelwar",
        "taxon_order": 34_088,
    },
    "whimbr3": {
        "com_name": "Whimbrel (Hudsonian)",
        "sci_name": "Numenius phaeopus hudsonicus",
        "category": "issf",
        "report_as": "whimbr",
        "taxon_order": 6_012,
    },
    "comred": {
        "com_name": "Common Redpoll",
        "sci_name": "Acanthis flammea",
        "category": "species",
        "report_as": None,
    },
    "comred3": {"com_name": "Common Redpoll (flammea)", "report_as": "comred"},
    "comred4": {"com_name": "Common Redpoll (rostrata/islandica)", "report_as": "comred"},
    "lesred1": {
        "com_name": "Lesser Redpoll",
        "sci_name": "Acanthis cabaret",
        "category": "species",
        "report_as": None,
    },
    "y00763": {"com_name": "Common/Lesser Redpoll", "category": "slash", "report_as": None},
    "hoared": {
        "com_name": "Hoary Redpoll",
        "sci_name": "Acanthis hornemanni",
        "category": "species",
        "report_as": None,
    },
    "hoared1": {"com_name": "Hoary Redpoll (hornemanni)", "report_as": "hoared"},
    "hoared2": {"com_name": "Hoary Redpoll (exilipes)", "report_as": "hoared"},
    "redpol": {"com_name": "Common/Hoary Redpoll", "category": "slash", "report_as": None},
    "coohaw": {"sci_name": "Accipiter cooperii"},
    "bcnher": {"com_name": "Black-crowned Night-Heron"},
    "mallar3": {"code": "mallar"},
    "mallar2": {"report_as": "mallar"},
    "snoowl1": {"code": "snoowl"},
}
_NOT_YET = {"redpol1"}
# the species that were split, whose codes were retired with them; one part took their place
_RETIRED = (
    ("yelwar", "Yellow Warbler", "Setophaga petechia", "yelwar1"),
    ("whimbr", "Whimbrel", "Numenius phaeopus", "whimbr3"),
)


@cache
def older_taxonomy() -> Taxonomy:
    """The taxonomy before that of 2025."""
    now = load()
    taxa = [
        replace(taxon, **_WAS.get(taxon.code, {}))
        for taxon in now.taxa
        if taxon.code not in _NOT_YET
    ]
    taxa += [
        replace(now.by_code[part], code=code, com_name=com_name, sci_name=sci_name)
        for code, com_name, sci_name, part in _RETIRED
    ]
    return Taxonomy(OLDER_VERSION, tuple(sorted(taxa, key=lambda taxon: taxon.taxon_order)))
