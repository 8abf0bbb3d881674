"""What a lake asks of PostgreSQL beside its catalog: the table `databox.handover`, and locks.

Locks are advisory locks of a session, shared or exclusive: they end with the connection that holds
them, so nothing is left to be tidied up after a machine that died.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from databox_shared.lake import LakeError, first_line

if TYPE_CHECKING:
    from psycopg2.extensions import connection as pg_connection

_HASH = "hashtextextended(%s, 0)"
_TABLE = """
CREATE SCHEMA IF NOT EXISTS databox;
CREATE TABLE IF NOT EXISTS databox.handover (
    location text, id integer, version bigint NOT NULL, manifest jsonb NOT NULL,
    origin text, digests jsonb NOT NULL, PRIMARY KEY (location, id)
);
COMMENT ON TABLE databox.handover IS
    'What was published: a location''s snapshot id and the version of its lake. '
    'origin is the folder that it came from; NULL lets any folder follow.'
"""


def make_table(session: pg_connection) -> None:
    """Make the table of what was published, unless it is there."""
    # asked first, so that a user who may only read need not be allowed to create
    if not execute(session, "SELECT 1 WHERE to_regclass('databox.handover') IS NOT NULL"):
        # two that create the same thing at once fail
        execute(session, f"SELECT pg_advisory_lock({_HASH})", "databox")
        execute(session, _TABLE)
        execute(session, f"SELECT pg_advisory_unlock({_HASH})", "databox")


def lock(session: pg_connection, key: str, *, shared: bool = False) -> bool:
    """Take a lock if nobody holds it; tells whether it was taken."""
    kind = "_shared" if shared else ""
    [(is_locked,)] = execute(session, f"SELECT pg_try_advisory_lock{kind}({_HASH})", key)
    return bool(is_locked)


def unlock(session: pg_connection, key: str, *, shared: bool = False) -> None:
    """Give a lock back."""
    execute(session, f"SELECT pg_advisory_unlock{'_shared' if shared else ''}({_HASH})", key)


def execute(session: pg_connection, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Run a statement as a transaction of its own. Raises `LakeError` with a sentence."""
    import psycopg2

    try:
        with session.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []
    except psycopg2.Error as error:
        # among them a connection that was lost, and with it the locks that it held
        msg = f"PostgreSQL refused it or was lost: {first_line(error)}"
        raise LakeError(msg) from error
