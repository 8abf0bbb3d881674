"""A new code location: its folder, its contract, its edge, and its place in what lists locations.

The files are templates in `location_template`. Everything is worked out before the first byte is
written, and whatever fails afterwards takes all of it back: there is a location or there is none.
"""

from __future__ import annotations

import keyword
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from databox_workspace.contract_pages import FOLDER as PAGES
from databox_workspace.deploy_files import DeployFilesError, deploy_files
from databox_workspace.locations import parse_locations

CONTRACTS = "shared/src/databox_shared/contracts"
EDGES = "shared/src/databox_shared/edges.py"
_SUFFIX = ".template"
# a table of a location is NAME_data.table and its file NAME.duckdb; some are taken by DuckDB, and
# some by tasks: test:NAME and deploy:NAME
_DUCKDB = {"databox", "main", "memory", "pg_catalog", "system", "temp"}
_TAKEN = _DUCKDB | {"across", "build", "files", "rollback", "status", "up"}


class NewLocationError(Exception):
    """There can be no location of that name, or it could not be made; nothing was changed."""


def new_location(root: Path, name: str, *, say: Callable[[str], object]) -> None:
    """Add the location `name` to the project in `root`.

    Raises `NewLocationError`, and then the project is as it was.
    """
    refuse_name(root, name)
    files = planned(root, name)
    package = root / f"{name}_location"
    made = {*(root / PAGES).glob("*.md"), root / PAGES / f"{name}_data.md"}
    before = {path: path.read_text() if path.exists() else None for path in [*files, *made]}
    try:
        for path, text in files.items():
            _write(path, text)
            say(f"{'changed' if before[path] is not None else 'added'}  {path.relative_to(root)}")
        # the order of imports and the length of lines depend on the name
        ruff = str(Path(sys.executable).with_name("ruff"))
        _run(root, ruff, "check", "--quiet", "--select", "I", "--fix", str(package))
        _run(root, ruff, "format", "--quiet", str(package))
        _run(root, os.environ.get("UV", "uv"), "lock", "--quiet")
        # in a process of its own, which sees the new contract and the new edge
        _run(root, sys.executable, "-m", "databox_workspace", "contract-pages")
    except BaseException:
        shutil.rmtree(package, ignore_errors=True)
        for path, text in before.items():
            if text is not None:
                _write(path, text)
            elif path.exists():
                path.unlink()
        raise


def refuse_name(root: Path, name: str) -> None:
    """Raise `NewLocationError` unless a location may have this name."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > 20:  # noqa: PLR2004
        msg = (
            f"{name!r} cannot be the name of a location: write at most 20 small letters, digits "
            f"and single _, beginning with a letter, like `weather`"
        )
        raise NewLocationError(msg)
    taken = {location.name for location in parse_locations((root / "workspace.yaml").read_text())}
    contracts = {file.name.partition(".")[0] for file in (root / CONTRACTS).glob("*.odcs.yaml")}
    if name in taken:
        msg = f"there is a location {name} already: see workspace.yaml"
        raise NewLocationError(msg)
    if (root / f"{name}_location").exists():
        msg = (
            f"there is a folder {name}_location, and no location {name}: remove what an "
            f"interrupted attempt left (`git status` shows it), then run this again"
        )
        raise NewLocationError(msg)
    if keyword.iskeyword(name) or name in _TAKEN or {name, f"{name}_data"} & contracts:
        msg = f"the name {name} is taken by Python, DuckDB, a contract or a task: choose another"
        raise NewLocationError(msg)


def planned(root: Path, name: str) -> dict[Path, str]:
    """Every file that is added or changed → its new text; `workspace.yaml`, the list, is last."""
    words = {
        "name": name,
        "package": f"{name}_location",
        "distribution": f"{name.replace('_', '-')}-location",
        "contract": f"{name}_data",
        "edge": f"TRANSFORM_TO_{name.upper()}",
    }
    template = resources.files("databox_workspace") / "location_template"
    folder = root / words["package"]
    files = {
        folder / "pyproject.toml": _filled(template / "pyproject.toml.template", words),
        folder / "README.md": _filled(template / "README.md.template", words),
    }
    for source, target in (("package", folder / "src" / folder.name), ("tests", folder / "tests")):
        for file in (template / source).iterdir():
            files[target / file.name.removesuffix(_SUFFIX)] = _filled(file, words)
    contract = root / CONTRACTS / f"{words['contract']}.odcs.yaml"
    files[contract] = _filled(template / "contract.odcs.yaml.template", words)
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
        changed = deploy_files(root, names) | changed
    except DeployFilesError as error:
        raise NewLocationError(str(error)) from None
    return files | {root / path: text for path, text in changed.items()}


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
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    temporary.write_text(text, encoding="utf-8")
    if path.exists():
        shutil.copymode(path, temporary)
    temporary.replace(path)


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
