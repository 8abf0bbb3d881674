"""What somebody asked to be different: deleted, edited and added checklists, reviews, places.

These are the changes of the admin side, kept apart from what the seed brings by itself. This
module holds them; it must never decide what is visible.
"""

from dataclasses import dataclass, field, replace
from datetime import date

from ebird_sandbox.checklists import Checklist
from ebird_sandbox.places import Location


@dataclass
class Changes:
    """The changes so far, by the numbers in the keys of what they change."""

    deleted: dict[int, Checklist] = field(default_factory=dict[int, Checklist])
    replaced: dict[int, Checklist] = field(default_factory=dict[int, Checklist])
    added: dict[tuple[str, date], list[Checklist]] = field(
        default_factory=dict[tuple[str, date], list[Checklist]]
    )
    reviews: dict[int, bool] = field(default_factory=dict[int, bool])
    merged: dict[int, int] = field(default_factory=dict[int, int])
    renamed: dict[int, str] = field(default_factory=dict[int, str])
    targets: dict[int, Location] = field(default_factory=dict[int, Location])

    def deleted_before(self, area: str, day: date) -> list[Checklist]:
        """The deleted checklists of an area from before a day."""
        gone = self.deleted.values()
        return [checklist for checklist in gone if _is_before(checklist, area, day)]

    def added_before(self, area: str, day: date) -> list[Checklist]:
        """The added checklists of an area from before a day."""
        new = (checklist for added in self.added.values() for checklist in added)
        return [checklist for checklist in new if _is_before(checklist, area, day)]

    def made(self) -> list[Checklist]:
        """The checklists, still there, that were added or edited."""
        added = [one for checklists in self.added.values() for one in checklists]
        latest = {one.number: one for one in added} | self.replaced
        return [one for number, one in latest.items() if number not in self.deleted]

    @property
    def touched(self) -> bool:
        """Whether any place is not what it was."""
        return bool(self.merged or self.renamed)

    def place(self, location: Location) -> Location:
        """What a location is now: renamed, or part of the hotspot that it was merged into."""
        target = self.merged.get(location.number)
        if target is not None:
            location = self.targets[target]
        name = self.renamed.get(location.number)
        return replace(location, name=name) if name else location


def _is_before(checklist: Checklist, area: str, day: date) -> bool:
    return checklist.area.code == area and checklist.day < day
