"""The release in a lake: what people attach is one version, and the next one follows it at once.

It is made from the released file, after that has become the release, so it never holds what the
file does not.
"""

from pathlib import Path

from databox_shared.lake import RELEASE, Lake
from quality_location.release import Release


def release_into_lake(lake: Lake, release: Release, file: Path) -> None:
    """Let the lake show this release, in one transaction, unless it does already.

    A run that died between the file and the lake is made good by the next.
    """
    from databox_shared.lake_handover import lake_writing

    manifest = release.manifest
    with lake_writing(lake, RELEASE, file) as writer:
        noted = writer.noted()
        if noted is None or noted["run_id"] != manifest.run_id:
            writer.publish(
                run_id=manifest.run_id,
                contract_names=list(manifest.contracts),
                source=manifest.source,
                upstream=manifest.snapshots,
            )
