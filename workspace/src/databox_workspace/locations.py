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

    @property
    def package(self) -> str:
        """The import package of its code."""
        return self.module.partition(".")[0]

    @property
    def folder(self) -> str:
        """Where it lies in the project's root: it is named like its package."""
        return self.package


def locations() -> list[Location]:
    """The code locations of this project."""
    return parse_locations((project_root() / "workspace.yaml").read_text())


def parse_locations(text: str) -> list[Location]:
    """The code locations that the text of a `workspace.yaml` lists."""
    document = yaml.safe_load(text)
    entries = cast("list[dict[str, dict[str, str]]]", document["load_from"])
    return [
        Location(entry["python_module"]["location_name"], entry["python_module"]["module_name"])
        for entry in entries
    ]
