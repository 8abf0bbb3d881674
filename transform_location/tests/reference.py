"""The marts once more, in slow and plain Python over raw rows: what the SQL is held against.

Written from the definitions, one function a mart, and without a look at the SQL. Rows are tuples
in the order of the contract's columns, as a snapshot has them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

Row = dict[str, Any]
Z = 1.96
CODE_AND_NAMES = ("species_code", "com_name", "sci_name")
# not Z * Z, which is 3.8415999999999997 in binary
Z_SQUARED = 3.8416
PROTOCOLS = {"P20": "incidental", "P21": "stationary", "P22": "traveling", "P62": "historical"}


@dataclass(frozen=True)
class Report:
    """A species on a visit: its count, None with an X, and whether a complete list has it."""

    count: int | None
    on_complete: bool


@dataclass(frozen=True)
class Visit:
    """A checklist or all copies of a shared one: the copy that is counted, and what any reports."""

    counted: Row
    reports: dict[str, Report]

    @property
    def region(self) -> str:
        return self.counted["region_code"]

    @property
    def day(self) -> date:
        return self.counted["obs_date"]

    @property
    def place(self) -> str:
        return self.counted["loc_id"]

    @property
    def is_complete(self) -> bool:
        return self.counted["all_obs_reported"]

    @property
    def listed(self) -> dict[str, int | None]:
        """What its complete copies report, which is what says something about absence."""
        return {code: one.count for code, one in self.reports.items() if one.on_complete}


@dataclass(frozen=True)
class Poll:
    """One poll of a region's notable reports, made at a time in UTC."""

    region: str
    at: datetime
    reports: dict[str, Row]

    def reaches(self, day: date) -> bool:
        """Whether it has all reports of a local date: also where the day began 14 hours before
        that of Greenwich, the whole of it is within the days that were asked for."""
        began = datetime.combine(day, datetime.min.time()) - timedelta(hours=14)
        return began >= self.at - timedelta(days=30)


