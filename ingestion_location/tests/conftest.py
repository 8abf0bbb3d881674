from collections.abc import Generator
from datetime import date
from pathlib import Path

import pytest

from ebird_sandbox.process import running_sandbox

SANDBOX_TODAY = date(2026, 11, 23)


@pytest.fixture(scope="session")
def sandbox_url() -> Generator[str]:
    few = ["--checklists-per-day", "US-DC=12"]
    with running_sandbox(seed=7, today=SANDBOX_TODAY, extra=few) as sandbox:
        yield sandbox.url


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of its own for every test."""
    for name in ("EBIRD_API_TOKEN", "EBIRD_API_URL", "EBIRD_REGIONS", "EBIRD_SCHEDULE_TIMEZONE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", f"duckdb:///{tmp_path}/databox.duckdb")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    return tmp_path
