"""The page in a real browser: it opens from disk, works, is accessible and tells how things are."""

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from dagster_duckdb import DuckDBResource
from playwright.sync_api import Browser, Page, Request, expect, sync_playwright

from quality_location.assets import CHECKS
from quality_location.checks import FreshnessCheck
from quality_location.release import Facts, make_release
from quality_location.warehouse import attached, held_snapshots

from .conftest import DAYS, OBSERVER, PRIVATE_NAME, PRIVATE_PLACE

if TYPE_CHECKING:
    from .conftest import World

pytestmark = pytest.mark.slow

VIEWS = ("seen", "rare", "species", "moving", "hotspots", "quality")
SCREENS = {"desk": (1200, 900), "phone": (360, 740)}


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for found in map(shutil.which, names) if found), None)
    if path is None:
        pytest.fail("these tests need a Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        # root in a container has no user namespace for Chromium's sandbox
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """A page that notes what a reader must never see: errors, and requests to anywhere."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page = page
        self.file = file
        self.faults: list[str] = []
        page.on("console", lambda said: self.faults.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("requestfailed", self._note_failure)
        page.on("request", self._note_request)

    def show(self, view: str) -> Page:
        self.page.goto(f"file://{self.file}#{view}")
        self.page.reload()
        expect(self.page.locator(f"#view-{view}")).to_be_visible()
        return self.page

    def _note_failure(self, request: Request) -> None:
        # a reader who leaves a view does not wait for what it loads
        if request.failure != "net::ERR_ABORTED":
            self.faults.append(f"failed: {request.url}")

    def _note_request(self, request: object) -> None:
        url = str(getattr(request, "url", ""))
        if not url.startswith(("file:", "data:")):
            self.faults.append(f"request: {url}")


@pytest.fixture
def opened(released_world: "World", browser: Browser) -> Iterator[Opened]:
    yield from _open(released_world, browser)


def _open(
    world: "World", browser: Browser, screen: str = "desk", scheme: str = "light"
) -> Iterator[Opened]:
    width, height = SCREENS[screen]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    file = world.settings.release_path.with_name("report") / "index.html"
    opened = Opened(context.new_page(), file)
    yield opened
    context.close()
    assert opened.faults == []


@pytest.mark.parametrize(("screen", "scheme"), [("desk", "light"), ("phone", "dark")])
def test_every_view_opens_fits_and_is_accessible(
    released_world: "World", browser: Browser, screen: str, scheme: str
) -> None:
    for opened in _open(released_world, browser, screen, scheme):
        for view in VIEWS:
            page = opened.show(view)
            for other in VIEWS:
                if other != view:
                    expect(page.locator(f"#view-{other}")).to_be_hidden()
            if page.locator(f"#view-{view} .chart").count():
                expect(page.locator(f"#view-{view} .chart svg")).to_be_visible()
                expect(page.locator(f"#view-{view} .chart [role]")).to_have_count(0)
            _assert_accessible(page)
            overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, f"{view} is wider than the screen"
            # what is folded has no size
            page.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")
            if page.locator(f"#view-{view} details").count():
                _assert_accessible(page)
            scrolled = page.evaluate(
                "[...document.querySelectorAll('.scroll')].filter(box =>"
                " box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight)"
                ".map(box => box.ariaLabel)"
            )
            assert scrolled == [], f"tables of {view} scroll inside the page"


def _assert_accessible(page: Page) -> None:
    found = Axe().run(page, options={"preload": False})
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("view", ["rare", "species", "hotspots", "quality"])
def test_every_chart_is_drawn_and_says_in_words_what_it_shows(opened: Opened, view: str) -> None:
    page = opened.show(view)
    chart = page.locator(f"#view-{view} .chart")
    expect(chart.locator("svg")).to_have_count(1)
    assert chart.locator("svg path").count() > 3
    expect(chart).to_have_attribute("role", "img")
    words = {
        "rare": "1 rare species",
        "species": "American Robin: on 100 %",
        "hotspots": "Most species: Rock Creek Park",
        "quality": "2 days are shown; 0 of them",
    }
    expect(chart).to_have_attribute("aria-label", re.compile(words[view]))


def test_the_filter_leaves_the_species_that_match(opened: Opened) -> None:
    page = opened.show("seen")
    rows = page.locator("#seen-table tbody tr")
    expect(rows).to_have_count(3)
    page.get_by_label("Find a species").fill("mall")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Mallard")
    page.get_by_label("Find a species").fill("dodo")
    expect(rows).to_have_text("No species with “dodo” in its name.")


def test_the_order_is_the_readers(opened: Opened) -> None:
    page = opened.show("seen")
    names = page.locator("#seen-table tbody td:first-child a")
    expect(names).to_have_text(["American Robin", "Mallard", "Northern Cardinal"])
    page.get_by_role("combobox", name="Order").select_option("biggest fall")
    expect(names).to_have_count(3)
    page.get_by_role("combobox", name="Order").select_option("by name")
    expect(names.first).to_have_text("American Robin")


def test_a_species_leads_to_its_year_and_back(opened: Opened) -> None:
    page = opened.show("seen")
    page.get_by_role("link", name="Mallard").click()
    expect(page.locator("#species-said")).to_contain_text("Mallard: on 100 %")
    expect(page.get_by_role("combobox", name="Species")).to_have_value("Mallard")
    page.go_back()
    expect(page.locator("#view-seen")).to_be_visible()


def test_the_region_has_its_name_and_every_watched_table_its_freshness(opened: Opened) -> None:
    page = opened.show("quality")
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "What birds are being seen in District of Columbia"
    )
    rows = page.locator("#fresh-table tbody tr")
    watched = [check for check in CHECKS if isinstance(check, FreshnessCheck)]
    expect(rows).to_have_count(len(watched))
    # the world is of 2020
    expect(rows.filter(has_text="ebird.species_daily").first).to_contain_text("hours ago")
    page.get_by_text("Checks that passed").first.click()
    expect(page.locator("#passed-table tbody tr").first).to_contain_text("passed")


CHANGES = {
    # complete checklists now and a week before, those with the species, and what is shown
    "a rise": ((200, 200, 100, 60), "▲ +20"),
    "a fall": ((200, 200, 60, 100), "▼ \N{MINUS SIGN}20"),
    "no more than chance": ((20, 20, 10, 8), "+10"),
    "nothing to compare": ((20, 0, 10, 0), "\N{EN DASH}"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_an_arrow_is_a_change_beyond_chance(opened: Opened, case: str) -> None:
    (now, before, with_now, with_before), shown = CHANGES[case]
    row = {
        "complete_now": now,
        "complete_before": before,
        "reporting_now": with_now,
        "reporting_before": with_before,
    }
    said = opened.show("seen").evaluate(
        "row => { const cell = changeCell(row); return cell.textContent || cell }", row
    )
    assert said == shown


def test_the_page_opens_on_the_region_with_the_most_checklists_of_late(opened: Opened) -> None:
    page = opened.show("seen")

    def opens_on(*days: tuple[str, str, int]) -> str:
        names = ("region_code", "obs_date", "num_checklists")
        rows = [dict(zip(names, day, strict=True)) for day in days]
        return page.evaluate("busiestRegion", rows)

    empty, few, many = (
        ("CA-NS", "2020-11-20", 0),
        ("JP-13", "2020-11-20", 3),
        ("US-MA", "2020-11-19", 2),
    )
    assert opens_on(empty, few, many, ("US-MA", "2020-11-20", 2)) == "US-MA"
    assert opens_on(("CA-NS", "2020-10-21", 50), few, many) == "JP-13"
    assert opens_on(empty) == "CA-NS"
    assert opens_on() == ""
    expect(page.locator("#region")).to_have_value("US-DC")


def test_the_reader_chooses_the_region_and_the_period_of_hotspots(
    released_world: "World", browser: Browser
) -> None:
    world = released_world
    changes = {
        # another region, with fewer checklists and a bird of its own
        "region_daily_totals": "'US-MA' AS region_code, 1 AS num_checklists",
        "species_daily": "'US-MA' AS region_code, 'Atlantic Puffin' AS com_name",
        "hotspot_ranking": "'US-MA' AS region_code, 'Plum Island' AS loc_name",
    }
    for name, change in changes.items():
        stored = f"stored.ebird__{name}"
        world.run_sql(
            "transform", f"INSERT INTO {stored} SELECT * REPLACE ({change}) FROM {stored}"
        )
    stored = "stored.ebird__hotspot_ranking"
    world.run_sql(
        "transform",
        f"UPDATE {stored} SET period = 'all'; INSERT INTO {stored} SELECT * REPLACE "
        f"('30 days' AS period, loc_name || ' of late' AS loc_name) FROM {stored}; "
        "INSERT INTO stored.ebird_staging__regions SELECT * REPLACE ('US-MA' AS region_code, "
        "'Massachusetts, United States' AS region_name) FROM stored.ebird_staging__regions",
    )
    for opened in _release_and_open(world, browser):
        page = opened.show("seen")
        expect(page.locator("#seen-table")).not_to_contain_text("Puffin")
        page.get_by_role("combobox", name="Region").select_option("Massachusetts")
        expect(page.locator("#seen-table tbody tr")).to_have_count(3)
        expect(page.locator("#seen-table tbody tr").first).to_contain_text("Atlantic Puffin")
        page.get_by_role("link", name="Hotspots").click()
        rows = page.locator("#hotspot-table tbody tr")
        for period, name in {"all loaded days": "Plum Island", "last 30 days": "of late"}.items():
            page.get_by_role("combobox", name="Period").select_option(period)
            expect(rows).to_have_count(1)
            expect(rows).to_contain_text(name)
            expect(page.locator("#hotspot-chart")).to_have_attribute("aria-label", re.compile(name))
        page.get_by_role("combobox", name="Region").select_option("District of Columbia")
        expect(rows).to_contain_text("Rock Creek Park")


def test_the_page_has_no_private_place_or_person(released_world: "World") -> None:
    world = released_world
    files = [file for file in world.release.folder.rglob("report/*") if file.is_file()]
    written = "".join(
        file.read_text(encoding="utf-8") for file in files if file.suffix in {".js", ".html"}
    )
    assert "Rock Creek Park" in written
    for degrees in PRIVATE_PLACE:
        # however it was rounded
        assert f"{abs(degrees):.3f}"[:-1] not in written
    for private in (PRIVATE_NAME, OBSERVER):
        assert private not in written


def test_rarities_are_listed_for_the_days_that_are_asked_for(opened: Opened) -> None:
    page = opened.show("rare")
    rows = page.locator("#rare-table tbody tr")
    expect(rows).to_have_count(2)
    page.get_by_label("Days").select_option("newest day")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Snowy Owl")
    expect(rows).to_contain_text("confirmed")
    expect(page.locator("#rare-chart")).to_have_attribute("aria-label", re.compile("Snowy Owl"))


def test_a_number_stands_on_the_map_unless_an_earlier_place_lies_too_close(opened: Opened) -> None:
    page = opened.show("rare")
    first, near, far = (
        {"label": label, "latitude": 38.9, "longitude": longitude}
        for label, longitude in (("1", -77.1), ("2", -77.099), ("3", -77.0))
    )
    size = {"width": 400, "height": 300}

    def shown(*places: dict[str, str | float]) -> str:
        found = page.evaluate("([places, size]) => apart(places, places, size)", [places, size])
        return "".join(str(place["label"]) for place in found)

    assert shown(first, near, far) == "13"
    assert shown(near, first, far) == "23"
    number = page.locator("#rare-chart svg text").get_by_text("1", exact=True)
    expect(number).to_have_count(1)
    expect(page.locator("#rare-table .pin")).to_have_text(["1", "1"])


def test_too_few_loaded_days_are_not_taken_for_no_arrivals(opened: Opened) -> None:
    page = opened.show("moving")
    for table, of, needed in (("#arrived", 29, 22), ("#departed", 35, 28)):
        expect(page.locator(table)).to_have_text(
            f"Not known: 2 of the last {of} days are loaded, and {needed} are needed."
        )


def test_who_came_and_who_left_is_told_unless_days_are_missing(
    released_world: "World", browser: Browser
) -> None:
    # 40 days: a duck came on the last, a cardinal left ten days ago, a robin was always there
    world, newest = released_world, DAYS[1]
    when = "CASE species_code WHEN 'mallar3' THEN n = 0 WHEN 'norcar' THEN n >= 10 ELSE true END"
    world.run_sql(
        "transform",
        "CREATE TEMP TABLE d AS SELECT t.* FROM stored.ebird__region_daily_totals t "
        f"WHERE obs_date = '{newest}'; CREATE TEMP TABLE s AS SELECT t.* "
        f"FROM stored.ebird__species_daily t WHERE obs_date = '{newest}'; "
        "DELETE FROM stored.ebird__region_daily_totals; DELETE FROM stored.ebird__species_daily; "
        "INSERT INTO stored.ebird__region_daily_totals "
        "SELECT d.* REPLACE (obs_date - n::INT AS obs_date) FROM d, range(40) r(n); "
        "INSERT INTO stored.ebird__species_daily "
        "SELECT s.* REPLACE (obs_date - n::INT AS obs_date) FROM s, range(40) r(n) "
        f"WHERE {when}",
    )
    told = {"#arrived": "Mallard", "#departed": "Northern Cardinal"}
    for opened in _release_and_open(world, browser):
        page = opened.show("moving")
        for table, species in told.items():
            rows = page.locator(f"{table} tbody tr")
            expect(rows).to_have_count(1)
            expect(rows).to_contain_text(species)
        expect(page.locator("#arrived")).to_contain_text("new here")
    # nobody looked for three weeks until yesterday
    for name in ("region_daily_totals", "species_daily"):
        world.run_sql(
            "transform",
            f"DELETE FROM stored.ebird__{name} WHERE obs_date BETWEEN "
            f"DATE '{newest}' - 22 AND DATE '{newest}' - 1",
        )
    for opened in _release_and_open(world, browser):
        page = opened.show("moving")
        for table, loaded in (("#arrived", "7 of the last 29"), ("#departed", "13 of the last 35")):
            expect(page.locator(table)).to_contain_text(f"Not known: {loaded} days")


def test_what_was_not_compared_is_not_said_to_be_unchanged(
    released_world: "World", browser: Browser
) -> None:
    world = released_world
    said = [_corrections(_open(world, browser))]

    manifest = world.release.folder / "manifest.json"
    contents = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(contents | {"contracts": {"ebird": "0.9.0"}}))
    other = "UPDATE stored.ebird__species_frequency SET complete_checklists = 6{}"
    world.run_sql("transform", other.format(1))
    said.append(_corrections(_release_and_open(world, browser)))

    (world.release.folder / "parquet/ebird/checklists.parquet").unlink()
    world.run_sql("transform", other.format(2))
    said.append(_corrections(_release_and_open(world, browser)))

    world.run_sql("transform", other.format(3))
    said.append(_corrections(_release_and_open(world, browser)))

    first, another_version, damaged, compared = said
    assert first == ("Not known: there is no release before it that can be read.", "")
    assert "under version 0.9.0 of the contract" in another_version[0]
    assert "are damaged" in damaged[0]
    assert re.fullmatch("Nothing: no day that release .* had has changed.", compared[0])
    assert "by day: ebird.species_daily, " in compared[1]
    assert "Tables without days are not compared" in compared[1]


def _corrections(pages: Iterator[Opened]) -> tuple[str, str]:
    [said] = [
        tuple(opened.show("quality").locator(f"#correction-{name}").inner_text() for name in _PARTS)
        for opened in pages
    ]
    table, hint = said
    return table.strip(), hint.strip()


_PARTS = ("table", "hint")


def _release_and_open(world: "World", browser: Browser) -> Iterator[Opened]:
    """The page of what transform has now, whatever the checks would say of it."""
    world.publish()
    resource, settings = DuckDBResource(database=":memory:"), world.settings
    with held_snapshots(settings) as held, attached(resource, settings, held) as connection:
        facts = Facts(datetime.now(UTC), uuid4().hex, "test", held.ids, {})
        make_release(connection, settings, facts)
    yield from _open(world, browser)


def test_the_footer_leads_to_the_data_by_every_way_to_the_page(
    released_world: "World", opened: Opened
) -> None:
    for report in (opened.file.parent, released_world.release.folder / "report"):
        opened.file = report / "index.html"
        links = opened.show("seen").locator("footer a")
        expect(links).to_have_text(["DuckDB file", "Parquet"])
        database, parquet = (
            # as a browser does it: `..` before links are followed
            Path(urlsplit(link.evaluate("link => link.href")).path)
            for link in links.all()
        )
        assert database.samefile(released_world.settings.release_path)
        assert parquet.samefile(released_world.release.folder / "parquet")


def test_the_numbers_are_those_of_the_marts(opened: Opened) -> None:
    page = opened.show("seen")
    first = page.locator("#seen-table tbody tr").first
    expect(first).to_contain_text("American Robin")
    assert first.locator("td").nth(1).inner_text() == "100 %"
    assert first.locator("td").nth(4).inner_text() == "12"
    page = opened.show("species")
    page.get_by_text("The numbers").nth(0).click()
    cells = page.locator("#species-table tbody td").all_inner_texts()
    assert [text.replace("\u2013", "-") for text in cells] == ["Nov 15-21", "100 %", "6", "6"]


def test_another_species_and_an_unknown_one(opened: Opened) -> None:
    page = opened.show("species")
    field = page.get_by_role("combobox", name="Species")
    field.fill("northern cardinal")
    field.press("Enter")
    expect(page.locator("#species-said")).to_contain_text("Northern Cardinal: on 100 %")
    field.fill("Dodo")
    field.press("Enter")
    expect(page.locator("#species-said")).to_contain_text("No species is called “Dodo”")


def test_the_keyboard_is_enough(opened: Opened) -> None:
    page = opened.show("seen")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    for _ in VIEWS:
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#view-quality")).to_be_visible()
    expect(page.get_by_role("link", name="Data quality")).to_have_attribute("aria-current", "page")


def test_withheld_data_is_told_with_its_reason(released_world: "World", browser: Browser) -> None:
    world = released_world
    world.run_sql("transform", "UPDATE stored.ebird__species_daily SET birds_counted = -7")
    world.publish()
    world.check()
    for opened in _open(world, browser):
        page = opened.show("quality")
        notice = page.locator("#notice")
        expect(notice).to_contain_text("Newer data was withheld")
        expect(notice).to_contain_text("ebird.species_daily: values: 6 of 6 rows fail")
        row = page.locator("#check-table tbody tr").filter(has_text="values")
        expect(row).to_contain_text("failed")


@pytest.mark.parametrize("has_status", [True, False])
def test_a_page_that_nobody_checks_any_more_says_so(
    released_world: "World", browser: Browser, *, has_status: bool
) -> None:
    world = released_world
    if not has_status:
        (world.release.folder.parent / "status.js").unlink()
    made = datetime.fromisoformat(world.release.manifest.created_at)
    for opened in _open(world, browser):
        notice = opened.page.locator("#notice")
        opened.page.clock.set_fixed_time(made + timedelta(hours=35))
        if has_status:
            opened.show("seen")
            expect(notice).to_be_empty()
        opened.page.clock.set_fixed_time(made + timedelta(days=9))
        page = opened.show("seen")
        expect(notice).to_contain_text("This release is 9 days old")
        expect(notice).to_contain_text(
            f"quality has not run since {made:%Y-%m-%d %H:%M} UTC" if has_status else "status.js"
        )
        _assert_accessible(page)
        if not has_status:
            # what is missing is an error of the browser's, and no fault of the page
            opened.faults.clear()


def test_an_old_release_knows_that_it_is_old_and_the_new_one_what_it_corrected(
    released_world: "World", browser: Browser
) -> None:
    world = released_world
    old = world.release.folder
    world.run_sql(
        "transform",
        "UPDATE stored.ebird__species_daily SET birds_counted = 9 WHERE species_code = 'norcar'",
    )
    world.publish()
    world.check()
    for opened in _open(world, browser):
        page = opened.show("quality")
        expect(page.locator("#notice")).to_be_empty()
        rows = page.locator("#correction-table tbody tr")
        expect(rows).to_have_count(2)
        expect(rows.first).to_have_text("ebird.species_daily2020-11-21010")
    for opened in _open(world, browser):
        opened.file = old / "report" / "index.html"
        page = opened.show("seen")
        expect(page.locator("#notice")).to_contain_text("an older release")


def test_a_name_is_text_and_never_code(released_world: "World", browser: Browser) -> None:
    world = released_world
    name = "</script><img src=x onerror=alert(1)>"
    world.run_sql("transform", f"UPDATE stored.ebird__species_daily SET com_name = $${name}$$")
    world.publish()
    world.check()
    for opened in _open(world, browser):
        page = opened.show("seen")
        expect(page.locator("#seen-table tbody tr").first).to_contain_text(name)
