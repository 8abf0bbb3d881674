"""Query and path parameters as eBird reads them: lenient about form, strict about range.

Unknown parameters are never looked at. This module must never raise anything but ``ApiError``.
"""

import math
import re
from collections.abc import Sequence
from datetime import date
from typing import NoReturn

from starlette.requests import Request

from ebird_sandbox.replies import ApiError
from ebird_sandbox.taxonomy import CATEGORIES

MOST_DAYS_BACK = 30
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?([0-9]{1,15}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)


def refuse_field(name: str, code: str, says: str) -> NoReturn:
    """Raises the error of a field that cannot be what it is."""
    raise ApiError(400, code, says, name)


def integer(request: Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number between two others; absent or empty, the default."""
    text = request.query_params.get(name, "").strip()
    if not text:
        return default
    if not _INTEGER.fullmatch(text):
        refuse_field(name, "typeMismatch", f"{name} is not a whole number.")
    value = int(text)
    if value < low:
        refuse_field(name, "Min", f"{name} must be greater than or equal to {low}.")
    if value > high:
        refuse_field(name, "Max", f"{name} must be less than or equal to {high}.")
    return value


def days_back(request: Request, default: int) -> int:
    """How many days to look back."""
    days = integer(request, "back", default, 1, 999_999_999)
    if days > MOST_DAYS_BACK:
        says = f"The maximum number of days back is {MOST_DAYS_BACK}"
        refuse_field("back", "error.data.too_many_back", says)
    return days


def max_results(request: Request, default: int, cap: int) -> int:
    """How many rows at most. More than the cap is cut to it, and nothing says so."""
    return min(integer(request, "maxResults", default, 1, 999_999_999), cap)


def boolean(request: Request, name: str) -> bool:
    """True or false, in any case of letters."""
    text = request.query_params.get(name, "").strip().lower()
    if text in ("", "false", "no", "off", "0"):
        return False
    if text in ("true", "yes", "on", "1"):
        return True
    refuse_field(name, "typeMismatch", f"{name} is not a boolean.")


def decimal(request: Request, name: str, low: float, high: float) -> float:
    """A coordinate, which must be given."""
    text = request.query_params.get(name, "").strip()
    if not text:
        refuse_field(name, "NotNull", f"{name} is required.")
    if not _DECIMAL.fullmatch(text):
        refuse_field(name, "typeMismatch", f"{name} is not a number.")
    value = float(text)
    if not low <= value <= high:
        refuse_field(name, "Range", f"{name} must be between {low:g} and {high:g}.")
    return value


def distance(request: Request, default: float, high: float) -> float:
    """A radius in kilometres."""
    text = request.query_params.get("dist", "").strip()
    if not text:
        return default
    value = float(text) if _DECIMAL.fullmatch(text) else math.nan
    if math.isnan(value):
        refuse_field("dist", "typeMismatch", "dist is not a number.")
    if not 0 <= value <= high:
        refuse_field(
            "dist", "error.data.dist_out_of_range", f"Distance must be between 0 and {high:g}"
        )
    return value


def choice(request: Request, name: str, default: str, allowed: Sequence[str]) -> str:
    """One of a few words."""
    text = request.query_params.get(name, "").strip()
    if not text:
        return default
    if text.lower() not in allowed:
        refuse_field(name, "Pattern", f"{name} is invalid.")
    return text.lower()


def categories(request: Request) -> frozenset[str] | None:
    """The taxonomic categories asked for; none given means all."""
    words = frozenset(words_of(request, "cat"))
    if words - set(CATEGORIES):
        refuse_field("cat", "Pattern", "cat is invalid.")
    return words or None


def words_of(request: Request, name: str, most: int | None = None) -> list[str]:
    """A list, separated by commas or given by repeating the parameter."""
    values = ",".join(request.query_params.getlist(name)).split(",")
    words = [value.strip() for value in values if value.strip()]
    if most is not None and len(words) > most:
        refuse_field(name, "Size", f"size must be between 0 and {most}.")
    return words


def path_date(request: Request) -> date:
    """The date in a path, zero-padded or not."""
    try:
        year, month, day = (_number(request.path_params[part]) for part in ("y", "m", "d"))
        if not 1800 <= year <= 9999:  # noqa: PLR2004 - the year that eBird begins with
            refuse_field("y", "Min", "y must be greater than or equal to 1800.")
        return date(year, month, day)
    except ValueError:
        refuse_field("date", "typeMismatch", "the date is invalid.")


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII):
        raise ValueError(text)
    return int(text)
