"""The pages of the contracts: whole, and of the contracts as they are now."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from databox_shared.contracts import Contract, contract, contract_names
from databox_shared.settings import project_root
from databox_workspace import __main__ as commands
from databox_workspace.contract_pages import FOLDER, pages, stale, write_pages

CONTRACTS = [contract(name) for name in contract_names()]


def test_the_pages_in_the_repository_are_of_the_contracts() -> None:
    assert stale(project_root(), pages(CONTRACTS)) == [], "run `uv run task contract:pages`"


@pytest.mark.parametrize("found", CONTRACTS, ids=lambda found: found.name)
def test_a_page_says_all_that_its_contract_says(found: Contract) -> None:
    page = pages(CONTRACTS)[f"{found.name}.md"]
    assert f"# {found.name} {found.version}\n" in page
    assert f"Handed over by {found.owner.removeprefix('team:')}." in page
    for table in found.tables.values():
        if table.freshness_column:
            (row,) = [line for line in page.splitlines() if line.startswith(f"| [{table.name}]")]
            assert f" h by `{table.freshness_column}` |" in row
        section = page.split(f"\n## {table.name}\n")[1].split("\n## ")[0]
        assert table.description in section
        for column in table.columns:
            (row,) = [line for line in section.splitlines() if f"| `{column.name}` |" in line]
            assert f"| {column.type} |" in row
            assert (" key |" in row) == (column.name in table.key)
            assert (" or null |" in row) == (not column.required)
            assert ("Private" in row) == column.private
            for value in column.enum:
                assert f"`{value}`" in row


def test_the_index_names_versions_teams_and_readers() -> None:
    index = pages(CONTRACTS)["README.md"]
    for found in CONTRACTS:
        assert f"| [{found.name}]({found.name}.md) | {found.version} |" in index
    assert "whoever reads the release" in index


def test_a_stale_page_is_told_written_anew_and_one_of_no_contract_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "project_root", lambda: tmp_path)
    write_pages(tmp_path, pages(CONTRACTS))
    (tmp_path / FOLDER / "ebird.md").write_text("edited by hand")
    (tmp_path / FOLDER / "gone.md").write_text("of a contract that was removed")
    check = CliRunner().invoke(commands.main, ["contract-pages", "--check"])
    assert check.exit_code == 1
    assert f"{FOLDER}/ebird.md is not of its contract" in check.stdout
    assert f"{FOLDER}/gone.md is not of its contract" in check.stdout
    assert CliRunner().invoke(commands.main, ["contract-pages"]).exit_code == 0
    assert stale(tmp_path, pages(CONTRACTS)) == []
    again = CliRunner().invoke(commands.main, ["contract-pages", "--check"])
    assert (again.exit_code, again.output) == (0, "")
