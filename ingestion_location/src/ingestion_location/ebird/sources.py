"""Landing files as tables of DuckDB: one for each resource, with the types of its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ingestion_location.ebird import shapes
from ingestion_location.ebird.history import READS

Files = Mapping[str, Sequence[Path]]
"""Landing files by resource."""

NewFields = Mapping[str, Sequence[str]]
"""Fields that the API has and no shape knows, by resource."""

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""The whole taxonomy is one answer, of about 5 MB."""

_READ_DATE = r"(\d{4}-\d\d-\d\d)\.jsonl\.\w+$"


def sources(files: Files, new: NewFields) -> list[str]:
    """SQL that reads each resource of `files` into a table, with the types of its shape.

    A table and not a view, because parsing JSON is the most of the work and `views` and `lists`
    are each read by two raw tables. `notable_answers` has one row for each answer, which tells of
    one without an item.
    """
    items = [_source(name, paths, new.get(name, ())) for name, paths in files.items()]
    return [*items, _answers("notable", files.get("notable", ()))]


def _source(name: str, paths: Sequence[Path], new: Sequence[str]) -> str:
    resource = READS.get(name, name)
    item = shapes.duckdb_type(resource, new)
    envelope = "region VARCHAR, day DATE, path VARCHAR, read_at TIMESTAMP"
    if not paths:
        return f"CREATE TABLE {name} ({envelope}, body {item}, read_date DATE, place BIGINT)"
    body = f"{item}[]" if shapes.is_array(resource) else item
    rows = (
        f"read_json([{_names(paths)}], format = 'newline_delimited', columns = {{"
        "region: 'VARCHAR', day: 'DATE', path: 'VARCHAR', read_at: 'TIMESTAMP', "
        f"body: {_quoted(body)}}}, maximum_object_size = {MAX_ANSWER_BYTES}, "
        f"filename = {str(name in READS).lower()})"
    )
    columns = "region, day, path, read_at, "
    if shapes.is_array(resource):
        columns += "unnest(body) AS body, generate_subscripts(body, 1) AS place"
    else:
        columns += "body"
    if name in READS:
        columns += f", regexp_extract(filename, {_quoted(_READ_DATE)}, 1)::DATE AS read_date"
    return f"CREATE TABLE {name} AS SELECT {columns} FROM {rows}"  # noqa: S608


def _answers(resource: str, paths: Sequence[Path]) -> str:
    name = f"{resource}_answers"
    if not paths:
        return f"CREATE TABLE {name} (region VARCHAR, path VARCHAR, read_at TIMESTAMP)"
    return (
        f"CREATE TABLE {name} AS FROM read_json([{_names(paths)}], format = 'newline_delimited', "
        "columns = {region: 'VARCHAR', path: 'VARCHAR', read_at: 'TIMESTAMP'}, "
        f"maximum_object_size = {MAX_ANSWER_BYTES})"
    )


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(_quoted(str(path)) for path in paths)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
