"""The JSON forms of observations, checklists and locations, field by field and in eBird's order.

Optional fields are absent when they say nothing, never null. This module must never decide which
things are shown.
"""

from datetime import datetime

from ebird_sandbox.checklists import Checklist, Observation
from ebird_sandbox.places import Location
from ebird_sandbox.regions import Region, Regions
from ebird_sandbox.sightings import Sighting
from ebird_sandbox.taxonomy import Taxon
from ebird_sandbox.world import World

Json = dict[str, object]
_TEMPLATE_BASE = 22_000
_BREEDING_EVERY = 41
_BREEDING_MONTHS = range(4, 8)


class Views:
    """Forms of what is in one world."""

    def __init__(self, world: World, regions: Regions) -> None:
        self._world = world
        self._regions = regions

    def simple(self, sighting: Sighting) -> Json:
        """An observation with ``detail=simple``."""
        checklist, observation = sighting.checklist, sighting.observation
        taxon, location = observation.taxon, checklist.location
        valid, reviewed = self._world.flags(observation)
        form: Json = {
            "speciesCode": taxon.code,
            "comName": taxon.com_name,
            "sciName": taxon.sci_name,
            "locId": location.loc_id,
            "locName": location.name,
            "obsDt": checklist.obs_dt,
        }
        if observation.count is not None:
            form["howMany"] = observation.count
        form |= {
            "lat": location.lat,
            "lng": location.lng,
            "obsValid": valid,
            "obsReviewed": reviewed,
            "locationPrivate": not location.is_hotspot,
            "subId": checklist.sub_id,
        }
        exotic = exotic_category(checklist, taxon)
        if exotic:
            form["exoticCategory"] = exotic
        return form

    def full(self, sighting: Sighting) -> Json:
        """An observation with ``detail=full``."""
        checklist, observation = sighting.checklist, sighting.observation
        location, observer = checklist.location, checklist.observer
        region, country = self._region(location)
        form = self.simple(sighting)
        if location.county.code:
            form["subnational2Code"] = location.county.code
            form["subnational2Name"] = location.county.name
        return form | {
            "subnational1Code": region.code,
            "subnational1Name": region.name,
            "countryCode": country.code,
            "countryName": country.name,
            "userDisplayName": observer.display_name,
            "obsId": observation.obs_id,
            "checklistId": checklist_template(location),
            "presenceNoted": observation.count is None,
            "hasComments": observation.comments is not None,
            "firstName": "Anonymous" if observer.anonymous else observer.first_name,
            "lastName": "eBirder" if observer.anonymous else observer.last_name,
            "hasRichMedia": observation.media > 0,
        }

    def feed_entry(self, checklist: Checklist) -> Json:
        """A checklist in a feed of checklists."""
        location = checklist.location
        form: Json = {
            "locId": location.loc_id,
            "subId": checklist.sub_id,
            "userDisplayName": checklist.observer.display_name,
            "numSpecies": checklist.num_species,
            "obsDt": f"{checklist.day.day} {checklist.day:%b %Y}",
        }
        if checklist.obs_time is not None:
            form["obsTime"] = checklist.obs_time
        form["isoObsDate"] = checklist.obs_dt
        form["subID"] = checklist.sub_id
        form["loc"] = self.location(location) | {
            "locName": location.name,
            "lat": location.lat,
            "lng": location.lng,
            "hierarchicalName": self._hierarchical_name(location),
            "locID": location.loc_id,
        }
        return form

    def location(self, location: Location) -> Json:
        """The part of a location that hotspot info and feeds share."""
        region, country = self._region(location)
        form: Json = {
            "locId": location.loc_id,
            "name": location.name,
            "latitude": location.lat,
            "longitude": location.lng,
            "countryCode": country.code,
            "countryName": country.name,
            "subnational1Name": region.name,
            "subnational1Code": region.code,
        }
        if location.county.code:
            form["subnational2Code"] = location.county.code
            form["subnational2Name"] = location.county.name
        form["isHotspot"] = location.is_hotspot
        return form

    def hotspot_info(self, location: Location) -> Json:
        """The answer about one hotspot."""
        return self.location(location) | {
            "locName": location.name,
            "lat": location.lat,
            "lng": location.lng,
            "hierarchicalName": self._hierarchical_name(location),
            "locID": location.loc_id,
        }

    def checklist(self, checklist: Checklist) -> Json:
        """A whole checklist."""
        form: Json = {
            "projId": "EBIRD",
            "subId": checklist.sub_id,
            "protocolId": checklist.protocol,
            "locId": checklist.location.loc_id,
        }
        if checklist.group is not None:
            form["groupId"] = f"G{checklist.group}"
        if checklist.minutes is not None:
            form["durationHrs"] = round(checklist.minutes / 60, 4)
        form["allObsReported"] = checklist.complete
        if checklist.comments:
            form["comments"] = checklist.comments
        form |= {
            "creationDt": _minute(checklist.created),
            "lastEditedDt": _minute(checklist.edited),
            "obsDt": checklist.obs_dt,
            "obsTimeValid": checklist.start is not None,
            "checklistId": checklist_template(checklist.location),
        }
        if checklist.party is not None:
            form["numObservers"] = checklist.party
        american = checklist.area.country == "US"
        if checklist.distance_km is not None:
            form["effortDistanceKm"] = checklist.distance_km
            form["effortDistanceEnteredUnit"] = "mi" if american else "km"
        if checklist.area_ha is not None:
            form["effortAreaHa"] = checklist.area_ha
        # The app names its unit of area with any distance, even if no area was given.
        if checklist.distance_km is not None or checklist.area_ha is not None:
            form["effortAreaEnteredUnit"] = "ac" if american else "ha"
        return form | {
            "subnational1Code": checklist.area.code,
            "submissionMethodCode": _submission_method(checklist),
            "deleteTrack": False,
            "userDisplayName": checklist.observer.display_name,
            "numSpecies": checklist.num_species,
            "projectIds": [],
            "obs": [checklist_observation(checklist, o) for o in checklist.observations],
        }

    def _region(self, location: Location) -> tuple[Region, Region]:
        region = self._regions.by_code[location.area.code]
        return region, self._regions.by_code[location.area.country]

    def _hierarchical_name(self, location: Location) -> str:
        region, country = self._region(location)
        parts = [location.name, location.county.name, region.name, country.code]
        return ", ".join(part for part in parts if part)


