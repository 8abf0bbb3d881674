"""A breaking change, walked step by step as docs/contracts.md says it.

Each location is a process with its own version of `databox_shared`, as after deploys on different
days; what goes between them are real snapshots.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from shared_versions import contract_text, run_with, shared_version

from databox_shared.contracts import RAW, parse_contract
from databox_shared.edges import INGESTION_TO_TRANSFORM, Edge
from databox_workspace.contract_check import compare

pytestmark = pytest.mark.slow

RAW_V2 = f"{RAW}_v2"

# hands over a table for each contract that its own version of databox_shared knows of the two
PRODUCER = """
import json, sys
import duckdb
from databox_shared.contracts import contract, contract_names
from databox_shared.settings import load_settings
from databox_shared.snapshots import writing

names = [name for name in ("ebird_raw", "ebird_raw_v2") if name in contract_names()]
with writing(load_settings(), "ingestion") as writer:
    writer.path.unlink(missing_ok=True)
    with duckdb.connect(writer.path) as connection:
        for name in names:
            table = contract(name).tables["region_stats"]
            columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
            connection.execute(f"CREATE SCHEMA {name}; CREATE TABLE {table.full_name} ({columns})")
            connection.execute(f"INSERT INTO {table.full_name} (region_code) VALUES ('US-DC')")
    published = writer.publish(run_id="run", contract_names=names, source="sandbox")
print(json.dumps(dict(published.contracts)))
"""

# reads as transform does: ask, then write
CONSUMER = """
import json, sys
import duckdb
from databox_shared.contracts import contract
from databox_shared.settings import load_settings
from databox_shared.snapshots import reading, writing

name = sys.argv[1]
with reading(load_settings(), "ingestion") as raw, writing(load_settings(), "transform") as writer:
    raw.check_readable(name)
    with duckdb.connect(raw.path, read_only=True) as connection:
        found = connection.execute(f"DESCRIBE {name}.region_stats").fetchall()
    writer.path.write_bytes(b"computed")
    writer.publish(run_id="run", contract_names=[], source="sandbox")
print(json.dumps([column[0] for column in found]))
"""


class Shared:
    """Versions of databox_shared that know the old contract, the new one, or both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        old = contract_text(RAW)
        # the breaking change: a column under another name, as a contract of its own
        new = (
            old.replace(f"id: {RAW}\n", f"id: {RAW_V2}\n")
            .replace(f"name: {RAW}\n", f"name: {RAW_V2}\n")
            .replace(f"version: {parse_contract(old).version}\n", "version: 2.0.0\n")
            .replace("name: num_checklists,", "name: checklists_counted,")
        )
        self.texts = {RAW: old, RAW_V2: new}

    def version(self, *contracts: str) -> Path:
        """A path to import databox_shared from, with these of the two contracts."""
        chosen = {name: text for name, text in self.texts.items() if name in contracts}
        absent = {} if RAW in contracts else {RAW: None}
        path = shared_version(self.folder / "+".join(contracts), {**chosen, **absent})
        if absent:
            # the edges of that day name the new contract
            names = path / "databox_shared" / "contracts" / "__init__.py"
            names.write_text(names.read_text().replace(f'RAW = "{RAW}"', f'RAW = "{RAW_V2}"'))
        return path


class Deployment:
    """One warehouse; `run` runs a location's code with its own version of databox_shared."""

    def __init__(self, folder: Path) -> None:
        self.hidden = folder / ".databox"
        self.url = f"duckdb:///{folder}/databox.duckdb"

    def run(self, code: str, shared: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_with(shared, code, *arguments, database_url=self.url)

    def works(self, code: str, shared: Path, *arguments: str) -> object:
        done = self.run(code, shared, *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def written(self, location: str) -> dict[str, bytes]:
        return {
            str(file): file.read_bytes()
            for file in (self.hidden / location).rglob("*")
            if file.is_file() and file.name != "writer.lock"
        }


def test_both_versions_are_handed_over_until_the_reader_has_moved(tmp_path: Path) -> None:
    shared = Shared(tmp_path / "shared")
    old, both, new = shared.version(RAW), shared.version(RAW, RAW_V2), shared.version(RAW_V2)
    contracts = {name: parse_contract(text) for name, text in shared.texts.items()}
    before, after = contracts[RAW], contracts[RAW_V2]
    deployed = Deployment(tmp_path / "data")

    # as it was
    assert deployed.works(PRODUCER, old) == {RAW: before.version}
    assert "num_checklists" in str(deployed.works(CONSUMER, old, RAW))

    # 1 and 2: the new contract is no break, and the old reader does not notice
    (added,) = compare({RAW: before}, contracts)
    assert (added.breaks, added.error) == (False, None)
    assert deployed.works(PRODUCER, both) == {RAW: before.version, RAW_V2: "2.0.0"}
    assert "num_checklists" in str(deployed.works(CONSUMER, old, RAW))

    # 3: the reader moves when it has time
    assert "checklists_counted" in str(deployed.works(CONSUMER, both, RAW_V2))

    # 4: the old contract may go when no edge names it
    (refused,) = compare(contracts, {RAW_V2: after}, edges=[INGESTION_TO_TRANSFORM])
    assert refused.error is not None
    moved = Edge("ingestion_to_transform", "ingestion", "transform", (RAW_V2,))
    (removed,) = compare(contracts, {RAW_V2: after}, edges=[moved])
    assert removed.error is None
    assert deployed.works(PRODUCER, new) == {RAW_V2: "2.0.0"}
    assert "checklists_counted" in str(deployed.works(CONSUMER, new, RAW_V2))

    # a reader that was forgotten says what it met, and has written nothing
    kept = deployed.written("transform")
    forgotten = deployed.run(CONSUMER, old, RAW)
    assert forgotten.returncode == 1
    assert (
        f"snapshot 3 of ingestion, which holds {RAW_V2} 2.0.0, was handed over under no version "
        f"of the contract {RAW}, and this location reads version 1.x"
    ) in forgotten.stderr
    assert deployed.written("transform") == kept
