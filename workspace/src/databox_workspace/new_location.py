"""A new code location: its folder, its contract, its edge, and its place in what lists locations.

The files are templates in `location_template`. All is made in a copy of what it is made from and
then put in place: there is a location or there is none, and what was interrupted between the two is
finished by the next attempt.
"""

from __future__ import annotations

import keyword
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import yaml

from databox_workspace.deploy_files import DeployFilesError, deploy_files
from databox_workspace.locations import parse_locations
from databox_workspace.staged import StagedError, put_in_place, stage, staged

CONTRACTS = "shared/src/databox_shared/contracts"
EDGES = "shared/src/databox_shared/edges.py"
_SUFFIX = ".template"
# a table of a location is NAME_data.table and its file NAME.duckdb
_CATALOGS = {"databox", "main", "memory", "pg_catalog", "system", "temp", "test"}
# what the commands below read, and what they and the templates write
_READ = (
    *("*.toml", "*.yaml", "*.lock", "*/pyproject.toml", "shared/src/**/*", "workspace/src/**/*"),
    *("deploy/*.yaml", "deploy/helm/*.yaml", "docs/contracts/*"),
)


class NewLocationError(Exception):
    """There can be no location of that name, or it could not be made; nothing was changed."""


def new_location(root: Path, name: str, *, say: Callable[[str], object]) -> None:
    """Add the location `name` to the project in `root`, or finish adding one.

    Raises `NewLocationError`, and then the project is as it was.
    """
    try:
        if begun := staged(root):
            say(f"An attempt to add the location {begun} was interrupted: finishing it")
            put_in_place(root, say)
        if begun != name:
            refuse_name(root, name)
            stage(root, name, _made_aside(root, name))
            put_in_place(root, say)
    except StagedError as error:
        raise NewLocationError(str(error)) from None


def refuse_name(root: Path, name: str) -> None:
    """Raise `NewLocationError` unless a location may have this name."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > 20:  # noqa: PLR2004
        msg = (
            f"{name!r} cannot be the name of a location: write at most 20 small letters, digits "
            f"and single _, beginning with a letter, like `weather`"
        )
        raise NewLocationError(msg)
    if name in {listed.name for listed in parse_locations(_read(root, "workspace.yaml"))}:
        msg = f"there is a location {name} already: see workspace.yaml"
        raise NewLocationError(msg)
    for folder in (f"{name}_location", name):
        if (root / folder).exists():
            msg = f"there is a folder {folder} already, and no location {name}: choose another name"
            raise NewLocationError(msg)
    if owner := _owner(root, name):
        msg = f"the name {name} is taken by {owner}: choose another"
        raise NewLocationError(msg)


def _owner(root: Path, name: str) -> str | None:
    """Who uses a name already that would be that of a location's tasks, schema and file."""
    # an undeclared one: whoever adds a location has the whole project, the host has no use for it
    import duckdb

    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "Python"
    words = duckdb.sql("SELECT keyword_name FROM duckdb_keywords()").fetchall()
    if name in _CATALOGS or (name,) in words:
        return "SQL"
    if {name, f"{name}_data"} & {
        file.name.partition(".")[0] for file in (root / CONTRACTS).iterdir()
    }:
        return "a contract"
    tasks = yaml.safe_load(_read(root, "Taskfile.yml"))["tasks"]
    if name in {part for task in tasks for part in str(task).split(":")}:
        return "a task"
    return None


def _made_aside(root: Path, name: str) -> dict[str, bytes]:
    """Every file that is added or changed → its new content, made in a copy of the project.

    `workspace.yaml`, the list, is last.
    """
    with tempfile.TemporaryDirectory(prefix="databox-") as folder:
        copy = Path(folder)
        known = _copy_what_is_read(root, copy)
        for path, text in planned(root, name).items():
            _write(copy / path, text)
        # the order of imports and the length of lines depend on the name
        ruff = str(Path(sys.executable).with_name("ruff"))
        package = f"{name}_location"
        _run(copy, ruff, "check", "--quiet", "--no-cache", "--select", "I", "--fix", package)
        _run(copy, ruff, "format", "--quiet", "--no-cache", package)
        _run(copy, os.environ.get("UV", "uv"), "lock", "--quiet")
        # in a process of its own, which sees the new contract and the new edge
        _run(copy, sys.executable, "-B", "-m", "databox_workspace", "contract-pages")
        found = {
            file.relative_to(copy).as_posix(): file.read_bytes()
            for file in sorted(copy.rglob("*"))
            if file.is_file()
        }
    listed = found.pop("workspace.yaml")
    changed = {path: text for path, text in found.items() if known.get(path) != text}
    return {**changed, "workspace.yaml": listed}


def _copy_what_is_read(root: Path, copy: Path) -> dict[str, bytes]:
    """Copy what the commands read of the project, and return it."""
    files = [file for place in _READ for file in root.glob(place) if file.is_file()]
    known = {
        file.relative_to(root).as_posix(): file.read_bytes()
        for file in files
        if "__pycache__" not in file.parts
    }
    for path, content in known.items():
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_bytes(content)
    return known


