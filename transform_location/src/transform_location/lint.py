"""Everything that can be said about the models without a warehouse, in one command.

`python -m transform_location.lint` checks that they fit the contracts, that the manifest and the
catalogue are those of these files, SQLMesh's lint rules, the SQL's format, and runs the models'
unit tests. With `--fix` it first formats the SQL and writes the manifest and the catalogue.
"""

from __future__ import annotations

import sys

from sqlmesh.core.console import TerminalConsole, set_console
from sqlmesh.core.context import Context
from sqlmesh.utils.errors import LinterError

from transform_location import catalogue
from transform_location.manifest import (
    MANIFEST,
    Manifest,
    code_fingerprint,
    stored_manifest,
    write_manifest,
)
from transform_location.manifest_build import build_manifest, contract_differences
from transform_location.warehouse import load_project


def problems(context: Context) -> list[str]:
    """What is wrong, as sentences; empty if all is well."""
    found = list(contract_differences(context.models.values()))
    stored = stored_manifest()
    if stored is None or stored.fingerprint != code_fingerprint():
        found.append(f"{MANIFEST.name} is not of these files; run with --fix and commit it")
    elif not _is_current(stored):
        found.append(f"{catalogue.FILE} is not of these models; run with --fix and commit it")
    if not context.format(check=True):
        found.append("the SQL above is not formatted; run with --fix")
    try:
        context.lint_models()
    except LinterError as error:
        found.append(f"SQLMesh's rules are broken: {error}")
    results = context.test()
    if not results.wasSuccessful():
        found.append("unit tests of models failed; they are above")
    return found


def _is_current(manifest: Manifest) -> bool:
    file = catalogue.catalogue_file()
    return file.is_file() and file.read_text(encoding="utf-8") == catalogue.page(manifest)


def main(arguments: list[str]) -> int:
    """Check, or with `--fix` repair what can be repaired and check."""
    context = load_project()
    if "--fix" in arguments:
        context.format()
        manifest = build_manifest()
        write_manifest(manifest)
        catalogue.catalogue_file().write_text(catalogue.page(manifest), encoding="utf-8")
        context = load_project()
    set_console(TerminalConsole())
    context.console = TerminalConsole()
    found = problems(context)
    for sentence in found:
        sys.stderr.write(f"{sentence}\n")
    if not found:
        sys.stdout.write(f"{len(context.models)} models fit their contracts\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
