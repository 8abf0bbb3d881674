"""The two verbs on SQLMesh models: deploy the code, evaluate deployed models for given days.

`Models` has the location's warehouse open. `deploy` makes prod's tables and views follow the
project's files and evaluates nothing. `evaluate` computes chosen models for exactly the chosen
days from what is deployed, never from the files, and audits them. What an earlier run left undone
shows as missing days in SQLMesh's state, and is done as well. The caller holds the location's
write lock, and must not publish after a failure: audits run after their rows are written. The
SQLMesh calls here are half private; `tests/test_sqlmesh_calls.py` holds each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, cast

from sqlmesh.core.console import set_console
from sqlmesh.core.context import Context
from sqlmesh.core.plan import Plan
from sqlmesh.core.snapshot import DeployabilityIndex, Snapshot, SnapshotId
from sqlmesh.core.snapshot.definition import snapshots_to_dag

from databox_shared.contracts import RAW, STAGING
from databox_shared.days import FIRST_DAY, day_ranges
from databox_shared.settings import Settings
from databox_shared.snapshots import Snapshot as RawSnapshot
from transform_location.deployed import NOTE, deployed_fingerprint, note_deployed
from transform_location.evaluation import (
    Evaluation,
    Interval,
    RecordingScheduler,
    days_between,
    failure_sentence,
    interval_of,
    period_of,
    table_of,
    whole_periods,
)
from transform_location.manifest import PROJECT, current_manifest
from transform_location.warehouse import (
    LOCATION,
    RAW_CATALOG,
    STATE_FILE,
    Silent,
    sqlmesh_config,
    state_folder,
)

PROD = "prod"
OBSERVATIONS = f"{STAGING}.observations"
# a model that is not by day is done when it has the interval of this one day
WHOLE = FIRST_DAY


class NotDeployedError(Exception):
    """Models were to be evaluated that were never deployed."""


class Models:
    """The location's models over one raw snapshot; made by `opened`."""

    def __init__(self, context: Context, folder: Path, log: Callable[[str], None]) -> None:
        self.context = context
        self._folder = folder
        self._log = log

    def deployed(self) -> str | None:
        """The fingerprint of the code that prod was made from, None before the first deploy."""
        return deployed_fingerprint(self._folder)

    def plan(self) -> Plan:
        """What a deploy of the project's files would change."""
        self.context.load()
        return self.context.plan_builder(
            PROD, skip_backfill=True, skip_tests=True, skip_linter=True
        ).build()

    def deploy(self) -> list[str]:
        """Make prod follow the project's files. Returns the changed models, as `schema.table`.

        Changed models get new, empty tables. Their days show as missing, and the next `evaluate`
        fills them.
        """
        plan = self.plan()
        changed = sorted(table_of(new) for new in plan.new_snapshots if not _is_raw(new))
        self.context.apply(plan)
        note_deployed(self._folder, current_manifest().fingerprint)
        return changed

    def absent_from_raw(self) -> list[str]:
        """The columns that the models read, as `table.column`, and the raw snapshot has not."""
        found = self.context.engine_adapter.fetchall(
            "SELECT table_name, column_name FROM duckdb_columns() "
            f"WHERE database_name = '{RAW_CATALOG}' AND schema_name = '{RAW}'"
        )
        there = {f"{table}.{column}" for table, column in found}
        read = {
            f"{source.table}.{source.column}"
            for model in current_manifest().models
            for sources in model.lineage.values()
            for source in sources
            if source.schema == RAW
        }
        return sorted(read - there)

    def raw_days(self) -> list[date]:
        """The days that the raw snapshot has."""
        return self._days(
            f"SELECT obs_date FROM {RAW_CATALOG}.{RAW}.checklists "
            f"UNION SELECT obs_date FROM {RAW_CATALOG}.{RAW}.region_stats"
        )

    def moved_days(self, days: Collection[date]) -> list[date]:
        """Days under which staging still has a row whose raw date is now one of `days`.

        An observer who corrects a checklist's date moves its rows. The day that they left must be
        evaluated again, though nothing was loaded for it.
        """
        if not days:
            return []
        listed = ", ".join(f"DATE '{day}'" for day in days)
        return self._days(
            " UNION ".join(
                f"SELECT old.obs_date FROM {STAGING}.{table} AS old "
                f"JOIN {RAW_CATALOG}.{RAW}.{table} AS raw USING (region_code, {key}) "
                f"WHERE raw.obs_date IN ({listed}) AND old.obs_date <> raw.obs_date"
                for table, key in (("checklists", "sub_id"), ("observations", "obs_id"))
            )
        )

    def reviewed_days(self) -> list[date]:
        """Days of observations of which the last poll of notable reports says another state.

        A poll reaches back 30 days, most of which are not loaded again on the same day. Only the
        observations of such a day are to be evaluated again: nothing counts by their review.
        """
        return self._days(
            f"SELECT DISTINCT known.obs_date FROM {STAGING}.observations AS known "
            f"JOIN {RAW_CATALOG}.{RAW}.notable_observations AS poll USING (region_code, obs_id) "
            f"LEFT JOIN {RAW_CATALOG}.{RAW}.historic_observations AS day "
            "USING (region_code, obs_date, obs_id) "
            "WHERE poll.obs_dt::DATE = known.obs_date "
            "AND COALESCE(poll.polled_at >= day.read_at, TRUE) "
            "AND (poll.obs_valid IS DISTINCT FROM known.is_valid "
            "OR poll.obs_reviewed IS DISTINCT FROM known.is_reviewed)"
        )

    def taxonomy_is_renewed(self) -> bool:
        """Whether raw has other versions of the taxonomy than staging was evaluated with.

        Every day's species follow from the newest, so all of them must be evaluated again then.
        """
        [(renewed,)] = self.context.engine_adapter.fetchall(
            f"SELECT (SELECT LIST(DISTINCT taxonomy_version ORDER BY taxonomy_version) "
            f"FROM {RAW_CATALOG}.{RAW}.taxa) IS DISTINCT FROM "
            f"(SELECT LIST(DISTINCT taxonomy_version ORDER BY taxonomy_version) "
            f"FROM {STAGING}.taxa_versions)"
        )
        return bool(renewed)

    def evaluate(
        self, selected: Collection[str], days: Collection[date], raw_days: Collection[date]
    ) -> Evaluation:
        """Evaluate the selected models (`schema.table`) for `days`, and all that is missing.

        A day of `raw_days` is missing in a model that was never evaluated for it or that a failed
        run left in the middle of it. It is done whether the model is selected or not, as are the
        models that read it and all that are not by day, because what is published afterwards must
        be whole.
        """
        scheduler = self._scheduler()
        missing = _missing(scheduler.snapshots, raw_days)
        heals = any(missing.values())
        todo: dict[Snapshot, list[Interval]] = {}
        for snapshot, healed in missing.items():
            asked = set(days) if table_of(snapshot) in selected else set[date]()
            if table_of(snapshot) == OBSERVATIONS and asked:
                asked.update(self.reviewed_days())
            period = period_of(snapshot.model)
            if period:
                wanted = whole_periods(period, asked | healed)
            else:
                wanted = {WHOLE} if heals or table_of(snapshot) in selected else set[date]()
            if wanted:
                todo[snapshot] = [interval_of(*ends) for ends in day_ranges(wanted)]
        return self._evaluate(scheduler, todo)

    def _evaluate(
        self, scheduler: RecordingScheduler, todo: dict[Snapshot, list[Interval]]
    ) -> Evaluation:
        state = self.context.state_sync
        # missing first, evaluated then: a run that dies leaves what it did not finish as missing
        state.remove_intervals(
            [
                (snapshot, interval)
                for snapshot, ranges in todo.items()
                # without an interval SQLMesh would make a table anew that remembers what raw forgot
                if not snapshot.model.disable_restatement
                for interval in ranges
            ]
        )
        state.refresh_snapshot_intervals(list(todo))
        errors, skipped = scheduler.run_merged_intervals(
            merged_intervals=cast("Any", todo),
            deployability_index=DeployabilityIndex.all_deployable(),
            environment_naming_info=scheduler.naming_info,
        )
        tables = {snapshot.name: table_of(snapshot) for snapshot in todo}
        evaluation = scheduler.evaluation
        evaluation.failures = [
            failure_sentence(tables[error.node.snapshot_name], error) for error in errors
        ]
        evaluation.skipped = sorted({tables[node.snapshot_name] for node in skipped})
        state.compact_intervals()
        return evaluation

    def _scheduler(self) -> RecordingScheduler:
        state = self.context.state_sync
        prod = state.get_environment(PROD)
        if prod is None:
            msg = "no models are deployed in this warehouse; run the job deploy_models first"
            raise NotDeployedError(msg)
        snapshots = state.get_snapshots(prod.snapshots).values()
        return RecordingScheduler(self.context, snapshots, prod.naming_info, self._log)

    def _days(self, query: str) -> list[date]:
        rows = cast("list[tuple[date]]", self.context.engine_adapter.fetchall(query))
        return sorted(day for (day,) in rows)


