"""The op `ebird_assets`: fetch, load, publish, announce, in this order, for the days of a run.

It is a plain `multi_asset` with a spec per contracted table in dagster-dlt's manner. Not
`@dlt_assets`: that needs a dlt source and pipeline when definitions are loaded, which doubles the
time in which a code server loads this location (2.4 s against 1.2 s for `import dagster`).
It must never announce a day before the snapshot that holds it is in place.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg

from databox_shared import handoff, snapshots
from databox_shared.contracts import RAW, Table, contract
from databox_shared.days import FIRST_DAY, READ_DATE_TAG, daily_partitions, format_days, run_days
from databox_shared.settings import Settings, load_settings
from ingestion_location.ebird.announce import announce_days, announce_snapshots
from ingestion_location.ebird.api import EbirdApi
from ingestion_location.ebird.fetch import Fetcher, FetchError
from ingestion_location.ebird.ingest import Ingest
from ingestion_location.ebird.landing import Landing
from ingestion_location.ebird.ledger import (
    claim_source,
    due_days,
    forget_unannounced,
    reads_before,
    unannounced_days,
)
from ingestion_location.ebird.load import missing_tables
from ingestion_location.ebird.sources import NewFields
from ingestion_location.ebird.tables import (
    DAY_TABLES,
    RAW_TABLES,
    SNAPSHOT_TABLES,
    new_in_words,
)

LOCATION = "ingestion"
GROUP = "ebird"
POOL = "ingestion_duckdb"


def _spec(table: Table) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=table.asset_key,
        description=f"{table.description}\n\nGrain: {table.grain}.",
        group_name=GROUP,
        owners=[table.owner],
        kinds={"dlt", "duckdb"},
        partitions_def=daily_partitions if table.day_column else None,
        skippable=True,
        metadata={
            "dagster/column_schema": table.column_schema,
            "dagster/table_name": table.full_name,
            "dagster/storage_kind": "duckdb",
        },
    )


def _specs() -> list[dg.AssetSpec]:
    tables = contract(RAW).tables
    if set(tables) != set(RAW_TABLES):
        differing = ", ".join(sorted(set(tables) ^ set(RAW_TABLES)))
        msg = f"the contract {RAW} and the raw tables of ingestion differ in: {differing}"
        raise dg.DagsterInvalidDefinitionError(msg)
    return [_spec(table) for table in tables.values()]


@dg.multi_asset(
    name="ebird_assets",
    specs=_specs(),
    check_specs=[
        dg.AssetCheckSpec(
            "fields_are_known",
            asset=table.contract.asset_key,
            description="The API sends no field that the contract does not know.",
        )
        for table in RAW_TABLES.values()
    ],
    can_subset=True,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool=POOL,
)
def ebird_assets(
    context: dg.AssetExecutionContext,
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Bring the run's days, and what is true now, from the eBird API into the raw tables."""
    settings = load_settings()
    handoff.begin(context)
    report = context.log.info
    failure: FetchError | None = None
    with snapshots.writing(settings, LOCATION, on_wait=report) as writer:
        with EbirdApi(settings) as api:
            claim_source(writer.path, api.source)
            landing = Landing(settings.hidden_dir / LOCATION / "landing" / api.source)
            read_date = _read_date(context, settings)
            fetcher = Fetcher(api, landing, read_date, report, settings.ebird_reread)
            ingest = Ingest(settings, writer.path, fetcher, report)
            try:
                _ingest(context, ingest)
            except FetchError as error:
                failure = error
                # nor may a day be handed over that an earlier run left half done
                left = set(unannounced_days(writer.path)) - {d.day for d in ingest.loaded_days}
                if left or not ingest.loaded_days:
                    raise
        # the days before the one that failed are whole: they are handed over before it is told
        published = writer.publish(run_id=context.run_id, contract_names=[RAW], source=api.source)
        announce_days(context, ingest.loaded_days, writer.path, published.id)
        forget_unannounced(writer.path)
    if ingest.loaded_snapshots is not None:
        loaded = ingest.loaded_snapshots
        yield from announce_snapshots(context, loaded, writer.path, published.id)
    yield from _check_fields(context, ingest.new_fields())
    if failure is not None:
        raise failure


def _read_date(context: dg.AssetExecutionContext, settings: Settings) -> date:
    """The date that the run is for, written on the run so that a retry is for the same."""
    text = context.run.tags.get(READ_DATE_TAG)
    if text is None:
        today = datetime.now(settings.timezone).date()
        context.instance.add_run_tags(context.run_id, {READ_DATE_TAG: today.isoformat()})
        return today
    try:
        return date.fromisoformat(text)
    except ValueError:
        msg = f"the tag {READ_DATE_TAG} holds {text!r}; write a date such as 2026-11-21"
        raise dg.Failure(msg, allow_retries=False) from None


def _ingest(context: dg.AssetExecutionContext, ingest: Ingest) -> None:
    selected = {key.path[-1] for key in context.selected_asset_keys}
    asked = run_days(context)
    days = _days(ingest, asked) if selected.intersection(DAY_TABLES) else {}
    # what is published has all tables, so a day that was left half done is done again by any run
    left = [day for day in unannounced_days(ingest.working_file) if day not in days]
    reasons = dict.fromkeys(left, "loaded by a run that did not get to announce it") | days
    if reasons:
        ingest.report(f"days of the run for {ingest.fetcher.read_date}: {_reasons(reasons)}")
    # what is handed over has every table, so the first load that is completed is one of them all
    wanted = selected.union(missing_tables(ingest.working_file))
    now = bool(wanted.intersection(SNAPSHOT_TABLES))
    # it may be years old: the next daily run must not count from it
    ingest.run(left, is_daily=False, now=now and bool(left))
    ingest.run(sorted(days), is_daily=asked is None, now=now and not left)


def _days(ingest: Ingest, asked: list[date] | None) -> dict[date, str]:
    """The days that the run is for, each with the reason why it is read.

    Raises `dg.Failure` for a day that no observation can be of: it would be handed over as empty,
    and fail everybody's checks from then on.
    """
    today = ingest.fetcher.read_date
    if asked is not None:
        # east of Greenwich it is tomorrow already
        wrong = [day for day in asked if not FIRST_DAY <= day <= today + timedelta(days=1)]
        if wrong:
            msg = (
                f"{format_days(wrong)} cannot be read: days are from {FIRST_DAY} to today "
                f"({today}); nothing was read"
            )
            raise dg.Failure(msg, allow_retries=False)
        return dict.fromkeys(asked, "asked for")
    known = reads_before(ingest.working_file, today)
    settings = ingest.settings
    return due_days(settings.ebird_regions, known, today, settings.ebird_reread)


def _reasons(due: Mapping[date, str]) -> str:
    by_reason: dict[str, list[date]] = {}
    for day, reason in due.items():
        by_reason.setdefault(reason, []).append(day)
    return "; ".join(f"{format_days(days)} ({reason})" for reason, days in by_reason.items())


def _check_fields(
    context: dg.AssetExecutionContext, new: NewFields
) -> Iterator[dg.AssetCheckResult]:
    for key in sorted(context.selected_asset_check_keys):
        said = new_in_words(RAW_TABLES[key.asset_key.path[-1]], new)
        yield dg.AssetCheckResult(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=not said,
            severity=dg.AssetCheckSeverity.WARN,
            description=said or None,
        )
