"""The truth about a checklist, in one form, for comparing with what a pipeline made of it.

Unlike the API it hides nothing: who, where, when it was submitted, and how each report stands.
This module must never be used by an endpoint of the API.
"""

from ebird_sandbox.checklists import Checklist
from ebird_sandbox.world import World

Json = dict[str, object]


def truth_of_checklist(world: World, checklist: Checklist) -> Json:
    """Everything there is to know about a checklist now."""
    location, observer = checklist.location, checklist.observer
    return {
        "subId": checklist.sub_id,
        "day": checklist.day.isoformat(),
        "obsDt": checklist.obs_dt,
        "created": checklist.created.isoformat(sep=" ", timespec="minutes"),
        "edited": checklist.edited.isoformat(sep=" ", timespec="minutes"),
        "protocolId": checklist.protocol,
        "durationMinutes": checklist.minutes,
        "distanceKm": checklist.distance_km,
        "complete": checklist.complete,
        "groupId": None if checklist.group is None else f"G{checklist.group}",
        "numSpecies": checklist.num_species,
        "observer": {"userId": observer.user_id, "userDisplayName": observer.display_name},
        "location": {
            "locId": location.loc_id,
            "name": location.name,
            "lat": location.lat,
            "lng": location.lng,
            "private": not location.is_hotspot,
            "subnational1Code": checklist.area.code,
            "subnational2Code": location.county.code or None,
        },
        "observations": [
            {
                "obsId": o.obs_id,
                "speciesCode": o.taxon.code,
                "category": o.taxon.category,
                "reportAs": o.taxon.report_as,
                "count": o.count,
                "notable": o.review is not None,
                "valid": world.flags(o)[0],
                "reviewed": world.flags(o)[1],
            }
            for o in checklist.observations
        ],
    }
