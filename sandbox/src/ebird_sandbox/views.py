"""The JSON forms of things, field by field and in eBird's order.

Optional fields are absent when they say nothing, never null. This module must never decide which
things are shown.
"""

from datetime import datetime

from ebird_sandbox.checklists import Checklist, Observation
from ebird_sandbox.places import Location
from ebird_sandbox.regions import Region, Regions
from ebird_sandbox.sightings import Sighting
from ebird_sandbox.taxonomy import Taxon
from ebird_sandbox.totals import HotspotTotals, Leader
from ebird_sandbox.world import World

Json = dict[str, object]
_TEMPLATE_BASE = 22_000


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
        if checklist.distance_km is not None:
            form["effortDistanceKm"] = checklist.distance_km
            form["effortDistanceEnteredUnit"] = "mi" if checklist.area.country == "US" else "km"
        if checklist.area_ha is not None:
            form["effortAreaHa"] = checklist.area_ha
            form["effortAreaEnteredUnit"] = "ha"
        return form | {
            "subnational1Code": checklist.area.code,
            "submissionMethodCode": _submission_method(checklist),
            "userDisplayName": checklist.observer.display_name,
            "numSpecies": checklist.num_species,
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
    if count is None:
        form["howManyStr"] = "X"
    else:
        form |= {"howManyAtleast": count, "howManyAtmost": count, "howManyStr": str(count)}
    form["present"] = count is None
    form["obsId"] = observation.obs_id
    if observation.comments:
        form["comments"] = observation.comments
    if observation.media:
        form["mediaCounts"] = {"P": observation.media}
    return form


def hotspot_row(hotspot: HotspotTotals) -> Json:
    """A hotspot in a list, in JSON."""
    location = hotspot.location
    form: Json = {
        "locId": location.loc_id,
        "locName": location.name,
        "countryCode": location.area.country,
        "subnational1Code": location.area.code,
    }
    if location.county.code:
        form["subnational2Code"] = location.county.code
    form |= {"lat": location.lat, "lng": location.lng}
    if hotspot.latest_obs_dt:
        form["latestObsDt"] = hotspot.latest_obs_dt
    form["numSpeciesAllTime"] = hotspot.num_species
    form["numChecklistsAllTime"] = hotspot.num_checklists
    return form


def hotspot_csv_row(hotspot: HotspotTotals) -> list[object]:
    """A hotspot in a list, in CSV."""
    location = hotspot.location
    return [
        location.loc_id,
        location.area.country,
        location.area.code,
        location.county.code,
        location.lat,
        location.lng,
        location.name,
        hotspot.latest_obs_dt,
        hotspot.num_species,
    ]


def leader(row: Leader) -> Json:
    """A row of the Top 100."""
    return {
        "userDisplayName": row.observer.display_name,
        "numSpecies": row.num_species,
        "numCompleteChecklists": row.num_complete_checklists,
        "rowNum": row.row_num,
        "userId": row.observer.user_id,
    }


def taxon_form(taxon: Taxon) -> Json:
    """A taxon in JSON."""
    form: Json = {
        "sciName": taxon.sci_name,
        "comName": taxon.com_name,
        "speciesCode": taxon.code,
        "category": taxon.category,
        "taxonOrder": float(taxon.taxon_order),
        "bandingCodes": taxon.banding_codes,
        "comNameCodes": taxon.com_name_codes,
        "sciNameCodes": taxon.sci_name_codes,
        "order": taxon.order,
    }
    if taxon.family_sci_name:
        form["familyCode"] = taxon.family_code
        form["familyComName"] = taxon.family_com_name
        form["familySciName"] = taxon.family_sci_name
    if taxon.report_as:
        form["reportAs"] = taxon.report_as
    return form


TAXON_HEADER = (  # noqa: SIM905 - read more easily as text
    "SCIENTIFIC_NAME COMMON_NAME SPECIES_CODE CATEGORY TAXON_ORDER COM_NAME_CODES SCI_NAME_CODES "
    "BANDING_CODES ORDER FAMILY_COM_NAME FAMILY_SCI_NAME REPORT_AS EXTINCT EXTINCT_YEAR"
).split()


def taxon_csv_row(taxon: Taxon) -> list[object]:
    """A taxon in CSV."""
    return [
        taxon.sci_name,
        taxon.com_name,
        taxon.code,
        taxon.category,
        float(taxon.taxon_order),
        " ".join(taxon.com_name_codes),
        " ".join(taxon.sci_name_codes),
        " ".join(taxon.banding_codes),
        taxon.order,
        taxon.family_com_name,
        taxon.family_sci_name,
        taxon.report_as,
        "",
        "",
    ]


def region_info(regions: Regions, region: Region, form: str, delim: str) -> Json:
    """The answer about one region."""
    bounds = regions.bounds(region.code)
    answer: Json = {}
    if bounds:
        answer["bounds"] = {
            "minX": bounds.min_x,
            "maxX": bounds.max_x,
            "minY": bounds.min_y,
            "maxY": bounds.max_y,
        }
    if region.name:
        answer["result"] = region.described(form, delim)
    answer |= {"code": region.code, "type": region.type}
    if region.parent:
        answer["parent"] = region_info(regions, region.parent, form, delim)
    lng, lat = bounds.center if bounds else (0.0, 0.0)
    return answer | {"longitude": round(lng, 6), "latitude": round(lat, 6)}


def location_info(regions: Regions, location: Location, form: str, delim: str) -> Json:
    """The answer about a location that was asked for as if it were a region."""
    parent = regions.by_code[location.county.code or location.area.code]
    return {
        "bounds": {
            "minX": location.lng,
            "maxX": location.lng,
            "minY": location.lat,
            "maxY": location.lat,
        },
        "result": location.name,
        "code": location.loc_id,
        "type": "location",
        "parent": region_info(regions, parent, form, delim),
        "longitude": location.lng,
        "latitude": location.lat,
    }


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
