from pathlib import Path

import pytest

from databox_shared.settings import SANDBOX_URL, SettingsError, load_settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EBIRD_API_TOKEN", "EBIRD_API_URL", "EBIRD_REGIONS", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_token_the_sandbox_is_asked_and_with_one_ebird(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load_settings().api_url == SANDBOX_URL
    monkeypatch.setenv("EBIRD_API_TOKEN", "secret-token")
    assert load_settings().api_url == "https://api.ebird.org/v2"


def test_the_token_is_in_no_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EBIRD_API_TOKEN", "secret-token")
    settings = load_settings()
    assert "secret-token" not in f"{settings!r}{settings}{settings.model_dump_json()}"


def test_relative_paths_are_anchored_to_the_project_not_to_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = load_settings().release_path
    monkeypatch.chdir(tmp_path)
    assert load_settings().release_path == before
    assert (before.parent.parent / "workspace.yaml").is_file()


def test_an_absolute_database_url_is_taken_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"duckdb:///{tmp_path}/birds.duckdb")
    settings = load_settings()
    assert settings.release_path == tmp_path / "birds.duckdb"
    assert settings.hidden_dir == tmp_path / ".databox"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "mysql://user:hunter2@host/db"),
        ("DATABASE_URL", "postgresql://user:hunter2@host/"),
        ("DATABASE_URL", "postgresql://user:hunter2\u2100@host/db"),
        ("DATABASE_URL", "ducklake:postgres://user:hunter2\u2100@host/db"),
        ("DATABASE_URL", "data/databox.duckdb"),
        ("DATABASE_URL", "duckdb:///"),
        ("EBIRD_REGIONS", "US-DC,Massachusetts"),
        ("EBIRD_REGIONS", "US-DC,,"),
        ("EBIRD_API_URL", "api.ebird.org"),
        ("EBIRD_API_URL", "https://api.ebird.org/v2?key=hunter2"),
        ("EBIRD_SCHEDULE_TIMEZONE", "Mars/Olympus"),
        ("EBIRD_REREAD", "1,two"),
        ("EBIRD_REREAD", "0,1"),
        ("EBIRD_DAILY_CALL_LIMIT", "0"),
        ("EBIRD_DAILY_CALL_LIMIT", "many"),
    ],
)
def test_a_bad_value_stops_the_start_and_names_the_variable_but_no_secret(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"^{variable}: ") as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)
    assert "Input should" not in str(caught.value), "a library's words"


def test_regions_are_read_in_any_case_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EBIRD_REGIONS", "us-ma, US-DC,VA-,us-ma-017, US-MA")
    assert load_settings().ebird_regions == ("US-MA", "US-DC", "VA-", "US-MA-017")
