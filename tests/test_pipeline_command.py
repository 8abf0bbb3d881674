"""`task pipeline` as a person types it: what it does, says, returns and leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from plant import warehouse

from ebird_sandbox.process import running_sandbox

pytestmark = pytest.mark.slow

PIPELINE = (sys.executable, "-m", "databox_workspace", "pipeline")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pipeline")


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **warehouse(folder), **variables}
    return subprocess.run(
        [*PIPELINE, *arguments], env=environment, capture_output=True, text=True, check=False
    )


def content(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    with duckdb.connect(str(folder / "databox.duckdb"), read_only=True) as connection:
        tables = connection.sql(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables "
            "WHERE table_schema = 'ebird'"
        ).fetchall()
        return {t: connection.sql(f"FROM {t} ORDER BY ALL").fetchall() for (t,) in tables}


def processes_of(folder: Path) -> Iterator[str]:
    """Command lines of living processes that work on this warehouse."""
    for entry in Path("/proc").iterdir():
        try:
            if str(folder).encode() in (entry / "environ").read_bytes():
                yield (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, NotADirectoryError, PermissionError, ProcessLookupError):
            continue


def test_from_nothing_it_starts_the_sandbox_loads_14_days_and_says_what_was_released(
    folder: Path,
) -> None:
    done = run(folder, "--verbose")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "using generated birds from the sandbox at http://127.0.0.1:" in done.stdout
    for words in ("Rows", "Checks", "Most reported", "Release", "Where the time went"):
        assert words in done.stdout
    assert "0 failed" in done.stdout
    days = {day for (_, day, *_) in content(folder)["ebird.region_daily_totals"]}
    assert len(days) == 14
    assert not list(processes_of(folder)), "a process was left behind"


def test_a_second_run_on_the_same_day_changes_nothing_in_the_release(folder: Path) -> None:
    before = content(folder)
    done = run(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert content(folder) == before


def test_a_refused_key_ends_with_1_and_the_errors_own_sentence_but_not_the_key(
    tmp_path: Path,
) -> None:
    key = "hunter2hunter2"
    with running_sandbox(extra=["--token", "the-right-key"]) as sandbox:
        done = run(tmp_path, EBIRD_API_URL=sandbox.url, EBIRD_API_TOKEN=key)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "403" in said
    assert "EBIRD_API_TOKEN" in said
    assert "Traceback" not in said
    holders = [
        file for file in tmp_path.rglob("*") if file.is_file() and key.encode() in file.read_bytes()
    ]
    assert key not in said
    assert not holders
    assert not (tmp_path / "databox.duckdb").exists()


def test_ctrl_c_leaves_no_process_behind_and_the_next_run_goes_on(tmp_path: Path) -> None:
    environment = {**os.environ, **warehouse(tmp_path)}
    with subprocess.Popen(PIPELINE, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "ingestion" in line and "running" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stdout.read()
    assert process.returncode == 130, rest
    assert "What this command started has stopped" in rest
    assert not list(processes_of(tmp_path))
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_bad_setting_ends_with_1_and_names_the_variable(tmp_path: Path) -> None:
    done = run(tmp_path, EBIRD_REGIONS="Massachusetts")
    assert done.returncode == 1
    assert "EBIRD_REGIONS: 'MASSACHUSETTS' is not an eBird region code" in done.stdout
