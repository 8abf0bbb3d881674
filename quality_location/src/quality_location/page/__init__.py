"""The page: a static site that is part of every release and opens from disk, without a server.

It shows released tables only, so it cannot hold what did not pass, nor a private place. What
quality knows about the present (checks, scorecard, whether newer data is withheld) changes without
a release: it lies in one file beside the releases, which every release's page reads.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quality_location.page.data import page_data

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STATUS = "status.js"
_MODULES = ("__init__.py", "data.py")
_HERE = resources.files(__name__)
_SITE = _HERE / "site"
_TEMPLATE = "index.html.j2"
_COPIED = ("page.css", "tables.js", "charts.js", "views.js", "page.js")
_VENDOR = ("vega.min.js", "vega-lite.min.js", "LICENSE-vega", "LICENSE-vega-lite")


def page_version() -> str:
    """Changes when what the page is made of does, so that it is made anew for the same data."""
    digest = hashlib.sha256()
    site = (_TEMPLATE, *_COPIED, *(f"vendor/{name}" for name in _VENDOR))
    for name in (*_MODULES, *(f"site/{name}" for name in site)):
        digest.update((_HERE / name).read_bytes())
    return digest.hexdigest()


def write_page(
    connection: "DuckDBPyConnection",
    folder: Path,
    *,
    database: str,
    about: Mapping[str, Any],
    corrections: Mapping[str, Any],
) -> None:
    """Write the site of one release into `folder`.

    `database` is the name of the release's DuckDB file, which lies a folder up, beside `parquet/`.
    `about` is the release's manifest, and `corrections` what it changed of the release before.
    """
    from jinja2 import Environment, StrictUndefined

    (folder / "vendor").mkdir(parents=True)
    for name in _COPIED:
        (folder / name).write_bytes((_SITE / name).read_bytes())
    for name in _VENDOR:
        (folder / "vendor" / name).write_bytes((_SITE / "vendor" / name).read_bytes())
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(
        (_SITE / _TEMPLATE).read_text(encoding="utf-8")
    )
    html = template.render(about=about, database=database)
    (folder / "index.html").write_text(html, encoding="utf-8")
    data = page_data(connection) | {"release": about, "corrections": corrections}
    (folder / "data.js").write_text(_script("DATABOX", data), encoding="utf-8")
    # the page is also opened as data/report, where no parquet/ is a folder up
    (folder / "parquet").symlink_to(Path("..", "parquet"))
    # the present lies beside all releases: releases/<id>/report/status.js → releases/status.js
    (folder / STATUS).symlink_to(Path("..", "..", STATUS))


def write_status(releases: Path, status: Mapping[str, Any]) -> None:
    """Tell the pages of all releases how things stand now; one atomic rename."""
    temporary = releases / f".{STATUS}.new"
    temporary.write_text(_script("DATABOX_STATUS", status), encoding="utf-8")
    temporary.replace(releases / STATUS)


def _script(name: str, value: Mapping[str, Any]) -> str:
    # a script, because a page that is opened from disk may not fetch a file
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_iso)
    return f"window.{name} = {text};\n"


def _iso(value: object) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat()
    msg = f"{value!r} does not go into a page"
    raise TypeError(msg)