def planned(root: Path, name: str) -> dict[str, str]:
    """Every file that is written by hand or from a template → its new text."""
    words = {
        "name": name,
        "package": f"{name}_location",
        "distribution": f"{name.replace('_', '-')}-location",
        "contract": f"{name}_data",
        "edge": f"TRANSFORM_TO_{name.upper()}",
    }
    template = resources.files("databox_workspace") / "location_template"
    folder = words["package"]
    files = {
        f"{folder}/{file}": _filled(template / f"{file}{_SUFFIX}", words)
        for file in ("pyproject.toml", "README.md")
    }
    for source, target in (("package", f"src/{folder}"), ("tests", "tests")):
        for file in (template / source).iterdir():
            files[f"{folder}/{target}/{file.name.removesuffix(_SUFFIX)}"] = _filled(file, words)
    files[f"{CONTRACTS}/{words['contract']}.odcs.yaml"] = _filled(
        template / "contract.odcs.yaml.template", words
    )
    changed = {
        EDGES: _with_edge(_read(root, EDGES), words, _filled(template / "edge.py.template", words)),
        "pyproject.toml": _with_package(_read(root, "pyproject.toml"), words),
        "uv.lock": _with_locked_package(
            _read(root, "uv.lock"), words, _filled(template / "uv.lock.template", words)
        ),
        "workspace.yaml": _read(root, "workspace.yaml").rstrip("\n")
        + "\n"
        + _filled(template / "workspace.yaml.template", words),
    }
    names = [location.name for location in parse_locations(changed["workspace.yaml"])]
    try:
        return files | deploy_files(root, names) | changed
    except DeployFilesError as error:
        raise NewLocationError(str(error)) from None


def _with_edge(text: str, words: Mapping[str, str], edge: str) -> str:
    text = _once(text, r"^EDGES = \(\n", f"{edge}\nEDGES = (\n", EDGES)
    return _once(text, r"(^EDGES = \((?:\n    \w+,)+)", rf"\1\n    {words['edge']},", EDGES)


def _with_package(text: str, words: Mapping[str, str]) -> str:
    name = words["distribution"]
    for pattern, line in (
        (r'^  "[a-z0-9-]+-location",\n', f'  "{name}",\n'),
        (r"^[a-z0-9-]+-location = { workspace = true }\n", f"{name} = {{ workspace = true }}\n"),
        (r'^  "\w+_location",\n', f'  "{words["package"]}",\n'),
    ):
        text = _listed(text, pattern, line, "pyproject.toml")
    return text


def _with_locked_package(text: str, words: Mapping[str, str], package: str) -> str:
    # uv would have to ask the registry about every package again, only to find what is locked
    name, folder = words["distribution"], words["package"]
    for pattern, line in (
        (r'^    "[a-z0-9-]+-location",\n', f'    "{name}",\n'),
        (r'^    { name = "[a-z0-9-]+-location" },\n', f'    {{ name = "{name}" }},\n'),
        (
            r'^    { name = "[a-z0-9-]+-location", editable = "\w+" },\n',
            f'    {{ name = "{name}", editable = "{folder}" }},\n',
        ),
    ):
        text = _listed(text, pattern, line, "uv.lock")
    entries = re.finditer(r'^\[\[package\]\]\nname = "(.+)"$', text, re.MULTILINE)
    after = [entry.start() for entry in entries if entry[1] > name]
    if not after:
        return f"{text}\n{package}"
    return f"{text[: after[0]]}{package}\n{text[after[0] :]}"


def _listed(text: str, pattern: str, line: str, where: str) -> str:
    """The text with a line among those that fit the pattern, in alphabetical order."""
    found = list(re.finditer(pattern, text, re.MULTILINE))
    if not found:
        msg = f"{where} has no line like {line.strip()!r}, so {line.strip()!r} cannot be added"
        raise NewLocationError(msg)
    after = [match for match in found if match[0] < line]
    place = after[-1].end() if after else found[0].start()
    return text[:place] + line + text[place:]


def _once(text: str, pattern: str, replacement: str, where: str) -> str:
    changed, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    if count != 1:
        msg = f"{where} is not as it was made ({pattern!r} is there {count} times): add it by hand"
        raise NewLocationError(msg)
    return changed


def _read(root: Path, path: str) -> str:
    return (root / path).read_text(encoding="utf-8")


def _filled(file: Traversable, words: Mapping[str, str]) -> str:
    return Template(file.read_text(encoding="utf-8")).substitute(words)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _run(root: Path, *command: str) -> None:
    code = os.pathsep.join(str(root / package / "src") for package in ("shared", "workspace"))
    environment = {**os.environ, "PYTHONPATH": code}
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, check=False
        )
    except OSError as error:
        msg = f"`{' '.join(command)}` cannot be run: {error}"
        raise NewLocationError(msg) from error
    if done.returncode:
        msg = f"`{' '.join(command)}` failed, and nothing was changed:\n{done.stderr.strip()}"
        raise NewLocationError(msg)
