"""The contract check over real git revisions of a small repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from databox_shared.contracts import RAW, contract, parse_contract
from databox_workspace import __main__ as commands
from databox_workspace.contract_check import FOLDER, compare, readers_of

CONTRACT = """
name: {name}
version: {version}
team: {{name: "team:ingestion"}}
schema:
  - name: checklists
    description: Checklists.
    dataGranularityDescription: one row per checklist
    properties:
      - {{name: sub_id, physicalType: VARCHAR, primaryKey: true, description: The key.}}
      - {{name: {column}, physicalType: {type}, description: How many birds.}}
{more}
"""


class Repository:
    """A git repository with contracts in the folder where this project has them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        command = ["git", *identity, "-C", str(self.root), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def write(
        self,
        version: str,
        *,
        name: str = RAW,
        column: str = "birds",
        type: str = "BIGINT",  # noqa: A002 - as the contract says it
        more: str = "",
    ) -> None:
        file = self.root / FOLDER / f"{name}.odcs.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        text = CONTRACT.format(name=name, version=version, column=column, type=type, more=more)
        file.write_text(text)

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "A change")
        return self.git("rev-parse", "HEAD")

    def check(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
        monkeypatch.setattr(commands, "project_root", lambda: self.root)
        return CliRunner().invoke(commands.main, ["contract-check", *arguments])


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path)
    made.write("1.2.0")
    made.commit()
    return made


MORE = "      - {name: eggs, physicalType: BIGINT, description: Eggs.}"


def test_a_breaking_change_without_a_major_version_fails_and_says_what_breaks_for_whom(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("1.3.0", column="num_birds")
    result = repository.check(monkeypatch)
    assert result.exit_code == 1
    assert "ebird_raw.checklists.birds: renamed to num_birds" in result.output
    assert "breaks for: transform (edge ingestion_to_transform); quality" in result.output
    assert "a change that is breaking needs at least 2.0.0" in result.output
    assert "docs/contracts.md" in result.output
    repository.write("2.0.0", column="num_birds")
    assert repository.check(monkeypatch).exit_code == 0


def test_an_additive_change_needs_a_minor_version_and_words_a_patch(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("1.2.1", more=MORE)
    result = repository.check(monkeypatch)
    assert result.exit_code == 1
    assert "1.2.1 is too low: a change that is additive needs at least 1.3.0" in result.output
    repository.write("1.3.0", more=MORE)
    assert repository.check(monkeypatch).exit_code == 0


def test_nothing_changed_passes_and_says_with_what_it_was_compared(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = repository.git("rev-parse", "HEAD")
    result = repository.check(monkeypatch, "--against", "HEAD")
    assert (result.exit_code, base[:9] in result.output) == (0, True)
    assert "No contract differs." in result.output


def test_what_main_added_meanwhile_is_not_a_removal_of_the_branch(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.git("switch", "--quiet", "--create", "topic")
    repository.git("switch", "--quiet", "main")
    repository.write("1.3.0", more=MORE)
    repository.commit()
    repository.git("switch", "--quiet", "topic")
    (repository.root / "README.md").write_text("words")
    repository.commit()
    assert repository.check(monkeypatch, "--against", "main").exit_code == 0
    # once it is rebased, the same version for a second addition is seen
    repository.write("1.3.0", more=MORE.replace("eggs", "nests"))
    repository.commit()
    assert repository.check(monkeypatch).exit_code == 0
    repository.git("rebase", "--quiet", "--strategy-option", "theirs", "main")
    repository.write("1.3.0", more=f"{MORE}\n{MORE.replace('eggs', 'nests')}")
    assert repository.check(monkeypatch).exit_code == 1


def test_on_main_the_last_commit_is_held_against_the_one_before(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("1.2.0", type="VARCHAR")
    repository.commit()
    assert repository.check(monkeypatch).exit_code == 1


def test_a_contract_that_somebody_reads_may_not_go_and_one_that_nobody_reads_may(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("1.0.0", name="nobody_reads_this")
    base = repository.commit()
    (repository.root / FOLDER / "nobody_reads_this.odcs.yaml").unlink()
    assert repository.check(monkeypatch, "--against", base).exit_code == 0
    (repository.root / FOLDER / f"{RAW}.odcs.yaml").unlink()
    result = repository.check(monkeypatch, "--against", base)
    assert result.exit_code == 1
    assert "somebody still reads it" in result.output


def test_without_the_base_nothing_passes_as_compared(
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    repository.write("1.3.0", column="num_birds")
    repository.commit()
    folder = tmp_path_factory.mktemp("shallow")
    origin = f"file://{repository.root}"
    repository.git("clone", "--quiet", "--depth", "1", origin, str(folder / "clone"))
    (folder / "no repository").mkdir()
    for root in (folder / "clone", folder / "no repository"):
        monkeypatch.setattr(repository, "root", root)
        result = repository.check(monkeypatch)
        assert result.exit_code == 3
        assert "The contracts were NOT compared" in result.output
        named = repository.check(monkeypatch, "--against", "main~1")
        assert named.exit_code == 1
        assert "git fetch --unshallow" in named.output


def test_a_contract_that_cannot_be_read_is_named_with_its_file(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write("one")
    result = repository.check(monkeypatch)
    assert result.exit_code == 1
    assert f"{FOLDER}/{RAW}.odcs.yaml: 'one' is not a version of a contract" in result.output


def test_the_release_has_readers_and_so_has_what_quality_reads_beside_its_edge() -> None:
    assert readers_of("ebird")[-1] == "whoever reads the release"
    assert any(reader.startswith("quality") for reader in readers_of(RAW))
    assert readers_of("data_quality") == []


def test_a_removed_table_is_breaking_for_the_readers_of_the_projects_own_contract() -> None:
    raw = contract(RAW)
    text = CONTRACT.format(name=RAW, version=raw.version, column="x", type="DATE", more="")
    (verdict,) = compare({RAW: raw}, {RAW: parse_contract(text)})
    assert verdict.breaks
    assert verdict.error
