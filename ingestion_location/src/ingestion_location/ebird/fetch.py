"""Fetch: from the API into landing files, and nothing else.

A day is read as its control totals, its lists of checklists (split where the cap of 200 cut them),
one sighting of each taxon, its leaders, and every checklist's own page: four or five calls that
tell of the same moment, and then one for each checklist. It must never ask for what a landing file
holds, and never take an error for an empty answer.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from ingestion_location.ebird.api import EbirdApi, with_query
from ingestion_location.ebird.errors import EbirdError, GoneError
from ingestion_location.ebird.history import READS
from ingestion_location.ebird.landing import Landing, LandingFile
from ingestion_location.ebird.pace import CONCURRENCY

LIST_CAP = 200
# what is asked one after the other of these days fills the gaps between the checklists of another
DAYS_AT_ONCE = CONCURRENCY
_REPORT_EVERY = 100


class FetchError(Exception):
    """Something could not be read; the message names the region, the day and the cause."""


@dataclass(frozen=True)
class DayRead:
    """One region's day in landing files by resource, complete.

    `top100` is missing for a county: eBird has no leaders for one. `reads` are those of all reads
    up to this one, as `history.READS` names them, if there were several.
    """

    region: str
    day: date
    files: Mapping[str, Path]
    reads: Mapping[str, Sequence[Path]]
    calls_made: int
    calls_saved: int


@dataclass
class SnapshotRead:
    """What is true now rather than on a day, in landing files by resource, complete."""

    files: dict[str, list[Path]] = field(default_factory=dict[str, list[Path]])
    calls_made: int = 0
    calls_saved: int = 0


@dataclass(frozen=True)
class Fetcher:
    """Reads days and snapshots on one read date; `report` gets a short line now and then.

    Several days are read at once, and every checklist of any of them waits in one line, so that
    the API is always asked as much at once as is allowed and the first day is still the first to
    be complete.
    """

    api: EbirdApi
    landing: Landing
    read_date: date
    report: Callable[[str], object]
    ages: tuple[int, ...]
    _unknown: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    _line: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(CONCURRENCY))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _gathering: dict[Path, threading.Lock] = field(default_factory=dict[Path, threading.Lock])

    def unknown(self) -> dict[str, set[str]]:
        """Fields that no shape knows, by resource, as they were met until now."""
        with self._lock:
            return {resource: set(fields) for resource, fields in self._unknown.items()}

    def days(self, regions_and_days: Iterable[tuple[str, date]]) -> Generator[DayRead]:
        """Read days in this order, a few of them ahead of the one that is given out.

        Raises `FetchError` in place of the first one that cannot be read; then, or when nobody
        wants more, the API is asked nothing more.
        """
        waiting = deque(regions_and_days)
        reading: deque[Future[DayRead]] = deque()
        with ThreadPoolExecutor(DAYS_AT_ONCE) as readers:
            try:
                while waiting or reading:
                    while waiting and len(reading) < DAYS_AT_ONCE:
                        reading.append(readers.submit(self.day, *waiting.popleft()))
                    yield reading.popleft().result()
            finally:
                if reading:
                    self.api.stop(EbirdError("the run has ended"))

    def day(self, region: str, day: date) -> DayRead:
        """Read one region's day. Raises `FetchError` with the region, the day and the cause."""
        read = self._held(region, day) or self.read_date.isoformat()
        files = {
            resource: self.landing.file(resource, region, day, read)
            for resource in DAY_RESOURCES
            if resource != "top100" or _has_leaders(region)
        }
        try:
            total, found = self._list_day(files["stats"], files["lists"], region, day)
            # nobody was out, so there is nothing more to ask
            quiet = not total and not found
            for resource, paths in _one_call_answers(region, day).items():
                if resource in files:
                    self._ask_all(files[resource], [] if quiet else paths)
            self._view_all(files["views"], files["lists"], found, f"{region} {day}")
            # it may have been asked again since it was complete
            files["lists"].forget_rejected()
        except EbirdError as error:
            msg = f"{region} {day}: {error}"
            raise FetchError(msg) from error
        finally:
            for file in files.values():
                self._close(file)
        made = sum(file.made for file in files.values())
        saved = sum(file.saved for file in files.values())
        self.report(f"{region} {day}: {len(found)} of {total} checklists, {made} calls")
        paths = {resource: file.path for resource, file in files.items()}
        return DayRead(region, day, paths, self._all_reads(region, day, read), made, saved)

    def snapshots(self, regions: Sequence[str]) -> SnapshotRead:
        """Read the unpartitioned resources of all regions. Raises `FetchError`."""
        read = SnapshotRead()

        def gather(resource: str, region: str, path: str, version: str | None = None) -> Any:
            file, body = self._gather(resource, region, path, version)
            read.files.setdefault(resource, []).append(file.path)
            read.calls_made += file.made
            read.calls_saved += file.saved
            return body

        for region in regions:
            gather("recent", region, _recent(region))
            gather("notable", region, _notable(region))
            gather("hotspots", region, _hotspots(region))
            gather("species_lists", region, f"product/spplist/{region}")
            gather("region_info", region, f"ref/region/info/{region}")
            if level := _level_below(region):
                gather("region_list", region, f"ref/region/list/{level}/{region}")
        versions = gather("taxonomy_versions", _WORLD, "ref/taxonomy/versions")
        for version in _newest_two(versions):
            # a version never changes, so it is asked for once, not once a day
            gather("taxa", _WORLD, _taxonomy(version), version=str(version))
        # a region that is no longer asked for keeps its days, and they its name
        for region in self.landing.regions("region_info") - set(regions):
            for resource in ("region_info", "region_list"):
                reads = self.landing.reads(resource, region, None)
                files = [self.landing.file(resource, region, None, name) for name in sorted(reads)]
                last = [file.path for file in files if file.is_complete][-1:]
                read.files.setdefault(resource, []).extend(last)
        self.report(f"snapshots of {', '.join(regions)}: {read.calls_made} calls")
        return read

    def _held(self, region: str, day: date) -> str | None:
        """The read date of landing files, complete or begun, that no call need repeat."""
        names: set[str] = set()
        for resource in DAY_RESOURCES:
            names |= self.landing.reads(resource, region, day)
        reads = (date.fromisoformat(name) for name in names)
        held = max((read for read in reads if read <= self.read_date), default=None)
        if held is None or is_due(day, last_read=held, today=self.read_date, ages=self.ages):
            return None
        return held.isoformat()

    def _all_reads(self, region: str, day: date, until: str) -> dict[str, list[Path]]:
        """The landing files of every read of a day up to one, if there were several.

        Of a read that was broken off, the checklists that were viewed; its totals are left out,
        by which the history knows that it says nothing of the others.
        """
        reads = sorted(name for name in self.landing.reads("views", region, day) if name <= until)
        if len(reads) == 1:
            return {}
        found: dict[str, list[Path]] = {resource: [] for resource in READS}
        for read in reads:
            views = self.landing.file("views", region, day, read)
            found["read_views"].append(views.whole_answers())
            others = {"read_notable": self.landing.file("notable", region, None, read)}
            if views.is_complete:
                others |= {
                    name: self.landing.file(READS[name], region, day, read)
                    for name in ("read_stats", "read_historic")
                }
            for name, file in others.items():
                if file.is_complete:
                    found[name].append(file.path)
        return found

    def _list_day(
        self, stats: LandingFile, lists: LandingFile, region: str, day: date
    ) -> tuple[int, list[str]]:
        """The day's control total, and the ids of all its checklists that can be found."""
        stats.open()
        total = stats.ask(self.api, f"product/stats/{region}/{_slashed(day)}")["numChecklists"]
        stats.complete()
        was_complete = lists.is_complete
        lists.open()
        if was_complete:
            lists.saved += len(lists.bodies)
        else:
            self._split(lists, region, day, total)
            lists.complete()
        return total, sorted(_sub_ids(lists))

    def _ask_all(self, file: LandingFile, paths: Sequence[str]) -> None:
        file.open()
        if file.is_complete:
            file.saved += len(file.bodies)
            return
        for path in paths:
            file.ask(self.api, path)
        file.complete()

    def _split(self, lists: LandingFile, place: str, day: date, total: int) -> None:
        """List a place, and its parts where the list was cut."""
        path = with_query(f"product/lists/{place}/{_slashed(day)}", maxResults=LIST_CAP)
        rows = lists.ask(self.api, path)
        if len(rows) < LIST_CAP or len(_sub_ids(lists)) >= total or place.startswith("L"):
            return
        for part in self._parts(place, day):
            self._split(lists, part, day, total)

    def _parts(self, region: str, day: date) -> list[str]:
        """The sub-regions of a region, or its hotspots where there are none."""
        if level := _level_below(region):
            path = f"ref/region/list/{level}/{region}"
            if children := self._gather("region_list", region, path)[1]:
                return [child["code"] for child in children]
        _, hotspots = self._gather("hotspots", region, _hotspots(region))
        # a hotspot that nobody has visited since cannot have a checklist of that day
        visited = (spot for spot in hotspots if (spot.get("latestObsDt") or "") >= day.isoformat())
        return [spot["locId"] for spot in visited]

    def _view_all(
        self, views: LandingFile, lists: LandingFile, sub_ids: list[str], where: str
    ) -> None:
        if views.is_complete:
            views.saved += len(sub_ids)
            return
        views.open()
        futures = [self._line.submit(self._view, views, lists, sub_id) for sub_id in sub_ids]
        try:
            for number, future in enumerate(futures, start=1):
                future.result()
                if number % _REPORT_EVERY == 0:
                    self.report(f"{where}: {number} of {len(futures)} checklists")
        finally:
            # none may still write when the file is closed
            wait([future for future in futures if not future.cancel()])
        views.complete()

    def _view(self, views: LandingFile, lists: LandingFile, sub_id: str) -> None:
        try:
            views.ask(self.api, f"product/checklist/view/{sub_id}")
        except GoneError:
            # deleted since it was listed? only the list itself can say so
            for path in lists.paths_with(sub_id):
                if any(row["subId"] == sub_id for row in lists.ask_again(self.api, path)):
                    raise
            self.report(f"{sub_id} was deleted while the day was being read")

    def _gather(
        self, resource: str, region: str, path: str, read: str | None = None
    ) -> tuple[LandingFile, Any]:
        """One unpartitioned resource that is one answer; days that need it at once ask once."""
        file = self.landing.file(resource, region, None, read or self.read_date.isoformat())
        try:
            with self._lock:
                one_at_once = self._gathering.setdefault(file.path, threading.Lock())
            with one_at_once:
                file.open()
                body = file.ask(self.api, path)
                file.complete()
        except EbirdError as error:
            msg = f"{region} {resource}: {error}"
            raise FetchError(msg) from error
        finally:
            self._close(file)
        return file, body

    def _close(self, file: LandingFile) -> None:
        file.close()
        with self._lock:
            self._unknown.setdefault(file.resource, set()).update(file.unknown)


