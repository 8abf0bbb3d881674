"""The JSON and CSV forms of hotspots, leaders, taxa and regions, in eBird's order of fields.

Optional fields are absent when they say nothing, never null. This module must never decide which
rows are shown.
"""

from ebird_sandbox.places import Location
from ebird_sandbox.regions import Bounds, Region, Regions
from ebird_sandbox.taxonomy import Taxon
from ebird_sandbox.totals import HotspotTotals, Leader

Json = dict[str, object]


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
    shown = {"profileHandle": row.observer.profile} if row.observer.profile else {}
    return {
        **shown,
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
    if taxon.extinct_year:
        form |= {"extinct": True, "extinctYear": taxon.extinct_year}
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
        "true" if taxon.extinct_year else "",
        taxon.extinct_year,
    ]


def region_info(regions: Regions, region: Region, form: str, delim: str) -> Json:
    """The answer about one region."""
    return _region(region, regions.bounds(region.code), form, delim)


def _region(region: Region, bounds: Bounds | None, form: str, delim: str) -> Json:
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
        # Parents come without their bounds, and then the middle is at zero.
        answer["parent"] = _region(region.parent, None, form, delim)
    lng, lat = bounds.center if bounds else (0.0, 0.0)
    return answer | {"longitude": lng, "latitude": lat}


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
        "parent": _region(parent, None, form, delim),
        "longitude": location.lng,
        "latitude": location.lat,
    }
