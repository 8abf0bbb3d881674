"""Two public clients call every operation they have and accept every answer."""

import pkgutil
from collections.abc import Callable, Iterator
from datetime import date
from importlib import import_module
from typing import Any

import ebird.api.requests as ebird
import pytest
from phoebe_bird import Phoebe

from ebird_sandbox.process import Sandbox, running_sandbox

REAL = "https://api.ebird.org/v2"
HERE: dict[str, Any] = {"lat": 38.9, "lng": -77.02}
DAY = date(2026, 5, 17)
PARTS: dict[str, Any] = {"y": 2026, "m": 5, "d": 17}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox(today=date(2026, 5, 20), extra=["--token", "secret"]) as running:
        yield running


def url_constants() -> list[tuple[Any, str]]:
    modules = [
        import_module(f"{ebird.__name__}.{m.name}") for m in pkgutil.iter_modules(ebird.__path__)
    ]
    return [(m, name) for m in modules for name in vars(m) if name.endswith("_URL")]


@pytest.fixture
def redirected(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in url_constants():
        monkeypatch.setattr(module, name, getattr(module, name).replace(REAL, sandbox.url))


def some_checklist(sandbox: Sandbox) -> tuple[str, str, str]:
    """A checklist's key, a private location's and a hotspot's."""
    client = phoebe(sandbox)
    lists = client.product.lists.historical.retrieve(region_code="US-DC", **PARTS, max_results=200)
    private = next(one for one in lists if one.loc and not one.loc.is_hotspot)
    public = next(one for one in lists if one.loc and one.loc.is_hotspot)
    return str(public.sub_id), str(private.loc_id), str(public.loc_id)


def phoebe(sandbox: Sandbox) -> Phoebe:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PHOEBE_BASE_URL", sandbox.url)
        return Phoebe(api_key="secret", _strict_response_validation=True)


CALLS: dict[str, Callable[..., Any]] = {
    "get_observations": lambda f, _: f("secret", "US-DC", category="species,issf", detail="full"),
    "get_notable_observations": lambda f, _: f("secret", ["US-PA", "US-MA"], back=30),
    "get_species_observations": lambda f, _: f("secret", "norcar", "US-DC-001", provisional=True),
    "get_nearby_observations": lambda f, _: f("secret", 38.9, -77.02, dist=10, sort="species"),
    "get_nearby_notable": lambda f, _: f("secret", 40.0, -75.15, dist=50),
    "get_nearby_species": lambda f, _: f("secret", "norcar", 38.9, -77.02),
    "get_nearest_species": lambda f, _: f("secret", "norcar", 38.9, -77.02),
    "get_historic_observations": lambda f, _: f("secret", "US-DC", DAY, rank="create"),
    "get_regions": lambda f, _: f("secret", "subnational2", "US-MA"),
    "get_adjacent_regions": lambda f, _: f("secret", "US-MA"),
    "get_region": lambda f, _: f("secret", "US-MA-017"),
    "get_hotspots": lambda f, _: f("secret", "US-DC", back=7),
    "get_nearby_hotspots": lambda f, _: f("secret", 38.9, -77.02),
    "get_hotspot": lambda f, keys: f("secret", keys[2]),
    "get_location": lambda f, keys: f("secret", keys[1]),
    "get_species_list": lambda f, _: f("secret", "US-DC"),
    "get_top_100": lambda f, _: f("secret", "US-DC", DAY, rank="cl"),
    "get_totals": lambda f, _: f("secret", "US-DC", DAY),
    "get_visits": lambda f, _: f("secret", "US-DC", DAY, max_results=50),
    "get_checklist": lambda f, keys: f("secret", keys[0]),
    "get_taxonomy": lambda f, _: f("secret", category="species", version="2025.0"),
    "get_taxonomy_forms": lambda f, _: f("secret", "cangoo"),
    "get_taxonomy_groups": lambda f, _: f("secret", ordering="merlin"),
    "get_taxonomy_versions": lambda f, _: f("secret"),
    "get_taxonomy_locales": lambda f, _: f("secret"),
}


@pytest.mark.usefixtures("redirected")
@pytest.mark.parametrize("operation", CALLS)
def test_ebird_api_accepts_the_answer(operation: str, sandbox: Sandbox) -> None:
    answer = CALLS[operation](getattr(ebird, operation), some_checklist(sandbox))
    assert answer


def test_every_operation_of_ebird_api_is_called() -> None:
    assert set(CALLS) == {name for name in dir(ebird) if name.startswith("get_")} - {
        "get_rate_limit"
    }
    assert len(url_constants()) == 26


@pytest.mark.usefixtures("redirected")
def test_ebird_api_puts_a_private_location_together_from_its_parents(sandbox: Sandbox) -> None:
    _, private, _ = some_checklist(sandbox)
    found: dict[str, Any] = ebird.get_location("secret", private)
    assert found["subnational1Name"] == "District of Columbia"
    assert found["countryCode"] == "US"
    assert found["isHotspot"] is False


PHOEBE: dict[str, Callable[[Phoebe, tuple[str, str, str]], Any]] = {
    "recent": lambda c, _: c.data.observations.recent.list("US-DC", cat="species", r=["US-DC"]),
    "notable": lambda c, _: c.data.observations.recent.notable.list("US", detail="full"),
    "species": lambda c, _: c.data.observations.recent.species.retrieve(
        "norcar", region_code="US-DC", include_provisional=True
    ),
    "historic": lambda c, _: c.data.observations.recent.historic.list(
        region_code="JP-13", **PARTS, detail="full"
    ),
    "recent nearby": lambda c, _: c.data.observations.geo.recent.list(**HERE, sort="species"),
    "notable nearby": lambda c, _: c.data.observations.geo.recent.notable.list(
        lat=40.0, lng=-75.15, dist=50
    ),
    "species nearby": lambda c, _: c.data.observations.geo.recent.species.list("norcar", **HERE),
    "nearest": lambda c, _: c.data.observations.nearest.geo_species.list(
        "norcar", **HERE, max_results=5
    ),
    "lists": lambda c, _: c.product.lists.retrieve("US-DC", max_results=200),
    "lists of a day": lambda c, _: c.product.lists.historical.retrieve(
        region_code="US-DC", **PARTS, sort_key="creation_dt"
    ),
    "checklist": lambda c, keys: c.product.checklist.view(keys[0]),
    "stats": lambda c, _: c.product.stats.retrieve(region_code="US", **PARTS),
    "top100": lambda c, _: c.product.top100.retrieve(region_code="US", **PARTS, ranked_by="cl"),
    "spplist": lambda c, _: c.product.species_list.list("US-DC"),
    "hotspots": lambda c, _: c.ref.hotspot.list("US-DC", fmt="json"),
    "hotspots nearby": lambda c, _: c.ref.hotspot.geo.retrieve(**HERE, fmt="json"),
    "hotspot": lambda c, keys: c.ref.hotspot.info.retrieve(keys[2]),
    "regions": lambda c, _: c.ref.region.list.list("world", region_type="country"),
    "region": lambda c, _: c.ref.region.info.retrieve("US-PA", region_name_format="revdetailed"),
    "adjacent": lambda c, _: c.ref.region.adjacent.list("US-PA"),
    "taxonomy": lambda c, _: c.ref.taxonomy.ebird.retrieve(fmt="json", species="norcar,cangoo"),
    "forms": lambda c, _: c.ref.taxonomy.forms.list("cangoo"),
    "locales": lambda c, _: c.ref.taxonomy.locales.list(accept_language="fr"),
    "versions": lambda c, _: c.ref.taxonomy.versions.list(),
    "groups": lambda c, _: c.ref.taxonomy.species_groups.list("ebird", group_name_locale="en"),
}


@pytest.mark.parametrize("operation", PHOEBE)
def test_phoebe_bird_accepts_the_answer_with_strict_validation(
    operation: str, sandbox: Sandbox
) -> None:
    assert PHOEBE[operation](phoebe(sandbox), some_checklist(sandbox))