@dataclass
class Reference:
    """Raw tables as lists of rows, and the marts as lists of tuples, sorted by their keys."""

    raw: dict[str, list[Row]]
    life_list: list[Row]
    # every poll of notable reports that a run read, with what it found; raw has the last one only
    polls: list[Poll]

    def __post_init__(self) -> None:
        self.versions: dict[float, dict[str, Row]] = defaultdict(dict)
        for taxon in sorted(self.raw["taxa"], key=lambda taxon: taxon["taxonomy_version"]):
            self.versions[taxon["taxonomy_version"]][taxon["species_code"]] = taxon
        self.taxa = self.versions[max(self.versions)]
        self.copies = list(self.raw.get("checklists", []))
        self.observations: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self.raw.get("observations", []):
            self.observations[row["region_code"], row["sub_id"]].append(row)
        self.visits = self._visits()
        self.hotspots = self._hotspots()
        self.stats = {
            (row["region_code"], row["obs_date"]): row for row in self.raw.get("region_stats", [])
        }
        days = {(row["region_code"], row["obs_date"]) for row in self.copies} | set(self.stats)
        self.last_day = dict(sorted(days))

    def _hotspots(self) -> dict[str, tuple[str, float, float]]:
        """Name and coordinates of what is a hotspot today: the newest list has it, unless a
        checklist that was read after the list says otherwise, of which the last read holds."""
        listed = self.raw.get("hotspots", [])
        read_at = {row["region_code"]: row["read_at"] for row in listed}
        found = {row["loc_id"]: (row["loc_name"], row["lat"], row["lng"]) for row in listed}
        for row in sorted(self.copies, key=lambda row: row["read_at"]):
            if row["read_at"] <= read_at[row["region_code"]]:
                continue
            if not row["is_hotspot"]:
                found.pop(row["loc_id"], None)
            elif row["loc_id"] not in found:
                found[row["loc_id"]] = row["loc_name"], row["latitude"], row["longitude"]
        return found

    def _visits(self) -> list[Visit]:
        """Every checklist, the copies of a shared one together."""
        groups: dict[tuple[str, date, str], list[Row]] = defaultdict(list)
        for row in self.copies:
            group = row["group_id"] or row["sub_id"]
            groups[row["region_code"], row["obs_date"], group].append(row)
        return [self._visit(sorted(rows, key=rank)) for rows in groups.values()]

    def _visit(self, copies: list[Row]) -> Visit:
        reports: dict[str, Report] = {}
        for copy in copies:
            for code, count in self.species_of(copy).items():
                reports.setdefault(code, Report(count, copy["all_obs_reported"]))
        return Visit(copies[0], reports)

    def species_of(self, checklist: Row) -> dict[str, int | None]:
        """The species on one copy with their counts, None for one with an X among its forms."""
        found: dict[str, int | None] = {}
        for row in self.observations[checklist["region_code"], checklist["sub_id"]]:
            code = self.species(row["species_code"])
            if code is None:
                continue
            count = None if row["how_many_str"] == "X" else int(row["how_many_str"])
            before = found.get(code, 0)
            found[code] = None if count is None or before is None else before + count
        return {code: count for code, count in found.items() if count != 0}

    def species(self, code: str) -> str | None:
        """The species that a taxon is of, None for one that is of no single species.

        A code that the newest taxonomy lacks is what became of it, version by version.
        """
        known = [version for version, taxa in self.versions.items() if code in taxa]
        if not known:
            return None
        taxon: Row | None = self.versions[known[-1]][code]
        for old, new in pairwise(version for version in self.versions if version >= known[-1]):
            parts = parts_of(taxon, self.versions[old], self.versions[new])
            taxon = successor(taxon, self.versions[new], parts)
            if taxon is None:
                return None
        return rolled_up(taxon)

    def names(self, code: str) -> tuple[str, str]:
        """Common and scientific name."""
        return self.taxa[code]["com_name"], self.taxa[code]["sci_name"]

    def region_daily_totals(self) -> list[tuple[Any, ...]]:
        copies: dict[tuple[str, date], list[Row]] = {day: [] for day in self.stats}
        for row in self.copies:
            copies.setdefault((row["region_code"], row["obs_date"]), []).append(row)
        made: list[tuple[Any, ...]] = []
        for (region, day), rows in copies.items():
            visits = [visit for visit in self.visits if (visit.region, visit.day) == (region, day)]
            stats = self.stats.get((region, day), defaultdict(lambda: None))
            said = stats["num_checklists"]
            made.append(
                (
                    region,
                    day,
                    len(rows),
                    sum(visit.is_complete for visit in visits),
                    len({row["user_display_name"] for row in rows}),
                    len({code for visit in visits for code in visit.reports}),
                    said,
                    stats["num_contributors"],
                    stats["num_species"],
                    len(rows) / said if said else None,
                    stats["is_capped"],
                )
            )
        return sorted(made)

    def species_daily(self) -> list[tuple[Any, ...]]:
        samples: dict[tuple[str, date], int] = defaultdict(int)
        reports: dict[tuple[str, str, date], list[Report]] = defaultdict(list)
        for visit in self.visits:
            samples[visit.region, visit.day] += visit.is_complete
            for code, report in visit.reports.items():
                reports[visit.region, code, visit.day].append(report)
        made: list[tuple[Any, ...]] = []
        for (region, code, day), found in reports.items():
            counts = [report.count for report in found if report.count is not None]
            made.append(
                (
                    region,
                    code,
                    day,
                    *self.names(code),
                    samples[region, day],
                    sum(report.on_complete for report in found),
                    len(found),
                    sum(counts) if counts else None,
                    len(found) - len(counts),
                    not counts,
                )
            )
        return sorted(made)

    def species_frequency(self) -> list[tuple[Any, ...]]:
        samples: dict[tuple[str, int, int], int] = defaultdict(int)
        found: dict[tuple[str, str, int, int], int] = defaultdict(int)
        for visit in self.visits:
            if visit.is_complete:
                samples[visit.region, *quarter(visit.day)] += 1
                for code in visit.listed:
                    found[visit.region, code, *quarter(visit.day)] += 1
        ever = {(visit.region, code) for visit in self.visits for code in visit.reports}
        return sorted(
            (region, code, month, part, *self.names(code), n, k, k / n)
            for region, code in ever
            for (sampled, month, part), n in samples.items()
            if sampled == region
            for k in [found[region, code, month, part]]
        )

    def targets(self) -> list[tuple[Any, ...]]:
        samples: dict[tuple[str, int], int] = defaultdict(int)
        found: dict[tuple[str, int, str], int] = defaultdict(int)
        for visit in self.visits:
            if visit.is_complete:
                samples[visit.region, visit.day.month] += 1
                for code in visit.listed:
                    found[visit.region, visit.day.month, code] += 1
        made: list[tuple[Any, ...]] = []
        for person in {row["person"] for row in self.life_list}:
            seen = {
                self.species(row["species_code"])
                for row in self.life_list
                if row["person"] == person
            }
            wanted = {key: k for key, k in found.items() if key[2] not in seen}
            for (region, month, code), k in wanted.items():
                n = samples[region, month]
                better = sum(
                    other > k for key, other in wanted.items() if key[:2] == (region, month)
                )
                made.append(
                    (person, region, month, code, *self.names(code), 1 + better, n, k, k / n)
                )
        return sorted(made)

    def phenology(self) -> list[tuple[Any, ...]]:
        dates: dict[tuple[str, str, int], list[date]] = defaultdict(list)
        for visit in self.visits:
            for code in visit.reports:
                dates[visit.region, code, visit.day.year].append(visit.day)
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
        weeks: dict[tuple[str, date], list[Visit]] = defaultdict(list)
        for visit in self.visits:
            if is_comparable(visit.counted):
                weeks[visit.region, monday(visit.day)].append(visit)
        made: list[tuple[Any, ...]] = []
        for (region, week), visits in weeks.items():
            n = len(visits)
            hours = hours_of([visit.counted for visit in visits])
            for code in {code for visit in visits for code in visit.listed}:
                k = sum(code in visit.listed for visit in visits)
                made.append((region, code, week, *self.names(code), n, hours, k, k / n))
        return sorted(made)

    def best_places(self) -> list[tuple[Any, ...]]:
        samples: dict[tuple[str, str, int], list[Visit]] = defaultdict(list)
        for visit in self.visits:
            if visit.is_complete and visit.place in self.hotspots:
                samples[visit.region, visit.place, visit.day.month].append(visit)
        rated: dict[tuple[str, str, int], list[tuple[float, str, int, int]]] = defaultdict(list)
        for (region, place, month), visits in samples.items():
            for code in {code for visit in visits for code in visit.listed}:
                k, n = sum(code in visit.listed for visit in visits), len(visits)
                rated[region, code, month].append((wilson(k, n), place, n, k))
        made: list[tuple[Any, ...]] = []
        for (region, code, month), places in rated.items():
            for bound, place, n, k in places:
                better = sum(other > bound for other, *_ in places)
                made.append(
                    (
                        region,
                        code,
                        month,
                        place,
                        self.names(code)[0],
                        *self.spot(place),
                        1 + better,
                        n,
                        k,
                        k / n,
                        bound,
                    )
                )
        return sorted(made)

    def checklists(self) -> list[tuple[Any, ...]]:
        made: list[tuple[Any, ...]] = []
        for visit in self.visits:
            row = visit.counted
            public = visit.place in self.hotspots
            made.append(
                (
                    visit.region,
                    row["sub_id"],
                    visit.day,
                    row["obs_dt"] if row["obs_time_valid"] else None,
                    *((visit.place, *self.spot(visit.place)) if public else (None,) * 4),
                    PROTOCOLS[row["protocol_id"]],
                    None if row["duration_hrs"] is None else row["duration_hrs"] * 60,
                    distance(row),
                    row["effort_area_ha"],
                    row["num_observers"],
                    visit.is_complete,
                )
            )
        return sorted(made)

    def checklist_reports(self) -> list[tuple[Any, ...]]:
        return sorted(
            (
                visit.region,
                visit.counted["sub_id"],
                code,
                visit.day,
                report.on_complete,
                report.count,
            )
            for visit in self.visits
            for code, report in visit.reports.items()
        )

    def checklist_species(self) -> list[tuple[Any, ...]]:
        ever = {(visit.region, code) for visit in self.visits for code in visit.listed}
        return sorted(
            (
                region,
                visit.counted["sub_id"],
                code,
                visit.day,
                code in visit.listed,
                visit.listed.get(code, 0),
            )
            for visit in self.visits
            if visit.is_complete
            for region, code in ever
            if region == visit.region
        )

    def species_last_seen(self) -> list[tuple[Any, ...]]:
        dates: dict[tuple[str, str], list[date]] = defaultdict(list)
        for visit in self.visits:
            for code in visit.reports:
                dates[visit.region, code].append(visit.day)
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
                made += self._ranked(region, period, last_day - timedelta(days=days - 1))
        return sorted(made)

    def _ranked(self, region: str, period: str, first: date) -> Iterator[tuple[Any, ...]]:
        at: dict[str, list[Visit]] = defaultdict(list)
        for visit in self.visits:
            if visit.region == region and visit.day >= first and visit.place in self.hotspots:
                at[visit.place].append(visit)
        species = {
            place: len({code for visit in visits for code in visit.reports})
            for place, visits in at.items()
        }
        for place, visits in at.items():
            complete = [visit for visit in visits if visit.is_complete]
            last = max(visit.day for visit in visits)
            yield (
                region,
                place,
                period,
                *self.spot(place),
                1 + sum(other > species[place] for other in species.values()),
                len(visits),
                species[place],
                len(complete),
                sum(len(visit.listed) for visit in complete) / len(complete) if complete else None,
                last,
                (self.last_day[region] - last).days,
            )

    def rarity_alerts(self) -> list[tuple[Any, ...]]:
        told: dict[tuple[str, str], Poll] = {}
        for poll in sorted(self.polls, key=lambda poll: poll.at):
            told |= {(poll.region, obs_id): poll for obs_id in poll.reports}
        birds: dict[tuple[str, str, str], list[tuple[Row, str]]] = defaultdict(list)
        for (region, obs_id), last in told.items():
            row = last.reports[obs_id]
            code = self.species(row["species_code"])
            if code is None or row["location_private"] or row["loc_id"] not in self.hotspots:
                continue
            day = row["obs_dt"].date()
            has_gone = any(
                poll.region == region and poll.at > last.at and poll.reaches(day)
                for poll in self.polls
            )
            birds[region, code, row["loc_id"]].append((row, state_of(row, has_gone=has_gone)))
        return sorted(
            (
                *(region, code, place, day, self.names(code)[0], *self.spot(place)),
                *alert_of([one for one in reports if one[0]["obs_dt"].date() == day], reports),
            )
            for (region, code, place), reports in birds.items()
            for day in {row["obs_dt"].date() for row, _ in reports}
        )

    def taxonomy_crosswalk(self) -> list[tuple[Any, ...]]:
        versions = self.versions
        made: list[tuple[Any, ...]] = []
        for old, new in pairwise(versions):
            for taxon in versions[old].values():
                parts = parts_of(taxon, versions[old], versions[new])
                became = successor(taxon, versions[new], parts)
                change = change_of(taxon, became, parts)
                if change is None:
                    continue
                if became and taxon["category"] == "species" != became["category"]:
                    became = versions[new].get(rolled_up(became) or "", became)
                made.append(
                    (
                        old,
                        taxon["species_code"],
                        taxon["com_name"],
                        taxon["sci_name"],
                        new,
                        *(became and became[name] for name in CODE_AND_NAMES),
                        change,
                    )
                )
        return sorted(made)

    def review_history(self) -> list[tuple[Any, ...]]:
        made: list[tuple[Any, ...]] = []
        newest_first = sorted(self.raw["taxa"], key=lambda row: -row["taxonomy_version"])
        for row in self.raw["observation_history"]:
            code, count = row["species_code"], row["how_many_str"]
            valid, reviewed = row["obs_valid"], row["obs_reviewed"]
            names = [taxon["com_name"] for taxon in newest_first if taxon["species_code"] == code]
            made.append(
                (
                    row["region_code"],
                    row["obs_date"],
                    row["obs_id"],
                    row["valid_from"],
                    row["valid_to"],
                    row["sub_id"],
                    code,
                    names[0],
                    row["change"],
                    row["changed_fields"],
                    valid,
                    reviewed,
                    None if valid is None else (valid, reviewed) == (False, False),
                    row["is_withdrawn"],
                    None if count == "X" else int(count),
                    count == "X",
                )
            )
        return sorted(made, key=lambda row: row[:4])

    def category(self, code: str) -> str:
        """The kind of taxon that a code is in the newest taxonomy that has it."""
        known = [taxon for taxon in self.raw["taxa"] if taxon["species_code"] == code]
        return max(known, key=lambda taxon: taxon["taxonomy_version"])["category"]

    def spot(self, place: str) -> tuple[str, float, float]:
        """Name and coordinates of a hotspot."""
        return self.hotspots[place]


