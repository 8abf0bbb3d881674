"""The regions are those of the world, and borders run both ways."""

from ebird_sandbox.areas import AREAS
from ebird_sandbox.regions import Regions

REGIONS = Regions()


def test_there_are_253_countries_and_51_states() -> None:
    assert len(REGIONS.within("country", "world")) == 253
    assert len(REGIONS.within("subnational1", "US")) == 51
    assert len(REGIONS.within("subnational2", "US-MA")) == 14
    assert len(REGIONS.within("subnational2", "US-PA")) == 67
    assert len(REGIONS.within("subnational2", "US")) == 14 + 67 + 1


def test_every_country_has_bounds() -> None:
    assert all(REGIONS.bounds(country.code) for country in REGIONS.countries)


def test_neighbours_know_each_other_and_are_of_one_kind() -> None:
    for code, region in REGIONS.by_code.items():
        for other in REGIONS.adjacent(code):
            assert region in REGIONS.adjacent(other.code)
            assert region.type == other.type


def test_all_counties_of_the_mainland_have_neighbours() -> None:
    islands = {"US-MA-007", "US-MA-019", "US-DC-001"}
    for area in AREAS:
        for county in area.counties:
            if county.code and county.code not in islands:
                assert REGIONS.adjacent(county.code), county.name


def test_every_area_with_birds_is_a_region() -> None:
    for area in AREAS:
        assert REGIONS.by_code[area.code].type == "subnational1"
        assert REGIONS.bounds(area.code)
