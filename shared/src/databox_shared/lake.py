"""A lake: where it is, and how DuckDB is connected to it.

`DATABASE_URL=ducklake:postgres://user:password@host:5432/database` names a PostgreSQL database
that holds the catalogs; the rows are Parquet files in a folder. Every location has a lake of its
own in it, so that it commits alone and its versions are its own, and people have one, the release.
With `postgresql://user:password@host:5432/database` only the locations have lakes: people have
tables of PostgreSQL.
The password goes to the drivers only: never into a path, a statement that is logged or an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from psycopg2.extensions import connection as pg_connection

RELEASE = "release"
CONNECT_SECONDS = 5
SCHEME = "ducklake:"
POSTGRES = ("postgresql", "postgres")
_EXAMPLE = "ducklake:postgres://user:password@host:5432/database"
S3 = "s3://"
_EXTENSIONS = ("ducklake", "postgres_scanner")
_S3_EXTENSIONS = ("httpfs", "aws")
_SECRET = "databox_catalog"  # noqa: S105  the name of DuckDB's secret


class LakeError(Exception):
    """The lake cannot be reached, or a part that it needs is not installed."""


@dataclass(frozen=True)
class Lake:
    """The catalogs' database, and where the data is: a folder, or `s3://bucket/prefix`.

    `s3_endpoint` is the address of a storage that speaks S3 and is not Amazon's. The keys of S3
    are found where Amazon's own tools look for them.
    """

    host: str
    port: int
    database: str
    user: str
    data: str
    password: str = field(repr=False)
    s3_endpoint: str | None = None

    def session(self) -> pg_connection:
        """A connection to PostgreSQL, each statement of which is a transaction of its own.

        Raises `LakeError` within seconds if there is none to be had.
        """
        import psycopg2

        try:
            session = psycopg2.connect(
                host=self.host,
                port=self.port,
                dbname=self.database,
                user=self.user,
                password=self.password or None,
                connect_timeout=CONNECT_SECONDS,
                application_name="databox",
                # what holds a lock must notice that its server has gone
                keepalives_idle=30,
            )
        except psycopg2.OperationalError as error:
            said = first_line(error)
            said = said.removesuffix(" Connection refused") + (
                " nothing listens there" if said.endswith("Connection refused") else ""
            )
            msg = f"DATABASE_URL: PostgreSQL cannot be used as {self.user}: {said}"
            raise LakeError(self._without_password(msg)) from None
        session.autocommit = True
        return session

    def attach(
        self,
        connection: DuckDBPyConnection,
        owner: str,
        alias: str,
        *,
        version: int | None = None,
        new_in: str | None = None,
    ) -> None:
        """Attach an owner's lake under a name: to write it, or to read one version of it.

        A lake is made with the folder of its data, `new_in`, and remembers it. Raises `LakeError`
        with a sentence.
        """
        import duckdb

        options = [*self._where(owner), f"META_SECRET '{_SECRET}'"]
        if version is None:
            # small changes would else go into PostgreSQL, and out of it again later
            options.append("DATA_INLINING_ROW_LIMIT 0")
        else:
            options += _read_at(version)
        if new_in is not None:
            options.append(f"DATA_PATH {_quoted(f'{new_in}/')}")
        try:
            self.introduce(connection)
            connection.execute(f"ATTACH 'ducklake:postgres:' AS {alias} ({', '.join(options)})")
        except duckdb.Error as error:
            msg = f"DATABASE_URL: the lake of {owner} cannot be attached: {error}"
            raise LakeError(self._without_password(msg)) from None

    def attach_sql(self, owner: str, alias: str, version: int) -> str:
        """What a person types into a DuckDB shell, who gives the password in PGPASSWORD."""
        where = f"host={self.host} port={self.port} dbname={self.database} user={self.user}"
        options = ", ".join([*self._where(owner), *_read_at(version)])
        return f"ATTACH {_quoted(f'ducklake:postgres:{where}')} AS {alias} ({options});"

    def introduce(self, connection: DuckDBPyConnection) -> None:
        """Give a connection what it needs for lakes: the extensions, the password, keys of S3."""
        known = "SELECT 1 FROM duckdb_secrets() WHERE name = "
        if connection.execute(f"{known}'{_SECRET}'").fetchone():
            return
        in_s3 = self.data.startswith(S3)
        for name in (*_EXTENSIONS, *(_S3_EXTENSIONS if in_s3 else ())):
            connection.execute(f"LOAD {_quoted(str(_extension(name)))}")
        if in_s3:
            self._find_keys(connection)
        connection.execute(
            f"CREATE SECRET {_SECRET} (TYPE postgres, HOST {_quoted(self.host)}, PORT {self.port}, "
            f"USER {_quoted(self.user)}, PASSWORD {_quoted(self.password)}, "
            f"DATABASE {_quoted(self.database)})"
        )

    def _find_keys(self, connection: DuckDBPyConnection) -> None:
        import duckdb

        options = ["TYPE s3", "PROVIDER credential_chain"]
        if self.s3_endpoint is not None:
            url = urlsplit(self.s3_endpoint)
            options += [f"ENDPOINT {_quoted(url.netloc)}", f"USE_SSL {url.scheme == 'https'}"]
            # a bucket is a host of its own only at Amazon
            options += ["URL_STYLE 'path'"]
        try:
            connection.execute(f"CREATE SECRET databox_s3 ({', '.join(options)})")
        except duckdb.Error:
            msg = (
                "DATABASE_URL: no keys for S3 were found; set AWS_ACCESS_KEY_ID, "
                "AWS_SECRET_ACCESS_KEY and AWS_REGION, or run with a role that has them"
            )
            raise LakeError(msg) from None

    @staticmethod
    def _where(owner: str) -> list[str]:
        return [] if owner == RELEASE else [f"METADATA_SCHEMA '{schema_of(owner)}'"]

    def _without_password(self, text: str) -> str:
        return text.replace(self.password, "…") if self.password else text


def first_line(error: Exception) -> str:
    """What PostgreSQL said; the second and later lines are hints for administrators."""
    return (str(error).strip().splitlines() or ["it gave no reason"])[0]


def schema_of(owner: str) -> str:
    """The schema of PostgreSQL that an owner's catalog is in."""
    # people need not say where the release is: it is where DuckLake looks first
    return "public" if owner == RELEASE else f"databox_{owner}"