@contextmanager
def opened(
    settings: Settings, raw: RawSnapshot, *, log: Callable[[str], None]
) -> Generator[Models]:
    """Open the location's working file with one raw snapshot attached; close both at the end."""
    folder = state_folder(settings)
    if not (folder / f"{LOCATION}.duckdb").exists():
        # state of a warehouse that is gone says that its tables are full
        for leftover in (STATE_FILE, f"{STATE_FILE}.wal", NOTE):
            (folder / leftover).unlink(missing_ok=True)
    set_console(Silent())
    # models come from the state; their files are loaded by a deploy only
    context = Context(paths=[str(PROJECT)], config=sqlmesh_config(settings), load=False)
    try:
        # not through SQLMesh, which logs its statements: one of them may hold a password
        raw.attach(context.engine_adapter.cursor)
        yield Models(context, folder, log)
    finally:
        # a context closes its connection only if it has evaluated something
        context.engine_adapter.close()
        context.close()


def _missing(
    snapshots: Mapping[SnapshotId, Snapshot], raw_days: Collection[date]
) -> dict[Snapshot, set[date]]:
    """The days that each model misses, itself or in what it reads, in topological order."""
    missing: dict[SnapshotId, set[date]] = {}
    for key in snapshots_to_dag(snapshots.values()):
        snapshot = snapshots.get(key)
        if snapshot is None or _is_raw(snapshot):
            continue
        done = {day for interval in snapshot.intervals for day in days_between(*interval)}
        expected = set(raw_days) if period_of(snapshot.model) else {WHOLE}
        inherited = set[date]().union(*(missing.get(parent, ()) for parent in snapshot.parents))
        if not snapshot.model.time_column:
            missing[key] = expected if inherited else expected - done
        else:
            missing[key] = (expected - done) | (expected & inherited)
    return {snapshots[key]: days for key, days in missing.items()}


def _is_raw(snapshot: Snapshot) -> bool:
    return not snapshot.is_model or snapshot.is_external
