"""A process that forks one run of the engine for every line it reads, to be disturbed or killed.

Importing what a run needs costs more than a small run: so it is imported once, by a first run that
nobody disturbs. A line orders a run: its folder, its days and the step at which it kills itself, if
any. The answer is two lines: the run's process id, and how it ended. What the run says goes to
`run.log` in its folder, and why it failed to `failure`.
"""

import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ingestion_location.ebird import ingest
from ingestion_location.ebird.landing import LandingFile


def _dlt_pipeline() -> Any:
    from dlt.pipeline.pipeline import Pipeline

    return Pipeline


def _dlt_client() -> Any:
    from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

    return DuckDbSqlClient


# what the process has just done when it dies: the owner of a function, its name, what it was told
STEPS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "kept an answer": (lambda: LandingFile, "_append", ""),
    "kept half an answer": (lambda: LandingFile, "_append", ""),
    "compressed a file": (lambda: os, "fsync", ""),
    "moved a file into place": (lambda: Path, "replace", ".tmp"),
    "prepared a load": (_dlt_pipeline, "normalize", ""),
    "marked what changes": (lambda: ingest, "mark_unannounced", ""),
    "deleted rows": (_dlt_client, "execute_sql", "DELETE FROM"),
    "inserted rows": (_dlt_client, "execute_sql", "INSERT INTO"),
    "committed a table": (_dlt_client, "commit_transaction", ""),
    "loaded": (_dlt_pipeline, "load", ""),
}


def die_at(step: str, before: int) -> None:
    """Let the process kill itself when it has done this step that many times and once more."""
    find_owner, name, said = STEPS[step]
    owner, left = find_owner(), [before]
    do = getattr(owner, name)

    def do_and_die(*args: Any, **kwargs: Any) -> Any:
        kept = _size(args) if step == "kept half an answer" else 0
        result = do(*args, **kwargs)
        if said in str(args[:2]):
            left[0] -= 1
            if left[0] < 0:
                if step == "kept half an answer":
                    os.truncate(_part(args), (kept + _size(args)) // 2)
                os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, do_and_die)


def _part(args: Sequence[Any]) -> Path:
    return args[0]._part


def _size(args: Sequence[Any]) -> int:
    return _part(args).stat().st_size


def run(folder: Path, today: str, days: Sequence[str]) -> None:
    os.environ["DATABASE_URL"] = f"duckdb:///{folder}/databox.duckdb"
    os.environ["DLT_DATA_DIR"] = str(folder / "dlt")
    # the script's neighbour, which for a test that reads STEPS is a part of its package
    from engine import Engine

    engine = Engine()
    try:
        engine.run(date.fromisoformat(today), [date.fromisoformat(day) for day in days])
    finally:
        for line in engine.lines:
            logging.getLogger(__name__).info(line)


def run_and_say(folder: Path, step: tuple[str, int] | None, *what: Any) -> int:
    with (folder / "run.log").open("ab") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    logging.basicConfig(level=logging.DEBUG)
    if step is not None:
        die_at(*step)
    try:
        run(folder, *what)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
        traceback.print_exc()
        (folder / "failure").write_text(f"{type(error).__name__}: {error}")
        return 1
    return 0


def say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    first, *what = json.loads(input())
    run(Path(first), *what)
    say("")
    for line in sys.stdin:
        folder, step, *what = json.loads(line)
        child = os.fork()
        if not child:
            code = 2
            try:
                code = run_and_say(Path(folder), step, *what)
            finally:
                os._exit(code)
        say(child)
        say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
