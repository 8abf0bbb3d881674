import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from databox_shared.settings import Settings
from databox_shared.snapshots import KEEP, Snapshot, SnapshotError, Writer, reading, writing


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database_url=f"duckdb:///{tmp_path}/databox.duckdb")


def publish(writer: Writer, content: bytes) -> Snapshot:
    writer.path.write_bytes(content)
    return writer.publish(run_id="run", contract_names=["ebird_raw"], source="sandbox")


def test_a_reader_gets_the_newest_complete_copy_with_what_it_was_handed_over_under(
    settings: Settings,
) -> None:
    with writing(settings, "ingestion") as writer:
        publish(writer, b"one")
        publish(writer, b"two")
    with reading(settings, "ingestion") as snapshot:
        assert (snapshot.id, snapshot.path.read_bytes()) == (2, b"two")
        assert snapshot.source == "sandbox"
        snapshot.check_readable("ebird_raw")


def test_a_snapshot_that_is_read_stays_however_many_follow(settings: Settings) -> None:
    with writing(settings, "ingestion") as writer:
        publish(writer, b"first")
        with reading(settings, "ingestion") as held:
            for number in range(3 * KEEP):
                publish(writer, str(number).encode())
            assert held.path.read_bytes() == b"first"
            with reading(settings, "ingestion", held.id) as again:
                assert again == held
        publish(writer, b"last")
        assert not held.path.exists()
    kept = sorted(p.name for p in held.path.parent.iterdir())
    assert len(kept) == 2 * KEEP


def test_a_snapshot_that_another_location_built_on_stays_until_that_one_has_moved_on(
    settings: Settings,
) -> None:
    with writing(settings, "ingestion") as raw, writing(settings, "transform") as marts:
        first = publish(raw, b"first")

        def build(upstream: int) -> None:
            marts.path.write_bytes(b"marts")
            marts.publish(
                run_id="run", contract_names=[], source="x", upstream={"ingestion": upstream}
            )

        build(first.id)
        newest = first
        for _ in range(2 * KEEP):
            newest = publish(raw, b"more")
        with reading(settings, "ingestion", first.id) as held:
            assert held.path.read_bytes() == b"first"
        for _ in range(KEEP):
            build(newest.id)
        publish(raw, b"last")
        with pytest.raises(SnapshotError), reading(settings, "ingestion", first.id):
            pass


def test_a_manifest_of_a_newer_publisher_is_read_and_one_without_its_data_is_an_error(
    settings: Settings,
) -> None:
    with writing(settings, "ingestion") as writer:
        snapshot = publish(writer, b"one")
    manifest = snapshot.path.with_suffix(".json")
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "colour": "blue"}))
    with reading(settings, "ingestion") as seen:
        assert seen == snapshot
    snapshot.path.unlink()
    with pytest.raises(SnapshotError, match="is gone"), reading(settings, "ingestion"):
        pass


def test_without_a_snapshot_the_reader_is_told_what_to_do(settings: Settings) -> None:
    with (
        pytest.raises(SnapshotError, match="materialize its assets first"),
        reading(settings, "ingestion"),
    ):
        pass


def test_a_working_file_that_was_not_closed_is_not_published(settings: Settings) -> None:
    with writing(settings, "ingestion") as writer:
        writer.path.with_name("ingestion.duckdb.wal").write_bytes(b"open")
        with pytest.raises(SnapshotError, match="was not closed"):
            publish(writer, b"torn")


def test_ids_grow_after_a_publication_that_died_half_way(settings: Settings) -> None:
    with writing(settings, "ingestion") as writer:
        first = publish(writer, b"one")
        folder = first.path.parent
        (folder / "00000002.duckdb").write_bytes(b"no manifest: this never happened")
        (folder / "00000003.duckdb.part").write_bytes(b"half")
        with reading(settings, "ingestion") as seen:
            assert seen.id == 1
        assert publish(writer, b"three").id == 3
        assert not list(folder.glob("*.part"))


HOLDER = """
import signal
from databox_shared.settings import load_settings
from databox_shared.snapshots import writing

with writing(load_settings(), "ingestion"):
    print("held", flush=True)
    signal.pause()
"""


def test_a_second_writer_waits_and_a_killed_writer_holds_nothing(settings: Settings) -> None:
    environment = {**os.environ, "DATABASE_URL": settings.database_url}
    said: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"

        def on_wait(sentence: str) -> None:
            said.append(sentence)
            process.kill()

        with writing(settings, "ingestion", on_wait=on_wait) as writer:
            assert publish(writer, b"mine").id == 1
    assert said == [f"waiting for process {process.pid}, which writes {writer.path.parent}"]
