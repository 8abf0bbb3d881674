"""Building the manifest: load the project once, hold it against the contracts, write down the rest.

Nothing is built from models that do not fit their contracts: each difference is a sentence. This
module imports SQLMesh, so `definitions` must not import it.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp
from sqlmesh.core.audit import ModelAudit
from sqlmesh.core.context import Context
from sqlmesh.core.lineage import column_dependencies
from sqlmesh.core.model import Model as SqlMeshModel

from databox_shared.contracts import MARTS, STAGING, Table, contract
from transform_location.evaluation import grain_of, period_of
from transform_location.manifest import (
    PROJECT,
    Audit,
    ColumnSource,
    Manifest,
    ManifestError,
    Model,
    code_fingerprint,
)
from transform_location.warehouse import load_project

_CONTRACT_AUDITS = {
    "unique_grain": "No two rows have the same key.",
    "required_columns": "No column that the contract requires is empty.",
    "within_bounds": "Every value is within the bounds and words that the contract allows.",
}


def build_manifest() -> Manifest:
    """Load the project and describe its models.

    Raises `ManifestError` that lists every difference between models and contracts.
    """
    fingerprint = code_fingerprint()
    context = load_project()
    try:
        differences = list(contract_differences(context.models.values()))
        if differences:
            raise ManifestError("\n".join(differences))
        models = [
            _entry(context, context.models[fqn])
            for fqn in context.dag.sorted
            if fqn in context.models and not context.models[fqn].kind.is_external
        ]
    finally:
        context.close()
    return Manifest(fingerprint, models)


def contract_differences(models: Iterable[SqlMeshModel]) -> Iterable[str]:
    """Every way in which models and the contracts of their schemas disagree, as sentences."""
    made = {
        f"{model.schema_name}.{model.view_name}": model
        for model in models
        if not model.kind.is_external
    }
    promised = {
        table.full_name: table
        for schema in (STAGING, MARTS)
        for table in contract(schema).tables.values()
    }
    for name in sorted(made.keys() - promised.keys()):
        yield f"the model {name} has no table in a contract: add it to the contract of its schema"
    for name in sorted(promised.keys() - made.keys()):
        yield f"the contract promises {name} and no model makes it: add a model of that name"
    for name in sorted(made.keys() & promised.keys()):
        yield from _table_differences(name, made[name], promised[name])


def _table_differences(name: str, model: SqlMeshModel, table: Table) -> Iterable[str]:
    got = {column: kind.sql("duckdb") for column, kind in (model.columns_to_types or {}).items()}
    want = {
        column.name: exp.DataType.build(column.type, dialect="duckdb").sql("duckdb")
        for column in table.columns
    }
    for column in sorted(got.keys() - want.keys()):
        yield f"{name} has a column {column} that its contract does not describe"
    for column in sorted(want.keys() - got.keys()):
        yield f"{name} lacks the column {column} that its contract promises"
    for column in sorted(got.keys() & want.keys()):
        if got[column] != want[column]:
            yield (
                f"{name}.{column} is {got[column]} in the model and {want[column]} in the contract"
            )
    if list(got) != list(want) and got.keys() == want.keys():
        yield f"{name} has its columns in another order than its contract"
    grain = grain_of(model)
    if grain != set(table.key):
        yield (
            f"the grain of the model {name} is ({', '.join(sorted(grain)) or 'not given'}) and its "
            f"contract's key is ({', '.join(sorted(table.key))})"
        )
    by_day = model.time_column and period_of(model) == "day"
    day_column = model.time_column.column.name if model.time_column and by_day else None
    if day_column != table.day_column:
        yield (
            f"the model {name} is {'by ' + day_column if day_column else 'not by day'} and its "
            f"contract is {'by ' + table.day_column if table.day_column else 'not by day'}"
        )


def _entry(context: Context, model: SqlMeshModel) -> Model:
    # SQLMesh has no public name for a model's file
    path = model._path  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return Model(
        schema=model.schema_name,
        table=model.view_name,
        file=path.relative_to(PROJECT).as_posix() if path else "",
        kind=str(model.kind.name.value),
        code_version=model.data_hash,
        deps=sorted(_schema_table(fqn) for fqn in model.depends_on),
        audits=[
            Audit(audit.name, audit.blocking, _audit_description(audit))
            for audit, _ in model.audits_with_args
            if isinstance(audit, ModelAudit)
        ],
        lineage={
            column: _sources(context, model, column) for column in model.columns_to_types or {}
        },
    )


def _sources(context: Context, model: SqlMeshModel, column: str) -> list[ColumnSource]:
    found = column_dependencies(context, model.fqn, column)
    known = {
        (fqn, name)
        for fqn, names in found.items()
        if fqn in context.models
        for name in names
        if name in (context.models[fqn].columns_to_types or {})
    }
    tables = {fqn: exp.to_table(fqn, dialect="duckdb") for fqn, _ in known}
    return [ColumnSource(tables[fqn].db, tables[fqn].name, name) for fqn, name in sorted(known)]


def _schema_table(fqn: str) -> str:
    table = exp.to_table(fqn, dialect="duckdb")
    return f"{table.db}.{table.name}"


def _audit_description(audit: ModelAudit) -> str:
    """What the contract's audits are for, or the comment above the query of the project's own."""
    if audit.name in _CONTRACT_AUDITS:
        return _CONTRACT_AUDITS[audit.name]
    comment = " ".join(audit.query.comments or []).strip()
    if not comment:
        msg = f"the audit {audit.name} has no comment above its query that says what it is for"
        raise ManifestError(msg)
    return comment