def rank(copy: Row) -> tuple[bool, int]:
    """The order of a shared checklist's copies: complete ones first, the lowest number first."""
    return not copy["all_obs_reported"], int(copy["sub_id"][1:])


def state_of(report: Row, *, has_gone: bool) -> str:
    """What is thought of one report: a poll that reaches back to it and lacks it withdraws it."""
    if has_gone or (report["obs_reviewed"] and not report["obs_valid"]):
        return "withdrawn"
    return "confirmed" if report["obs_reviewed"] else "unconfirmed"


def alert_of(day: list[tuple[Row, str]], all_days: list[tuple[Row, str]]) -> tuple[Any, ...]:
    """The bird's state on a day, its first and last date that stand, its lists and observers.

    Reports that stand make the state and are counted; if none does, those that once did.
    """
    left = [one for one in day if one[1] != "withdrawn"] or day
    states = {state for _, state in left}
    standing = [row["obs_dt"].date() for row, state in all_days if state != "withdrawn"]
    return (
        next(state for state in ("confirmed", "unconfirmed", "withdrawn") if state in states),
        min(standing, default=None),
        max(standing, default=None),
        len({row["sub_id"] for row, _ in left}),
        len({row["user_display_name"] for row, _ in left}),
    )


def rolled_up(taxon: Row) -> str | None:
    """The species that a taxon counts as in its own version."""
    return taxon["species_code"] if taxon["category"] == "species" else taxon["report_as"]


