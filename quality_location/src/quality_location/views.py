"""Views that are released as views: those that read nothing but what is released.

SQLMesh makes a view in two steps: `ebird.v` selects everything from an object of its own schema,
and that object has the model's query, over objects of that schema. Here the query is read from the
snapshot and put in the words of the release, with DuckDB's own parser. A name without a catalog is
looked up where the view lies, so the file may have any name.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databox_shared.contracts import Table
from quality_location.checks import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_Name = tuple[str, str]


def released_views(connection: "DuckDBPyConnection", tables: Sequence[Table]) -> dict[str, str]:
    """Full name → query, of those of the tables that the release can have as views.

    A query names `schema.table` of the release. A view that reads anything else is not in it: its
    rows are released.
    """
    definitions = {
        (str(schema), str(name)): str(sql)
        for schema, name, sql in connection.execute(
            "SELECT schema_name, view_name, sql FROM duckdb_views() "
            "WHERE database_name = 'transform' AND NOT internal"
        ).fetchall()
    }
    behind = {
        _behind(connection, definitions, table): (table.schema, table.name) for table in tables
    }
    found: dict[str, str] = {}
    for name, (schema, public) in behind.items():
        if name in definitions:
            query = _renamed(connection, definitions[name], behind)
            if query:
                found[f"{schema}.{public}"] = query
    return found


def _behind(
    connection: "DuckDBPyConnection", definitions: Mapping[_Name, str], table: Table
) -> _Name:
    """The one object that a public view shows, or the table itself."""
    name = (table.schema, table.name)
    if name not in definitions:
        return name
    read = [
        (node["schema_name"], node["table_name"])
        for node in _read(_tree(connection, definitions[name]))
    ]
    return read[0] if len(read) == 1 else name


def _renamed(
    connection: "DuckDBPyConnection", sql: str, names: Mapping[_Name, _Name]
) -> str | None:
    tree = _tree(connection, sql)
    for node in _read(tree):
        public = names.get((node["schema_name"], node["table_name"]))
        if public is None:
            return None
        node["catalog_name"] = ""
        node["schema_name"], node["table_name"] = public
    return str(_one(connection, f"SELECT json_deserialize_sql({literal(json.dumps(tree))})"))


def _tree(connection: "DuckDBPyConnection", sql: str) -> dict[str, Any]:
    # CREATE VIEW name (columns) AS query
    query = sql.partition(" AS ")[2].rstrip(";")
    return json.loads(_one(connection, f"SELECT json_serialize_sql({literal(query)})"))


def _read(tree: object) -> Iterator[dict[str, Any]]:
    """What a query reads, as nodes of its tree; without its own common table expressions."""
    if isinstance(tree, dict):
        if tree.get("type") == "BASE_TABLE" and tree["schema_name"]:
            yield tree
        for part in tree.values():
            yield from _read(part)
    elif isinstance(tree, list):
        for part in tree:
            yield from _read(part)


def _one(connection: "DuckDBPyConnection", query: str) -> Any:
    [[value]] = connection.execute(query).fetchall()
    return value
