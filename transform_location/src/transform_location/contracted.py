"""What the contracts say, given to SQLMesh while it loads the project.

A contract describes a table once. So the raw tables that models read are declared from the
contract `ebird_raw`, and every model takes its description, its owner, its columns' descriptions
and the audits of its grain, its required columns and its bounds from the contract of its schema.
A model's file has only what is the model's own: the query, the kind, the grain, further audits.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp
from sqlmesh.core.audit import ModelAudit
from sqlmesh.core.loader import SqlMeshLoader
from sqlmesh.core.model import Model, SqlModel, create_external_model
from sqlmesh.utils import UniqueKeyDict

from databox_shared.contracts import MARTS, RAW, STAGING, Column, Table, contract
from transform_location.time_zones import FUNCTION, zones_version

RAW_CATALOG_VARIABLE = "raw_catalog"


class ContractedLoader(SqlMeshLoader):
    """SQLMesh's loader of project files, completed from the contracts."""

    def _load_models(self, *args: Any, **kwargs: Any) -> Any:
        models, indexed = super()._load_models(*args, **kwargs)
        for fqn, model in list(models.items()):
            table = contracted_table(model)
            if table is not None:
                models.update({fqn: complete(model, table)})
        return models, indexed

    def _load_external_models(
        self,
        audits: Any,  # noqa: ARG002 - the base class's signature
        cache: Any,  # noqa: ARG002
        gateway: str | None = None,
    ) -> UniqueKeyDict[str, Model]:
        catalog = self.config.get_gateway(gateway).variables[RAW_CATALOG_VARIABLE]
        models: UniqueKeyDict[str, Model] = UniqueKeyDict("models")
        for table in contract(RAW).tables.values():
            model = create_external_model(
                f"{catalog}.{table.full_name}",
                dialect=self.config.model_defaults.dialect,
                description=table.description,
                columns={column.name: column.type for column in table.columns},
                column_descriptions={column.name: column.description for column in table.columns},
                project=self.config.project,
                path=self.config_path,
            )
            models[model.fqn] = model
        return models


def contracted_table(model: Model) -> Table | None:
    """The table of a contract that a model makes, or None if no contract has it."""
    schema, name = model.schema_name, model.view_name
    if model.kind.is_external or schema not in (STAGING, MARTS):
        return None
    return contract(schema).tables.get(name)


def complete(model: Model, table: Table) -> Model:
    """The model with everything that its contract says about it."""
    # a view is not stored, and may stand for more rows than are worth reading for an audit
    audits = [] if model.kind.is_view else contract_audits(table)
    completed = model.copy(
        update={
            "description": table.description,
            "owner": table.owner,
            "column_descriptions_": {column.name: column.description for column in table.columns},
            "stamp": stamp(model),
            "audits": [*((audit.name, {}) for audit in audits), *model.audits],
            "audit_definitions": {
                **model.audit_definitions,
                **{audit.name: audit for audit in audits},
            },
        }
    )
    # a copy forgets its file
    completed._path = model._path  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
    return completed


def stamp(model: Model) -> str | None:
    """What a model's rows depend on and its SQL does not say, so that a deploy rebuilds it."""
    called = model.query.find_all(exp.Anonymous) if isinstance(model, SqlModel) else ()
    return zones_version() if any(call.name.lower() == FUNCTION for call in called) else None


def contract_audits(table: Table) -> list[ModelAudit]:
    """Audits of what a contract promises; all of them block."""
    keys = ", ".join(table.key)
    required = [column for column in table.columns if column.required]
    bounds = [bound for column in table.columns for bound in out_of_bounds(column)]
    queries = {
        "unique_grain": f"SELECT {keys} FROM @this_model GROUP BY {keys} HAVING COUNT(*) > 1",
        "required_columns": "SELECT * FROM @this_model WHERE "
        + " OR ".join(f"{column.name} IS NULL" for column in required),
    }
    if bounds:
        queries["within_bounds"] = "SELECT * FROM @this_model WHERE " + " OR ".join(bounds)
    return [
        ModelAudit.model_validate({"name": name, "dialect": "duckdb", "query": query})
        for name, query in queries.items()
    ]


def out_of_bounds(column: Column) -> list[str]:
    """Conditions that hold for a value which the contract does not allow."""
    conditions: list[str] = []
    if column.enum:
        values = ", ".join(exp.Literal.string(value).sql("duckdb") for value in column.enum)
        conditions.append(f"{column.name} NOT IN ({values})")
    if column.minimum is not None:
        conditions.append(f"{column.name} < {column.minimum}")
    if column.maximum is not None:
        conditions.append(f"{column.name} > {column.maximum}")
    return conditions