def parts_of(taxon: Row, old: dict[str, Row], new: dict[str, Row]) -> set[str]:
    """The species of the next version that all that counted as this taxon counts as there."""
    members = [other["species_code"] for other in old.values()]
    members = [code for code in members if rolled_up(old[code]) == taxon["species_code"]]
    species = [rolled_up(new[code]) for code in members if code in new]
    return {code for code in species if code is not None}


def successor(taxon: Row, taxa: dict[str, Row], parts: set[str]) -> Row | None:
    """The taxon of the next version with its code, unless it was split with one of its names, or
    else the one species that its forms are now."""
    if taxon["species_code"] in taxa:
        return taxa[taxon["species_code"]]
    if len(parts) > 1:
        return None
    for name in ("sci_name", "com_name"):
        namesakes = [
            code
            for code, other in taxa.items()
            if (other[name], other["category"]) == (taxon[name], taxon["category"])
        ]
        if namesakes:
            return taxa[min(namesakes)]
    return taxa.get(min(parts, default=""))


def change_of(taxon: Row, became: Row | None, parts: set[str]) -> str | None:
    """The kind of change, None for none."""
    if len(parts) > 1:
        return "split"
    if became is None:
        return "retired"
    was, now = (row["category"] == "species" for row in (taxon, became))
    if was != now:
        return "lumped" if was else "split"
    if taxon["species_code"] != became["species_code"]:
        return "recoded"
    if any(taxon[name] != became[name] for name in ("sci_name", "com_name")):
        return "renamed"
    same = taxon["category"] == became["category"] and rolled_up(taxon) == rolled_up(became)
    return None if same else "reclassified"


def quarter(day: date) -> tuple[int, int]:
    return day.month, 1 if day.day < 8 else 2 if day.day < 15 else 3 if day.day < 22 else 4


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def distance(row: Row) -> float | None:
    return 0.0 if row["protocol_id"] == "P21" else row["effort_distance_km"]


def is_comparable(row: Row) -> bool:
    km = distance(row)
    if row["protocol_id"] not in ("P21", "P22") or not row["all_obs_reported"]:
        return False
    if row["duration_hrs"] is None or km is None or row["num_observers"] is None:
        return False
    minutes = row["duration_hrs"] * 60
    return minutes <= 360 and km <= 10 and km * 60 <= minutes * 100 and row["num_observers"] <= 10


def wilson(k: int, n: int) -> float:
    p = k / n
    spread = Z * math.sqrt((p * (1 - p) + Z_SQUARED / (4 * n)) / n)
    return (p + Z_SQUARED / (2 * n) - spread) / (1 + Z_SQUARED / n)


def hours_of(rows: list[Row]) -> float:
    """Added up in millionths of a minute: a sum of floats would depend on the order of the rows."""
    minutes = sum(round(row["duration_hrs"] * 60 * 10**6) for row in rows)
    return minutes / 10**6 / 60