def checklist_observation(checklist: Checklist, observation: Observation) -> Json:
    """One observation inside a checklist."""
    form: Json = {"speciesCode": observation.taxon.code}
    exotic = exotic_category(checklist, observation.taxon)
    if exotic:
        form["exoticCategory"] = exotic
    count = observation.count
    if count is not None:
        form |= {"howManyAtleast": count, "howManyAtmost": count}
    if observation.comments:
        form["comments"] = observation.comments
    if observation.media:
        form["mediaCounts"] = {"P": observation.media}
    form |= {
        "present": count is None,
        "howManyStr": "X" if count is None else str(count),
        "obsId": observation.obs_id,
    }
    if observation.number % _BREEDING_EVERY == 0 and checklist.day.month in _BREEDING_MONTHS:
        form["obsAux"] = [
            {
                "subId": checklist.sub_id,
                "obsId": observation.obs_id,
                "speciesCode": observation.taxon.code,
                "fieldName": "breeding_code",
                "entryMethodCode": "ebird_breeding",
                "auxCode": "S7",
                "value": "S7",
            }
        ]
    return form


def exotic_category(checklist: Checklist, taxon: Taxon) -> str | None:
    """Naturalized, provisional or escaped; nothing for a natural bird."""
    return checklist.area.exotics.get(taxon.species_code or "")


def checklist_template(location: Location) -> str:
    """The list template that the app offered there: not the key of a checklist."""
    return f"CL{_TEMPLATE_BASE + location.area.number * 100 + len(location.county.code)}"


def _submission_method(checklist: Checklist) -> str:
    methods = ("EBIRD_iOS", "EBIRD_Android", "EBIRD_web")
    return methods[checklist.observer.number % 3] if checklist.minutes else "EBIRD_web"


def _minute(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M")
