"""The reference: one plain script with requests, pandas and DuckDB, as somebody writes it first.

`python plain.py FILE URL REGION DAY…` asks the same sandbox for the same days, puts the answers
into raw tables with pandas, and makes the tables that people get with the very SQL of the models,
each built whole in one statement. It keeps nothing that makes a pipeline: no landing files, no
retries, no checks, no history, no snapshots, no release that is complete or absent.

What it makes equals the release row by row, and the bench compares them: every table and view of
the schema `ebird` but `review_history`, which tells of what changed between two reads of a day.
A region with more than 200 checklists a day would need its lists split, and is refused.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from graphlib import TopologicalSorter
from pathlib import Path
from threading import local
from typing import Any

import duckdb
import pandas as pd
import requests
from tzfpy import get_tz

PROJECT = Path(__file__).parents[2] / "transform_location/src/transform_location/project"
LEFT_OUT = {"review_history", "observation_history", "location_history"}
AT_ONCE, LIST_CAP, DAYS_BACK = 8, 200, 30

Row = dict[str, Any]

# raw column: the API's field, and its type
CHECKLISTS = {
    "region_code": ("region", "VARCHAR"),
    "sub_id": ("subId", "VARCHAR"),
    "obs_date": ("day", "DATE"),
    "obs_dt": ("obsDt", "TIMESTAMP"),
    "obs_time_valid": ("obsTimeValid", "BOOLEAN"),
    "loc_id": ("loc.locId", "VARCHAR"),
    "loc_name": ("loc.name", "VARCHAR"),
    "latitude": ("loc.latitude", "DOUBLE"),
    "longitude": ("loc.longitude", "DOUBLE"),
    "is_hotspot": ("loc.isHotspot", "BOOLEAN"),
    "country_code": ("loc.countryCode", "VARCHAR"),
    "subnational1_code": ("loc.subnational1Code", "VARCHAR"),
    "subnational2_code": ("loc.subnational2Code", "VARCHAR"),
    "user_display_name": ("userDisplayName", "VARCHAR"),
    "num_species": ("numSpecies", "BIGINT"),
    "protocol_id": ("protocolId", "VARCHAR"),
    "group_id": ("groupId", "VARCHAR"),
    "duration_hrs": ("durationHrs", "DOUBLE"),
    "effort_distance_km": ("effortDistanceKm", "DOUBLE"),
    "effort_area_ha": ("effortAreaHa", "DOUBLE"),
    "num_observers": ("numObservers", "BIGINT"),
    "all_obs_reported": ("allObsReported", "BOOLEAN"),
    "read_at": ("read_at", "TIMESTAMP"),
}
OBSERVATIONS = {
    "region_code": ("region", "VARCHAR"),
    "obs_id": ("obsId", "VARCHAR"),
    "sub_id": ("subId", "VARCHAR"),
    "obs_date": ("day", "DATE"),
    "species_code": ("speciesCode", "VARCHAR"),
    "how_many_str": ("howManyStr", "VARCHAR"),
    "exotic_category": ("exoticCategory", "VARCHAR"),
}
REGION_STATS = {
    "region_code": ("region", "VARCHAR"),
    "obs_date": ("day", "DATE"),
    "num_checklists": ("numChecklists", "BIGINT"),
    "num_contributors": ("numContributors", "BIGINT"),
    "num_species": ("numSpecies", "BIGINT"),
    "is_capped": ("is_capped", "BOOLEAN"),
}
HISTORIC = {
    "region_code": ("region", "VARCHAR"),
    "obs_date": ("day", "DATE"),
    "obs_id": ("obsId", "VARCHAR"),
    "obs_valid": ("obsValid", "BOOLEAN"),
    "obs_reviewed": ("obsReviewed", "BOOLEAN"),
    "read_at": ("read_at", "TIMESTAMP"),
}
NOTABLE = {
    "region_code": ("region", "VARCHAR"),
    "obs_id": ("obsId", "VARCHAR"),
    "species_code": ("speciesCode", "VARCHAR"),
    "sub_id": ("subId", "VARCHAR"),
    "loc_id": ("locId", "VARCHAR"),
    "obs_dt": ("obsDt", "TIMESTAMP"),
    "how_many": ("howMany", "BIGINT"),
    "obs_valid": ("obsValid", "BOOLEAN"),
    "obs_reviewed": ("obsReviewed", "BOOLEAN"),
    "location_private": ("locationPrivate", "BOOLEAN"),
    "user_display_name": ("userDisplayName", "VARCHAR"),
    "polled_at": ("read_at", "TIMESTAMP"),
}
NOTABLE_POLLS = {
    "region_code": ("region", "VARCHAR"),
    "days_back": ("back", "BIGINT"),
    "polled_at": ("read_at", "TIMESTAMP"),
}
HOTSPOTS = {
    "region_code": ("region", "VARCHAR"),
    "loc_id": ("locId", "VARCHAR"),
    "loc_name": ("locName", "VARCHAR"),
    "country_code": ("countryCode", "VARCHAR"),
    "subnational1_code": ("subnational1Code", "VARCHAR"),
    "subnational2_code": ("subnational2Code", "VARCHAR"),
    "lat": ("lat", "DOUBLE"),
    "lng": ("lng", "DOUBLE"),
    "read_at": ("read_at", "TIMESTAMP"),
}
TAXA = {
    "taxonomy_version": ("version", "DOUBLE"),
    "species_code": ("speciesCode", "VARCHAR"),
    "com_name": ("comName", "VARCHAR"),
    "sci_name": ("sciName", "VARCHAR"),
    "category": ("category", "VARCHAR"),
    "taxon_order": ("taxonOrder", "DOUBLE"),
    "order_name": ("order", "VARCHAR"),
    "family_code": ("familyCode", "VARCHAR"),
    "family_com_name": ("familyComName", "VARCHAR"),
    "family_sci_name": ("familySciName", "VARCHAR"),
    "report_as": ("reportAs", "VARCHAR"),
    "is_extinct": ("is_extinct", "BOOLEAN"),
}
REGIONS = {
    "region_code": ("code", "VARCHAR"),
    "region_name": ("name", "VARCHAR"),
    "region_type": ("type", "VARCHAR"),
    "parent_code": ("parent", "VARCHAR"),
    "min_x": ("minX", "DOUBLE"),
    "max_x": ("maxX", "DOUBLE"),
    "min_y": ("minY", "DOUBLE"),
    "max_y": ("maxY", "DOUBLE"),
}
COLUMNS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "checklists": CHECKLISTS,
    "observations": OBSERVATIONS,
    "region_stats": REGION_STATS,
    "historic_observations": HISTORIC,
    "notable_observations": NOTABLE,
    "notable_polls": NOTABLE_POLLS,
    "hotspots": HOTSPOTS,
    "taxa": TAXA,
    "regions": REGIONS,
}


class Api:
    """The API, asked by threads that each keep one connection."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._mine = local()

    def get(self, path: str) -> Any:
        if not hasattr(self._mine, "session"):
            self._mine.session = requests.Session()
        answer = self._mine.session.get(f"{self.url}/{path}", headers={"X-eBirdApiToken": "any"})
        answer.raise_for_status()
        return answer.json()


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def days_rows(api: Api, region: str, days: Sequence[date]) -> dict[str, list[Row]]:
    """What the API says of these days, as rows by raw table."""
    found: dict[str, list[Row]] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:

        def ask(path: str) -> list[Any]:
            paths = [path.format(day=f"{day.year}/{day.month}/{day.day}") for day in days]
            return list(pool.map(api.get, paths))

        stats = ask(f"product/stats/{region}/{{day}}")
        lists = ask(f"product/lists/{region}/{{day}}?maxResults={LIST_CAP}")
        historic = ask(f"data/obs/{region}/historic/{{day}}?detail=full&includeProvisional=true")
        if any(len(rows) >= LIST_CAP for rows in lists):
            sys.exit(f"{region} has days with {LIST_CAP} checklists or more; take a smaller one")
        listed = [(day, row) for day, rows in zip(days, lists, strict=True) for row in rows]
        views = pool.map(api.get, [f"product/checklist/view/{row['subId']}" for _, row in listed])
        read_at = now()
        found["checklists"], found["observations"] = [], []
        for (day, row), view in zip(listed, views, strict=True):
            seen = view.pop("obs", [])
            here = {"region": region, "day": day, "read_at": read_at}
            place = {f"loc.{name}": value for name, value in row["loc"].items()}
            found["checklists"].append(view | place | here)
            found["observations"] += [bird | {"subId": view["subId"]} | here for bird in seen]
    for table, answers in (("region_stats", stats), ("historic_observations", historic)):
        found[table] = [
            {"is_capped": False} | row | {"region": region, "day": day, "read_at": read_at}
            for day, answer in zip(days, answers, strict=True)
            for row in (answer if isinstance(answer, list) else [answer])
        ]
    return found