def is_due(day: date, *, last_read: date, today: date, ages: Iterable[int]) -> bool:
    """Whether a day that was read on `last_read` has reached an age at which it is read again."""
    before, now = (last_read - day).days, (today - day).days
    return any(before < age <= now for age in ages)


DAY_RESOURCES = ("stats", "lists", "historic", "top100", "views")
_WORLD = "world"


def _sub_ids(lists: LandingFile) -> set[str]:
    return {row["subId"] for rows in lists.bodies for row in rows}


def _slashed(day: date) -> str:
    return f"{day.year}/{day.month}/{day.day}"


def _level_below(region: str) -> str | None:
    return {0: "subnational1", 1: "subnational2"}.get(region.count("-"))


def _recent(region: str) -> str:
    return with_query(f"data/obs/{region}/recent", back=30, includeProvisional="true")


def _notable(region: str) -> str:
    return with_query(f"data/obs/{region}/recent/notable", back=30, detail="full")


def _hotspots(region: str) -> str:
    return with_query(f"ref/hotspot/{region}", fmt="json")


def _taxonomy(version: float) -> str:
    return with_query("ref/taxonomy/ebird", fmt="json", version=version)


def _has_leaders(region: str) -> bool:
    """Whether eBird has a Top 100 for it: for a country, a state or a place, not for a county."""
    return _level_below(region) is not None


def _one_call_answers(region: str, day: date) -> dict[str, list[str]]:
    """What is asked about a day beside its lists and pages, by resource."""
    historic, top100 = f"data/obs/{region}/historic/{_slashed(day)}", f"product/top100/{region}"
    return {
        "historic": [with_query(historic, detail="full", includeProvisional="true")],
        "top100": [
            with_query(f"{top100}/{_slashed(day)}", rankedBy=ranked_by, maxResults=100)
            for ranked_by in ("spp", "cl")
        ],
    }


def _newest_two(versions: list[dict[str, Any]]) -> list[float]:
    """The version that `ref/taxonomy/versions` marks as the latest, and the one before it."""
    latest = max(float(entry["authorityVer"]) for entry in versions if entry["latest"])
    numbers = sorted({float(entry["authorityVer"]) for entry in versions}, reverse=True)
    return [number for number in numbers if number <= latest][:2]
