"""The edges between locations: who answers whose materializations. The one list of them."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from databox_shared.contracts import MARTS, RAW, STAGING, contract

EDGE_TAG = "databox/edge"


@dataclass(frozen=True)
class Edge:
    """What `downstream` answers: every materialization of a table of `contracts`.

    `also_reads` are contracts that its runs read beside them, without being started by them.
    """

    name: str
    upstream: str
    downstream: str
    contracts: tuple[str, ...]
    also_reads: tuple[str, ...] = ()

    @property
    def keys(self) -> list[dg.AssetKey]:
        """The assets that are watched, in the order of the contracts."""
        return [
            table.asset_key for name in self.contracts for table in contract(name).tables.values()
        ]


INGESTION_TO_TRANSFORM = Edge("ingestion_to_transform", "ingestion", "transform", (RAW,))
TRANSFORM_TO_QUALITY = Edge(
    "transform_to_quality", "transform", "quality", (STAGING, MARTS), also_reads=(RAW,)
)

EDGES = (
    INGESTION_TO_TRANSFORM,
    TRANSFORM_TO_QUALITY,
)

RELEASED = (MARTS,)
"""The contracts whose tables people get."""