def present_rows(api: Api, region: str) -> dict[str, list[Row]]:
    """What the API says of the present, as rows by raw table."""
    here = {"region": region, "read_at": now()}
    notable = api.get(
        f"data/obs/{region}/recent/notable?back={DAYS_BACK}&includeProvisional=true&detail=full"
    )
    hotspots = api.get(f"ref/hotspot/{region}?fmt=json")
    versions = sorted(float(entry["authorityVer"]) for entry in api.get("ref/taxonomy/versions"))
    taxa = [
        {"version": version, "is_extinct": bool(row.get("extinct"))} | row
        for version in versions[-2:]
        for row in api.get(f"ref/taxonomy/ebird?fmt=json&version={version}")
    ]
    return {
        "notable_observations": [row | here for row in notable],
        "notable_polls": [{"back": DAYS_BACK} | here],
        "hotspots": [row | here for row in hotspots],
        "taxa": taxa,
        "regions": list(region_rows(api, region)),
    }


def region_rows(api: Api, region: str) -> Iterator[Row]:
    info = api.get(f"ref/region/info/{region}")
    level = "subnational2" if "-" in region else "subnational1"
    found = {row["code"]: row for row in api.get(f"ref/region/list/{level}/{region}")}
    above = info
    while above and above.get("code", region):
        code = above.get("code", region)
        found[code] = {"code": code, "name": above["result"]}
        above = above.get("parent")
    found[region] |= info.get("bounds", {})
    for code, row in found.items():
        kind = ("country", "subnational1", "subnational2")[code.count("-")]
        yield row | {"type": kind, "parent": code.rpartition("-")[0] or None}


