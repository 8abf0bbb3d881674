"""What a check found on each day, as Dagster's partitions of the check.

Dagster gives a check that runs without a partition one evaluation for all; a run of quality is
for a set of days with gaps, which Dagster's partition ranges cannot say. So the run reports an
evaluation per day itself, each for the materialization that it judged: the UI then shows every
day of a check as passed, failed, or not checked since it was last materialized.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)

from databox_shared.contracts import RAW
from databox_shared.days import FIRST_DAY
from quality_location.evaluate import Outcome
from quality_location.evidence import severity
from quality_location.warehouse import Held

# each day is about sixty events, and a backfill of a year would be for Dagster's log alone
MOST_DAYS = 31


def days_to_report(
    outcome: Outcome, days: Collection[date], failed_before: Collection[date], today: date
) -> list[date]:
    """The days of an outcome that are worth an evaluation of their own.

    `days` are those that the run is for; if they are more than a month, the evaluation for all days
    stands for those that pass. Elsewhere a day is reported if rows fail there, or failed
    in the run before: it may have been mended from another table. Failing days come last, because
    Dagster shows a check as its newest evaluation says. If all failing rows lie on no day that is
    a partition (none, the year 202, tomorrow), the evaluation for all days stands alone.
    """
    if not outcome.check.is_by_day or not outcome.is_asked:
        return []
    told = days if len(days) <= MOST_DAYS else ()
    wanted = {*told, *failed_before, *outcome.failing_by_day}
    partitions = sorted(day for day in wanted if FIRST_DAY <= day <= today)
    failing = [day for day in partitions if day in outcome.failing_by_day]
    if not outcome.passed and not failing:
        return []
    return [day for day in partitions if day not in outcome.failing_by_day] + failing


@dataclass
class DayReports:
    """Makes the evaluations of single days for one run, and remembers what was materialized."""

    instance: dg.DagsterInstance
    held: Held
    _targets: dict[tuple[dg.AssetKey, date | None], Target | None] = field(
        default_factory=dict[tuple[dg.AssetKey, date | None], Target | None]
    )

    def evaluations(
        self, outcome: Outcome, days: Sequence[date], whole: dg.AssetCheckEvaluation
    ) -> Iterator[dg.AssetCheckEvaluation]:
        """One evaluation for each of these days, in their order.

        The last, which Dagster shows first, also has what `whole`, that of all days, tells people.
        """
        key = outcome.check.key
        for day in days:
            failing = outcome.failing_by_day.get(day, 0)
            yield dg.AssetCheckEvaluation(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=not failing,
                severity=severity(outcome),
                description=whole.description if day == days[-1] else None,
                partition=day.isoformat(),
                target_materialization_data=self.target(key.asset_key, day),
                metadata={
                    **(whole.metadata if day == days[-1] else {}),
                    "failing_rows": failing,
                    "databox/snapshot_id": self._snapshot_id(key.asset_key),
                },
            )

    def target(self, key: dg.AssetKey, day: date | None = None) -> Target | None:
        """What was last materialized of a table, or of a day of it, as Dagster wants it named."""
        if (key, day) not in self._targets:
            self._targets[key, day] = self._find_target(key, day)
        return self._targets[key, day]

    def _find_target(self, key: dg.AssetKey, day: date | None) -> Target | None:
        partitions = None if day is None else [day.isoformat()]
        newest = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key, asset_partitions=partitions), limit=1
        ).records
        for record in newest:
            said = record.asset_materialization
            snapshot = said.metadata.get("databox/snapshot_id") if said else None
            # a newer one is not in the snapshot that was checked: its day waits for its own check
            if day is None or (
                snapshot is not None and int(str(snapshot.value)) <= self._snapshot_id(key)
            ):
                return Target(
                    run_id=record.run_id, storage_id=record.storage_id, timestamp=record.timestamp
                )
        return None

    def _snapshot_id(self, key: dg.AssetKey) -> int:
        return (self.held.ingestion if key.path[0] == RAW else self.held.transform).id
