"""Failures that people can do something about: a command ends with their sentence, and code 1.

Ours are sentences as they are; those of the system, of Dagster and of its storage are made so.
"""

from __future__ import annotations

from dagster_postgres.utils import DagsterPostgresException
from dagster_shared.error import DagsterError
from sqlalchemy.exc import SQLAlchemyError

from databox_shared.settings import SettingsError
from databox_workspace.builds import BuildError
from databox_workspace.deployment import ServerError
from databox_workspace.git import GitError
from databox_workspace.home import HomeError
from databox_workspace.inputs import InputsError
from databox_workspace.proving import TestsFailedError
from databox_workspace.servers import CodeServerError
from databox_workspace.site import BusyError
from databox_workspace.view import ViewError

_STORAGE = (DagsterPostgresException, SQLAlchemyError)
FAILURES = (
    BuildError,
    BusyError,
    CodeServerError,
    DagsterError,
    GitError,
    HomeError,
    InputsError,
    OSError,
    ServerError,
    SettingsError,
    TestsFailedError,
    ViewError,
    *_STORAGE,
)


def sentence(error: Exception) -> str:
    """What a failure says, and who says it if that is not us."""
    if isinstance(error, _STORAGE):
        # the rest is the driver's advice and an address
        first = str(error.__cause__ or error).strip().partition("\n")[0]
        return f"Dagster's storage does not do what it is asked: {first}"
    if isinstance(error, DagsterError):
        return f"Dagster cannot do what it is asked: {str(error).strip()}"
    if isinstance(error, OSError):
        return f"the system does not let it: {error}"
    return str(error)