def store(connection: duckdb.DuckDBPyConnection, rows: Mapping[str, list[Row]]) -> None:
    """Put the rows into their raw tables, in place of what those have of the same days."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS ebird_raw")
    for table, columns in COLUMNS.items():
        name = f"ebird_raw.{table}"
        typed = ", ".join(f"{column} {kind}" for column, (_, kind) in columns.items())
        connection.execute(f"CREATE TABLE IF NOT EXISTS {name} ({typed})")
        fields = [field for field, _ in columns.values()]
        frame = pd.DataFrame(rows[table], columns=pd.Index(fields))
        connection.register("frame", frame)
        by_day = "WHERE obs_date IN (SELECT day::DATE FROM frame)" if "obs_date" in columns else ""
        connection.execute(f"DELETE FROM {name} {by_day}")
        cast = ", ".join(f'"{field}"::{kind}' for field, kind in columns.values())
        connection.execute(f"INSERT INTO {name} SELECT {cast} FROM frame")


def models() -> dict[str, tuple[str, str]]:
    """The models' queries by full name, each with TABLE or VIEW, in the order of their making."""
    found: dict[str, tuple[str, str]] = {}
    reads: dict[str, set[str]] = {}
    for file in PROJECT.glob("models/*/*.sql"):
        head, _, query = file.read_text(encoding="utf-8").partition("\n);")
        name = re.search(r"name ([\w.]+)", head)
        if name is None or file.stem in LEFT_OUT or "kind SEED" in head:
            continue
        for word, value in (
            ("@raw_catalog.", ""),
            ("@start_date", "DATE '1900-01-01'"),
            ("@end_date", "DATE '2200-01-01'"),
        ):
            query = query.replace(word, value)
        found[name[1]] = ("VIEW" if "kind VIEW" in head else "TABLE", query)
        reads[name[1]] = set(re.findall(r"\b(?:FROM|JOIN) (ebird(?:_staging)?\.\w+)", query))
    return {name: found[name] for name in TopologicalSorter(reads).static_order() if name in found}


def transform(connection: duckdb.DuckDBPyConnection) -> None:
    """Make every table from the raw ones."""

    def time_zone_at(latitude: float, longitude: float) -> str:
        return get_tz(longitude, latitude)

    connection.create_function("time_zone_at", time_zone_at)
    connection.execute(
        "CREATE SCHEMA IF NOT EXISTS ebird; CREATE SCHEMA IF NOT EXISTS ebird_staging"
    )
    life_list = str(PROJECT / "seeds" / "life_list.csv")
    connection.execute(
        f"CREATE OR REPLACE TABLE ebird_staging.life_list AS FROM read_csv('{life_list}')"
    )
    for name, (kind, query) in models().items():
        connection.execute(f"CREATE OR REPLACE {kind} {name} AS {query}")


def main(file: str, url: str, region: str, *days: str) -> None:
    api = Api(url)
    rows = days_rows(api, region, [date.fromisoformat(day) for day in days])
    rows |= present_rows(api, region)
    with duckdb.connect(file) as connection:
        store(connection, rows)
        transform(connection)


if __name__ == "__main__":
    main(*sys.argv[1:])
