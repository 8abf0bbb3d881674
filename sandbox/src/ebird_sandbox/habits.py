"""What people do: how they watch, when they start, and when they submit.

A few rough chances that make checklists believable. This module must never know a bird.
"""
# ruff: noqa: PLR2004 - chances are said where they are used
# ruff: noqa: DTZ001 - local times without a zone, as eBird gives them

from datetime import date, datetime, timedelta
from random import Random

from ebird_sandbox.places import Location


def protocol(rng: Random, location: Location) -> str:
    """Traveling, stationary, incidental or historical."""
    roll = rng.random()
    if location.is_hotspot:
        return "P22" if roll < 0.74 else "P21" if roll < 0.89 else "P20" if roll < 0.985 else "P62"
    return "P21" if roll < 0.55 else "P22" if roll < 0.8 else "P20" if roll < 0.985 else "P62"


def start(rng: Random) -> int:
    """Minutes after midnight: most go out in the morning, some in the evening, few at night."""
    roll = rng.random()
    if roll < 0.72:
        return int(rng.triangular(5 * 60, 13 * 60, 7.5 * 60))
    if roll < 0.98:
        return int(rng.triangular(11 * 60, 20 * 60, 16.5 * 60))
    return rng.randrange(24 * 60)


def created(rng: Random, day: date, start: int | None) -> datetime:
    """When the checklist is submitted: mostly at once, sometimes days later."""
    roll = rng.random()
    midnight = datetime(day.year, day.month, day.day)
    begin = midnight + timedelta(minutes=12 * 60 if start is None else start)
    if roll < 0.8:
        return begin + timedelta(minutes=int(20 + rng.expovariate(1 / 150)))
    if roll < 0.95:
        return begin + timedelta(hours=rng.uniform(5, 36))
    return begin + timedelta(days=rng.uniform(1, 9))
