"""What quality shows in Dagster: the checks on everybody's tables, and the release.

One op does it all, because the decision to release must be taken on the very checks and the very
snapshots of the same run: it cannot fail open when another location, or a part of this one, is
away. A withheld release is an answer and does not fail the run; whatever goes wrong on the way
does, and then nothing is released.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster_duckdb import DuckDBResource

from databox_shared.alerts import AlertError, send_alert
from databox_shared.contracts import Table, contract
from databox_shared.days import daily_partitions, run_days
from databox_shared.edges import TRANSFORM_TO_QUALITY
from databox_shared.handoff import begin
from databox_shared.settings import Settings, load_settings
from databox_shared.snapshots import writing
from databox_shared.together import report_checks
from quality_location.by_day import DayReports, days_to_report
from quality_location.checks import Check, RowCheck, checked_tables, contract_checks
from quality_location.domain import domain_checks
from quality_location.evaluate import Outcome, broken_tables, evaluate_table
from quality_location.evidence import (
    Run,
    check_evaluation,
    release_metadata,
    status,
    table_metadata,
)
from quality_location.history import (
    CONTRACT,
    RESULTS,
    Recorded,
    alert_text,
    last_failing_days,
    mark_told,
    record,
)
from quality_location.page import write_status
from quality_location.private import private_sources, private_values_sql
from quality_location.release import (
    Release,
    current_release,
    make_release,
    releases_folder,
)
from quality_location.release_file import released_tables
from quality_location.release_lake import release_into_lake
from quality_location.release_postgres import release_into_postgres
from quality_location.views import released_views
from quality_location.warehouse import attached, held_snapshots, spill_dir

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# a check's days are what Dagster offers for this; its notice would stand in every log
warnings.filterwarnings("ignore", category=dg.PreviewWarning, message=".*partitions_def")

OWNER = "team:quality"
GROUP = "data_quality"

TABLES = checked_tables()
CHECKS: list[Check] = [*contract_checks(TABLES), *domain_checks()]

release_asset = dg.AssetSpec(
    ["release", "databox"],
    deps=[table.asset_key for table in released_tables()],
    group_name=GROUP,
    owners=[OWNER],
    kinds={"duckdb"},
    description=(
        "The DuckDB file of DATABASE_URL, which people open. It is made of the marts, only when "
        "every blocking check of the same run has passed; otherwise the last good one stays. "
        "`SELECT * FROM about` in it says what it is. It is made by the job data_quality_checks."
    ),
)

history_assets = [
    dg.AssetSpec(
        table.asset_key,
        deps=[checked.asset_key for checked in TABLES] if table == RESULTS else [RESULTS.asset_key],
        group_name=GROUP,
        owners=[table.owner],
        kinds={"duckdb"},
        description=f"{table.description} Grain: {table.grain}.",
        # not a check of this location: when it stops, its checks do
        freshness_policy=dg.FreshnessPolicy.time_window(timedelta(hours=table.freshness_hours))
        if table.freshness_hours
        else None,
        metadata={
            "dagster/column_schema": table.column_schema,
            "dagster/table_name": table.full_name,
        },
    )
    for table in contract(CONTRACT).tables.values()
]

release_is_current = dg.AssetCheckSpec(
    "release_is_current",
    asset=release_asset.key,
    description=(
        "The release holds the newest data. It fails when a blocking check withheld it: people "
        "then still see the last good release."
    ),
)


def _spec(check: Check) -> dg.AssetCheckSpec:
    severity = "Warns" if not check.blocking else "Blocks the release"
    if isinstance(check, RowCheck) and check.tolerates:
        severity += f" when more than {check.tolerates:.0%} of the rows fail"
    return dg.AssetCheckSpec(
        check.name,
        asset=check.table.asset_key,
        description=f"{check.meaning} {severity}.",
        partitions_def=daily_partitions if check.is_by_day else None,
    )


@dg.multi_asset_check(
    name="data_quality",
    specs=[*map(_spec, CHECKS), release_is_current],
    description="Checks one transform snapshot and its raw data, then releases it or does not.",
    compute_kind="duckdb",
    pool="quality_duckdb",
)
def data_quality(
    context: dg.AssetCheckExecutionContext, duckdb: DuckDBResource
) -> Iterator[dg.AssetCheckResult | dg.Output[None]]:
    """Check everything, then release or withhold."""
    begin(context, TRANSFORM_TO_QUALITY)
    settings = load_settings()
    now = datetime.now(UTC)
    days = run_days(context) or []
    with (
        writing(settings, "quality", on_wait=context.log.info) as writer,
        held_snapshots(settings) as held,
        attached(duckdb, settings, held) as connection,
    ):
        context.log.info(
            "checking snapshot %d of transform, built from snapshot %d of ingestion",
            held.transform.id,
            held.ingestion.id,
        )
        outcomes: list[Outcome] = []
        failed_before = last_failing_days(connection, writer.path)
        reports = DayReports(context.instance, held)
        for table, found in _evaluated(connection, now):
            outcomes += found
            _log_table(context, table.full_name, found)
            evaluations: list[dg.AssetCheckEvaluation] = []
            for outcome in found:
                whole = check_evaluation(outcome, held, reports.target(table.asset_key))
                before = failed_before.get(outcome.check.key, [])
                reported = days_to_report(outcome, days, before, now.date())
                evaluations += [*reports.evaluations(outcome, reported, whole), whole]
            yield from report_checks(context, evaluations)
        run = Run(context.run.run_id, now, held, outcomes, why_withheld(outcomes, CHECKS))
        release = _release(context, connection, settings, run)
        metadata = release_metadata(connection, settings, run, release)
        recorded = _remember(context, connection, settings, writer.path, run)
        if release is not None:
            write_status(releases_folder(settings), status(run, recorded, release))
        published = writer.publish(
            run_id=run.run_id,
            contract_names=[CONTRACT],
            source=held.ingestion.source,
            upstream=held.ids,
        )
    if not run.withheld:
        _announce(context, release_asset.key, metadata)
    for table in contract(CONTRACT).tables.values():
        _announce(context, table.asset_key, table_metadata(table, recorded, published))
    yield dg.AssetCheckResult(
        passed=not run.withheld,
        asset_key=release_asset.key,
        check_name=release_is_current.name,
        severity=dg.AssetCheckSeverity.ERROR,
        description=run.verdict,
        metadata=metadata,
    )


def _evaluated(
    connection: "DuckDBPyConnection", now: datetime
) -> Iterator[tuple[Table, list[Outcome]]]:
    # in one transaction a lake asks its catalog once, and not for each query
    connection.execute("BEGIN")
    broken = broken_tables(connection, TABLES)
    views = released_views(connection, released_tables())
    if not any(table.full_name in broken for table in private_sources()):
        connection.execute(";".join(private_values_sql()))
    for table in TABLES:
        checks = [check for check in CHECKS if check.table == table]
        yield (
            table,
            evaluate_table(
                connection,
                table,
                checks,
                broken=broken,
                now=now,
                # its rows come from released tables, each checked whole; this checks its query
                newest_days_only=table.full_name in views,
            ),
        )
    connection.execute("COMMIT")


def _release(
    context: dg.AssetCheckExecutionContext,
    connection: "DuckDBPyConnection",
    settings: Settings,
    run: Run,
) -> Release | None:
    if run.withheld:
        context.log.error(run.verdict)
        return current_release(settings)
    release, is_new = make_release(connection, settings, run.facts)
    _publish_release(context, settings, release)
    if is_new:
        context.log.info("released %s", settings.release_path)
    else:
        context.log.info("nothing has changed since release %s: it stays", release.manifest.id)
    return release


def _publish_release(
    context: dg.AssetCheckExecutionContext, settings: Settings, release: Release
) -> None:
    """Let people have it in the warehouse that DATABASE_URL names, if that is not the file."""
    if settings.lake is None:
        return
    file = release.folder / settings.release_path.name
    if not settings.release_in_postgres:
        release_into_lake(settings.lake, release, file)
    elif former := release_into_postgres(settings.lake, release, file, spill=spill_dir(settings)):
        context.log.warning(
            "former releases that could not be dropped, because somebody reads them, has made "
            "something of them or owns them; tried again by the next run: %s",
            ", ".join(former),
        )


def _remember(
    context: dg.AssetCheckExecutionContext,
    connection: "DuckDBPyConnection",
    settings: Settings,
    file: Path,
    run: Run,
) -> Recorded:
    recorded = record(
        connection,
        file,
        run.outcomes,
        run_id=run.run_id,
        checked_at=run.started_at,
        snapshots=run.held.ids,
    )
    if recorded.untold:
        text = alert_text(recorded.untold)
        context.log.critical(text)
        try:
            send_alert(settings, text)
        except AlertError as error:
            context.log.warning(str(error))
        else:
            mark_told(connection, file, run.started_at)
    return recorded


def _announce(
    context: dg.AssetCheckExecutionContext,
    key: dg.AssetKey,
    metadata: Mapping[str, dg.MetadataValue],
) -> None:
    # the op yields check results; what it materializes is an event of its run
    context.op_execution_context.log_event(dg.AssetMaterialization(key, metadata=metadata))


def why_withheld(outcomes: Sequence[Outcome], expected: Sequence[Check]) -> str:
    """Why nothing may be released, in a sentence; empty if it may.

    It may only if every expected check has an outcome and no blocking one failed.
    """
    missing = {check.key for check in expected} - {outcome.check.key for outcome in outcomes}
    reasons = [
        f"{outcome.check.table.full_name}: {outcome.check.name}: {outcome.reason}"
        for outcome in outcomes
        if outcome.blocks
    ]
    reasons += [f"{key.asset_key.to_user_string()}: {key.name}: not checked." for key in missing]
    return " ".join(reasons)


def _log_table(
    context: dg.AssetCheckExecutionContext, name: str, outcomes: Sequence[Outcome]
) -> None:
    failed = [outcome for outcome in outcomes if not outcome.passed]
    passed = len(outcomes) - len(failed)
    context.log.info("%s: %d of %d checks passed", name, passed, len(outcomes))
    for outcome in failed:
        log = context.log.error if outcome.blocks else context.log.warning
        log("%s: %s: %s", name, outcome.check.name, outcome.reason)
