"""The release in a lake: what people attach is one version, and the next one follows it at once.

It is made from the released file, after that has become the release, so it never holds what the
file does not. Without a lake in DATABASE_URL there is nothing to do.
"""

from databox_shared.lake import RELEASE
from databox_shared.settings import Settings
from quality_location.release import Release


def release_into_lake(settings: Settings, release: Release) -> None:
    """Let the lake show this release, in one transaction, unless it does already.

    A run that died between the file and the lake is made good by the next.
    """
    if settings.lake is None:
        return
    from databox_shared.lake_handover import lake_writing

    file, manifest = release.folder / settings.release_path.name, release.manifest
    with lake_writing(settings.lake, RELEASE, file) as writer:
        noted = writer.noted()
        if noted is None or noted["run_id"] != manifest.run_id:
            writer.publish(
                run_id=manifest.run_id,
                contract_names=list(manifest.contracts),
                source=manifest.source,
                upstream=manifest.snapshots,
            )
