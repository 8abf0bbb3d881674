"""The workspace check: what `dagster definitions validate` does not see.

It loads all locations as Dagster does and looks at the asset graph that they make together: a
misspelt upstream key, a key that two locations materialize, a check without its asset, differing
partitions on the two sides of an edge, and locations whose libraries are too far apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import dagster as dg
from dagster._core.definitions.assets.definition.asset_spec import (
    SYSTEM_METADATA_KEY_AUTO_CREATED_STUB_ASSET,
)
from dagster._core.definitions.assets.graph.remote_asset_graph import (
    RemoteWorkspaceAssetGraph,
    RemoteWorkspaceAssetNode,
)
from dagster._core.workspace.context import BaseWorkspaceRequestContext, WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget

from databox_shared.edges import EDGES, Edge


def check_workspace(workspace: Path, edges: Sequence[Edge] = EDGES) -> list[str]:
    """Return one sentence for each thing that is wrong; an empty list is a sound workspace."""
    with (
        dg.DagsterInstance.local_temp() as instance,
        WorkspaceProcessContext(
            instance,
            WorkspaceFileTarget([str(workspace)]),
            # that servers start and stop is not what was asked
            code_server_log_level="WARNING",
        ) as process,
    ):
        return workspace_errors(process.create_request_context(), edges)


def workspace_errors(
    context: BaseWorkspaceRequestContext,
    edges: Sequence[Edge] = EDGES,
    *,
    absent: Collection[str] = (),
) -> list[str]:
    """Return one sentence for each thing that is wrong with locations that are loaded.

    `absent` are locations that were never deployed: what they will hand over is not missed yet.
    """
    errors = list(_load_errors(context))
    if errors:
        # the graph of half a workspace would only repeat that the other half is missing
        return errors
    promised = {key for edge in edges if edge.upstream in absent for key in edge.keys}
    present = [edge for edge in edges if not {edge.upstream, edge.downstream} & set(absent)]
    graph = context.asset_graph
    return [
        *_key_errors(graph, promised),
        *_check_errors(graph, promised),
        *_partition_errors(graph),
        *_edge_errors(graph, present),
        *_sensor_errors(context, present),
        *_version_errors(context),
    ]


def _load_errors(context: BaseWorkspaceRequestContext) -> Iterator[str]:
    for name in context.code_location_names:
        error = context.get_code_location_error(name)
        if error is not None:
            yield f"location {name} does not load: {error.message.strip()}"


def _key_errors(graph: RemoteWorkspaceAssetGraph, promised: set[dg.AssetKey]) -> Iterator[str]:
    for node in _nodes(graph):
        key = node.key.to_user_string()
        owners = sorted(
            info.handle.location_name
            for info in node.repo_scoped_asset_infos
            if info.asset_node.is_materializable
        )
        if len(owners) > 1:
            yield f"asset {key} is materialized by {' and '.join(owners)}: keep it in one"
        if _is_stub(node) and node.key not in promised:
            users = sorted({info.handle.location_name for info in node.repo_scoped_asset_infos})
            children = ", ".join(sorted(child.to_user_string() for child in node.child_keys))
            yield (
                f"asset {key} is in no location, but {' and '.join(users)} names it as upstream "
                f"of {children or 'a check'}: is it misspelt?"
            )


def _check_errors(graph: RemoteWorkspaceAssetGraph, promised: set[dg.AssetKey]) -> Iterator[str]:
    for key, check in graph.remote_asset_check_nodes_by_key.items():
        asset = key.asset_key
        if asset in promised:
            continue
        if not graph.has(asset) or _is_stub(_node(graph, asset)):
            yield (
                f"check {key.name} of {check.handle.location_name} is on "
                f"{asset.to_user_string()}, which no location defines"
            )


def _partition_errors(graph: RemoteWorkspaceAssetGraph) -> Iterator[str]:
    for node in _nodes(graph):
        definitions = {
            info.handle.location_name: info.asset_node.partitions_def
            for info in node.repo_scoped_asset_infos
            if SYSTEM_METADATA_KEY_AUTO_CREATED_STUB_ASSET not in info.asset_node.metadata
        }
        if len({repr(definition) for definition in definitions.values()}) > 1:
            yield (
                f"asset {node.key.to_user_string()} has different partitions in "
                f"{' and '.join(sorted(definitions))}"
            )
        for parent_key in node.parent_keys:
            parent = _node(graph, parent_key)
            both = node.partitions_def is not None and parent.partitions_def is not None
            if both and node.partitions_def != parent.partitions_def:
                yield (
                    f"{node.key.to_user_string()} and its upstream "
                    f"{parent_key.to_user_string()} have different partitions"
                )


def _edge_errors(graph: RemoteWorkspaceAssetGraph, edges: Sequence[Edge]) -> Iterator[str]:
    for edge in edges:
        for key in edge.keys:
            owners = (
                {
                    info.handle.location_name
                    for info in _node(graph, key).repo_scoped_asset_infos
                    if info.asset_node.is_materializable
                }
                if graph.has(key)
                else set[str]()
            )
            if owners != {edge.upstream}:
                yield (
                    f"{key.to_user_string()} is in a contract of {edge.upstream}, "
                    f"which does not materialize it"
                )


def _sensor_errors(context: BaseWorkspaceRequestContext, edges: Sequence[Edge]) -> Iterator[str]:
    for edge in edges:
        repositories = context.get_code_location(edge.downstream).get_repositories().values()
        names = {sensor.name for found in repositories for sensor in found.get_sensors()}
        if edge.name not in names:
            yield f"{edge.downstream} has no sensor {edge.name}: nothing answers {edge.upstream}"


def _version_errors(context: BaseWorkspaceRequestContext) -> Iterator[str]:
    versions = {
        name: context.get_code_location(name).get_dagster_library_versions() or {}
        for name in context.code_location_names
    }
    dagster = {name: found.get("dagster", "unknown") for name, found in versions.items()}
    if len({version.rpartition(".")[0] for version in dagster.values()}) > 1:
        said = ", ".join(f"{name} {version}" for name, version in sorted(dagster.items()))
        yield f"the locations run different minor versions of dagster: {said}"


def _nodes(graph: RemoteWorkspaceAssetGraph) -> list[RemoteWorkspaceAssetNode]:
    return sorted(graph.remote_asset_nodes_by_key.values(), key=lambda node: node.key)


def _node(graph: RemoteWorkspaceAssetGraph, key: dg.AssetKey) -> RemoteWorkspaceAssetNode:
    return graph.remote_asset_nodes_by_key[key]


def _is_stub(node: RemoteWorkspaceAssetNode) -> bool:
    return all(
        SYSTEM_METADATA_KEY_AUTO_CREATED_STUB_ASSET in info.asset_node.metadata
        for info in node.repo_scoped_asset_infos
    )