def parse_lake(url: str, folder: Path, s3_endpoint: str | None = None) -> Lake:
    """Read `ducklake:postgres://user:password@host:port/database?data_path=/folder`.

    The same without `ducklake:` says where the locations' lakes are, if the release is in none.
    The data is in the folder `lake` of `folder` unless the URL says where. Raises `ValueError`
    with a sentence that repeats nothing of the URL, which holds a password.
    """
    parts = urlsplit(url.removeprefix(SCHEME))
    example = _EXAMPLE if url.startswith(SCHEME) else _EXAMPLE.removeprefix(SCHEME)
    if parts.scheme not in POSTGRES:
        msg = f"a lake's catalog is in PostgreSQL, written {_EXAMPLE}"
        raise ValueError(msg)
    try:
        port = parts.port or 5432
    except ValueError:
        msg = f"the port is not a number; it is written {example}"
        raise ValueError(msg) from None
    database = unquote(parts.path.strip("/"))
    if not parts.hostname or not parts.username or not database:
        msg = f"it names a user, a host and a database: {example}"
        raise ValueError(msg)
    options = dict(parse_qsl(parts.query))
    data = options.pop("data_path", "")
    if options:
        msg = "it has one option, data_path, where the lakes' data is; for TLS set PGSSLMODE"
        raise ValueError(msg)
    if data and not data.startswith(("/", S3)):
        msg = "data_path is the absolute path of a folder, or s3://bucket/prefix"
        raise ValueError(msg)
    return Lake(
        host=parts.hostname,
        port=port,
        database=database,
        user=unquote(parts.username),
        password=unquote(parts.password or ""),
        data=data.rstrip("/") or str(folder / "lake"),
        s3_endpoint=s3_endpoint,
    )


def _extension(name: str) -> Path:
    """An extension of DuckDB that was installed as a Python package: nothing is downloaded."""
    import duckdb

    package = find_spec(f"duckdb_extension_{name}")
    if package is None or not package.submodule_search_locations:
        msg = (
            f"DATABASE_URL: a lake needs DuckDB's extension {name}, the Python package "
            f"duckdb-extension-{name.replace('_', '-')}; install databox-shared[ducklake]"
        )
        raise LakeError(msg)
    file = f"extensions/v{duckdb.__version__}/{name}.duckdb_extension"
    return Path(package.submodule_search_locations[0]) / file


def _read_at(version: int) -> list[str]:
    return ["READ_ONLY", f"SNAPSHOT_VERSION {version}"]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
