"""The marts once more, in slow and plain Python over raw rows: what the SQL is held against.

Written from the definitions, one function a mart, and without a look at the SQL. Rows are tuples
in the order of the contract's columns, as a snapshot has them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

Row = dict[str, Any]
Z = 1.96


@dataclass
class Reference:
    """Raw tables as lists of rows, and the marts as sorted lists of tuples."""

    raw: dict[str, list[Row]]

    def __post_init__(self) -> None:
        newest = max(taxon["taxonomy_version"] for taxon in self.raw["taxa"])
        self.taxa = {
            taxon["species_code"]: taxon
            for taxon in self.raw["taxa"]
            if taxon["taxonomy_version"] == newest
        }
        self.checklists = list(self.raw.get("checklists", []))
        self.primary = [row for row in self.checklists if self._is_primary(row)]
        self.by_checklist: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self.raw.get("observations", []):
            self.by_checklist[row["region_code"], row["sub_id"]].append(row)
        self.hotspots = {row["loc_id"]: row for row in self.raw.get("hotspots", [])}
        self.last_day = {
            region: max(row["obs_date"] for row in self.checklists if row["region_code"] == region)
            for region in {row["region_code"] for row in self.checklists}
        }

    def _is_primary(self, row: Row) -> bool:
        if row["group_id"] is None:
            return True
        copies = [
            other
            for other in self.checklists
            if (other["region_code"], other["obs_date"], other["group_id"])
            == (row["region_code"], row["obs_date"], row["group_id"])
        ]
        return row["sub_id"] == min(
            (copy["sub_id"] for copy in copies), key=lambda sub_id: int(sub_id[1:])
        )

    def species_of(self, checklist: Row) -> dict[str, int | None]:
        """The species on a checklist with their counts, None for one with an X among its forms."""
        found: dict[str, int | None] = {}
        for row in self.by_checklist[checklist["region_code"], checklist["sub_id"]]:
            taxon = self.taxa[row["species_code"]]
            code = taxon["species_code"] if taxon["category"] == "species" else taxon["report_as"]
            if code is None:
                continue
            count = None if row["how_many_str"] == "X" else int(row["how_many_str"])
            before = found.get(code, 0)
            found[code] = None if count is None or before is None else before + count
        return found

    def names(self, code: str) -> tuple[str, str]:
        """Common and scientific name."""
        return self.taxa[code]["com_name"], self.taxa[code]["sci_name"]

    def reports(self, rows: Iterable[Row]) -> list[tuple[Row, str, int | None]]:
        """Each species on each of the checklists."""
        return [(row, code, count) for row in rows for code, count in self.species_of(row).items()]

    def species_daily(self) -> list[tuple[Any, ...]]:
        groups: dict[tuple[str, str, date], list[tuple[Row, int | None]]] = defaultdict(list)
        for row, code, count in self.reports(self.primary):
            groups[row["region_code"], code, row["obs_date"]].append((row, count))
        made: list[tuple[Any, ...]] = []
        for (region, code, day), reports in groups.items():
            sample = [
                row
                for row in self.primary
                if (row["region_code"], row["obs_date"]) == (region, day)
                and row["all_obs_reported"]
            ]
            counts = [count for _, count in reports if count is not None]
            complete = sum(row["all_obs_reported"] for row, _ in reports)
            made.append(
                (
                    region,
                    code,
                    day,
                    *self.names(code),
                    len(sample),
                    complete,
                    len(reports),
                    sum(counts) if counts else None,
                    len(reports) - len(counts),
                    not counts,
                )
            )
        return sorted(made)

    def species_frequency(self) -> list[tuple[Any, ...]]:
        samples: dict[tuple[str, int, int], int] = defaultdict(int)
        found: dict[tuple[str, str, int, int], int] = defaultdict(int)
        for row in self.primary:
            if row["all_obs_reported"]:
                samples[row["region_code"], *quarter(row["obs_date"])] += 1
                for code in self.species_of(row):
                    found[row["region_code"], code, *quarter(row["obs_date"])] += 1
        ever = {(row["region_code"], code) for row, code, _ in self.reports(self.primary)}
        return sorted(
            (region, code, month, part, *self.names(code), n, k, k / n)
            for region, code in ever
            for (sampled, month, part), n in samples.items()
            if sampled == region
            for k in [found[region, code, month, part]]
        )

    def phenology(self) -> list[tuple[Any, ...]]:
        dates: dict[tuple[str, str, int], list[date]] = defaultdict(list)
        for row, code, _ in self.reports(self.primary):
            dates[row["region_code"], code, row["obs_date"].year].append(row["obs_date"])
        return sorted(
            (
                region,
                code,
                year,
                *self.names(code),
                min(days),
                sorted(days)[(len(days) - 1) // 2],
                max(days),
                len(set(days)),
                len(days),
            )
            for (region, code, year), days in dates.items()
        )

    def encounter_rate(self) -> list[tuple[Any, ...]]:
        comparable = [row for row in self.primary if is_comparable(row)]
        weeks: dict[tuple[str, date], list[Row]] = defaultdict(list)
        for row in comparable:
            weeks[row["region_code"], monday(row["obs_date"])].append(row)
        made: list[tuple[Any, ...]] = []
        for (region, week), rows in weeks.items():
            hours = sum(row["duration_hrs"] * 60 for row in rows) / 60
            for code in {code for _, code, _ in self.reports(rows)}:
                k = sum(code in self.species_of(row) for row in rows)
                made.append(
                    (region, code, week, *self.names(code), len(rows), hours, k, k / len(rows))
                )
        return sorted(made)

    def best_places(self) -> list[tuple[Any, ...]]:
        samples: dict[tuple[str, str, int], list[Row]] = defaultdict(list)
        for row in self.primary:
            if row["all_obs_reported"] and row["loc_id"] in self.hotspots:
                samples[row["region_code"], row["loc_id"], row["obs_date"].month].append(row)
        rated: dict[tuple[str, str, int], list[tuple[float, str, int, int]]] = defaultdict(list)
        for (region, place, month), rows in samples.items():
            for code in {code for _, code, _ in self.reports(rows)}:
                k, n = sum(code in self.species_of(row) for row in rows), len(rows)
                rated[region, code, month].append((wilson(k, n), place, n, k))
        made: list[tuple[Any, ...]] = []
        for (region, code, month), places in rated.items():
            for bound, place, n, k in places:
                spot = self.hotspots[place]
                better = sum(other > bound for other, *_ in places)
                made.append(
                    (
                        region,
                        code,
                        month,
                        place,
                        self.names(code)[0],
                        spot["loc_name"],
                        spot["lat"],
                        spot["lng"],
                        1 + better,
                        n,
                        k,
                        k / n,
                        bound,
                    )
                )
        return sorted(made)

    def checklist_species(self) -> list[tuple[Any, ...]]:
        ever = {(row["region_code"], code) for row, code, _ in self.reports(self.primary)}
        return sorted(
            (
                region,
                row["sub_id"],
                code,
                row["obs_date"],
                code in self.species_of(row),
                self.species_of(row).get(code, 0),
            )
            for row in self.primary
            if row["all_obs_reported"]
            for region, code in ever
            if region == row["region_code"]
        )

    def species_last_seen(self) -> list[tuple[Any, ...]]:
        dates: dict[tuple[str, str], list[date]] = defaultdict(list)
        for row, code, _ in self.reports(self.primary):
            dates[row["region_code"], code].append(row["obs_date"])
        made: list[tuple[Any, ...]] = []
        for (region, code), days in dates.items():
            last_day = self.last_day[region]
            this_year = [day for day in days if day.year == last_day.year]
            made.append(
                (
                    region,
                    code,
                    *self.names(code),
                    min(days),
                    min(this_year, default=None),
                    max(days),
                    (last_day - max(days)).days,
                    len(set(days)),
                    len(days),
                )
            )
        return sorted(made)

    def hotspot_ranking(self) -> list[tuple[Any, ...]]:
        made: list[tuple[Any, ...]] = []
        for region, last_day in self.last_day.items():
            for period, days in (("30 days", 30), ("365 days", 365), ("all", 10**5)):
                visits: dict[str, list[Row]] = defaultdict(list)
                for row in self.primary:
                    age = (last_day - row["obs_date"]).days
                    if row["region_code"] == region and age < days:
                        visits[row["loc_id"]].append(row)
                ranked = {
                    place: len({code for _, code, _ in self.reports(rows)})
                    for place, rows in visits.items()
                    if place in self.hotspots
                }
                for place, species in ranked.items():
                    rows, spot = visits[place], self.hotspots[place]
                    complete = [row for row in rows if row["all_obs_reported"]]
                    listed = sum(len(self.species_of(row)) for row in complete)
                    last = max(row["obs_date"] for row in rows)
                    made.append(
                        (
                            region,
                            place,
                            period,
                            spot["loc_name"],
                            spot["lat"],
                            spot["lng"],
                            1 + sum(other > species for other in ranked.values()),
                            len(rows),
                            species,
                            len(complete),
                            listed / len(complete) if complete else None,
                            last,
                            (last_day - last).days,
                        )
                    )
        return sorted(made)


def quarter(day: date) -> tuple[int, int]:
    return day.month, 1 if day.day < 8 else 2 if day.day < 15 else 3 if day.day < 22 else 4


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def is_comparable(row: Row) -> bool:
    distance = 0.0 if row["protocol_id"] == "P21" else row["effort_distance_km"]
    if row["protocol_id"] not in ("P21", "P22") or not row["all_obs_reported"]:
        return False
    if row["duration_hrs"] is None or distance is None or row["num_observers"] is None:
        return False
    minutes = row["duration_hrs"] * 60
    return (
        minutes <= 360
        and distance <= 10
        and distance * 60 <= minutes * 100
        and row["num_observers"] <= 10
    )


def wilson(k: int, n: int) -> float:
    p = k / n
    spread = Z * ((p * (1 - p) + Z * Z / (4 * n)) / n) ** 0.5
    return (p + Z * Z / (2 * n) - spread) / (1 + Z * Z / n)
