"""The code locations, from the one list of them: `workspace.yaml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import yaml

from databox_shared.settings import project_root


@dataclass(frozen=True)
class Location:
    """One entry of `workspace.yaml`."""

    name: str
    module: str


def locations() -> list[Location]:
    """The code locations, from the one list of them: `workspace.yaml`."""
    document = yaml.safe_load((project_root() / "workspace.yaml").read_text())
    entries = cast("list[dict[str, dict[str, str]]]", document["load_from"])
    return [
        Location(entry["python_module"]["location_name"], entry["python_module"]["module_name"])
        for entry in entries
    ]
