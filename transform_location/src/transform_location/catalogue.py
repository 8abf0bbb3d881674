"""The catalogue: every model and column on one page for people, with the raw columns behind it.

Made from the manifest and the contracts, and from nothing else, so it is never edited.
`transform_location.lint --fix` writes it and `transform_location.lint` checks it. Types and bounds
of columns are on the contracts' own pages, to which it links.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from databox_shared.contracts import MARTS, STAGING, Table, contract
from databox_shared.settings import project_root
from transform_location.manifest import ColumnSource, Manifest, Model

FILE = "docs/catalogue.md"
_MADE = "<!-- made by `task format` from the models and their contracts: change those, not this -->"
_PROJECT = "../transform_location/src/transform_location/project"
_TITLES = {MARTS: "Marts", STAGING: "Staging"}


def catalogue_file() -> Path:
    """Where the page lies in a checkout."""
    return project_root() / FILE


def page(manifest: Manifest) -> str:
    """The whole page. Pure."""
    lines = [
        _MADE,
        "# The models",
        "",
        "What transform makes of the raw tables, model by model, with the raw columns that each",
        "column comes from. Types, keys and bounds: [contracts](contracts/README.md).",
    ]
    for schema, title in _TITLES.items():
        models = [
            manifest.model(table.full_name)
            for table in contract(schema).tables.values()
            if any(model.full_name == table.full_name for model in manifest.models)
        ]
        lines += ["", f"## {title}: `{schema}`", "", "| model | kind | made for | one row is |"]
        lines += ["|---|---|---|---|", *map(_summary, models)]
        for model in models:
            lines += ["", *_model(model, manifest)]
    return "\n".join([*lines, ""])


def raw_sources(source: ColumnSource, manifest: Manifest) -> list[ColumnSource]:
    """The columns of raw tables that a column is computed from in the end, in order.

    A column of a seed, or one that is the same in all rows, has none.
    """
    made = {model.full_name: model for model in manifest.models}
    found: set[ColumnSource] = set()
    seen = {source}
    waiting = [source]
    while waiting:
        here = waiting.pop()
        model = made.get(f"{here.schema}.{here.table}")
        if model is None:
            found.add(here)
            continue
        new = set(model.lineage.get(here.column, [])) - seen
        seen |= new
        waiting += new
    return sorted(found, key=lambda raw: (raw.table, raw.column))


def _summary(model: Model) -> str:
    table = _table(model)
    grain = table.grain.removeprefix("one row per ")
    return f"| [{model.table}](#{_anchor(model)}) | {_kind(model)} | {_made_for(table)} | {grain} |"


def _model(model: Model, manifest: Manifest) -> Iterator[str]:
    table = _table(model)
    yield f"### {model.full_name}"
    yield ""
    yield f"{table.description} {table.grain[0].upper()}{table.grain[1:]}."
    yield ""
    yield (
        f"[{Path(model.file).name}]({_PROJECT}/{model.file}), {_kind(model)}, "
        f"owned by {table.owner.removeprefix('team:')}. "
        f"Reads {', '.join(f'`{name}`' for name in model.deps) or 'no other table'}. "
        f"Columns: [contract](contracts/{model.schema}.md#{model.table})."
    )
    yield ""
    yield "| column | meaning | comes from |"
    yield "|---|---|---|"
    for column in table.columns:
        source = ColumnSource(model.schema, model.table, column.name)
        yield (
            f"| `{column.name}` | {_cell(column.description)} "
            f"| {_said(raw_sources(source, manifest))} |"
        )
    if model.audits:
        yield ""
        yield "| audit | on bad rows | holds that |"
        yield "|---|---|---|"
        for audit in model.audits:
            fate = "the run fails" if audit.blocking else "a warning"
            yield f"| `{audit.name}` | {fate} | {_cell(audit.description)} |"


def _said(sources: Sequence[ColumnSource]) -> str:
    by_table: dict[str, list[str]] = {}
    for source in sources:
        by_table.setdefault(source.table, []).append(source.column)
    return "; ".join(f"{table}: {', '.join(columns)}" for table, columns in by_table.items())


def _kind(model: Model) -> str:
    return model.kind.lower().replace("_", " ")


def _made_for(table: Table) -> str:
    return f"days of `{table.day_column}`" if table.day_column else ""


def _anchor(model: Model) -> str:
    # as GitHub makes it of a heading: points are dropped
    return model.full_name.replace(".", "")


def _table(model: Model) -> Table:
    return contract(model.schema).tables[model.table]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
