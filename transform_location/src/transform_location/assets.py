"""The SQLMesh models as Dagster assets: one op for all of them, in one run one raw snapshot.

The op deploys the models if their code changed, evaluates them for the run's days, publishes a
snapshot and only then announces what it made. Definitions come from the manifest and the
contracts; SQLMesh is imported inside the op.
"""

import warnings
from collections.abc import Callable, Collection, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from databox_shared import handoff, snapshots
from databox_shared.contracts import MARTS, RAW, STAGING, Table, contract
from databox_shared.days import daily_partitions, format_days, run_days
from databox_shared.edges import INGESTION_TO_TRANSFORM
from databox_shared.settings import load_settings
from databox_shared.together import log_together, report_checks
from transform_location.manifest import PROJECT, Model, current_manifest

if TYPE_CHECKING:
    from transform_location.evaluation import Evaluation
    from transform_location.models import Models

    Log = Callable[[str], None]

# code references are what Dagster offers for this; its notice would stand in every log
warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*CodeReference")

GROUPS = {STAGING: "sqlmesh_staging", MARTS: "sqlmesh_marts"}
POOL = "transform_duckdb"
TAXONOMY = f"{STAGING}.taxa_versions"
POLLS, REPORTS = f"{STAGING}.notable_polls", f"{STAGING}.notable_reports"


def table_of(model: Model) -> Table:
    """What the contract says of the model's table."""
    return contract(model.schema).tables[model.table]


def model_spec(model: Model) -> dg.AssetSpec:
    """One model as an asset: all that is known of it without running it."""
    table = table_of(model)
    return dg.AssetSpec(
        key=table.asset_key,
        deps=[dg.AssetKey(name.split(".")) for name in model.deps],
        description=f"{table.description}\n\n{table.grain[0].upper()}{table.grain[1:]}.",
        group_name=GROUPS[model.schema],
        owners=[table.owner],
        kinds={"sqlmesh", "duckdb"},
        code_version=model.code_version,
        partitions_def=daily_partitions if table.day_column else None,
        # a run for a set of days with gaps has no Dagster partition to yield an output for
        skippable=True,
        metadata={
            "dagster/column_schema": table.column_schema,
            "dagster/column_lineage": column_lineage(model),
            "dagster/table_name": table.full_name,
            "sql": dg.MetadataValue.md(f"```sql\n{model.sql.strip()}\n```"),
            "kind": model.kind,
            "dagster/code_references": dg.CodeReferencesMetadataValue(
                code_references=[
                    dg.LocalFileCodeReference(file_path=str(PROJECT / model.file), label=model.file)
                ]
            ),
        },
    )


def column_lineage(model: Model) -> dg.TableColumnLineage:
    """From which columns, also of other locations' tables, each column is computed."""
    return dg.TableColumnLineage(
        {
            column: [
                dg.TableColumnDep(dg.AssetKey([source.schema, source.table]), source.column)
                for source in sources
            ]
            for column, sources in model.lineage.items()
        }
    )


def check_specs(model: Model) -> list[dg.AssetCheckSpec]:
    """One check for each audit of the model."""
    return [
        dg.AssetCheckSpec(
            name=audit.name,
            asset=table_of(model).asset_key,
            description=audit.description,
            blocking=audit.blocking,
        )
        for audit in model.audits
    ]


@dg.multi_asset(
    name="sqlmesh_models",
    specs=[model_spec(model) for model in current_manifest().models],
    check_specs=[spec for model in current_manifest().models for spec in check_specs(model)],
    can_subset=True,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool=POOL,
)
def sqlmesh_models(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """Deploy if the code changed, evaluate the selected models, publish, announce.

    Without named days it evaluates all days that raw has. Raises `dg.Failure` with a sentence for
    each model that failed, and publishes nothing then.
    """
    handoff.begin(context, INGESTION_TO_TRANSFORM)
    evaluation, published = work(context)
    if published is not None:
        log_together(context, materializations(evaluation, published))
    yield from report_checks(context, check_evaluations(context, evaluation))
    if published is None:
        raise dg.Failure(failure_text(evaluation), allow_retries=False)


def work(
    context: dg.AssetExecutionContext,
) -> tuple["Evaluation", snapshots.Snapshot | None]:
    """Do what the run is for, on one raw snapshot. Publishes unless a model failed."""
    from transform_location.models import opened

    settings, log = load_settings(), context.log.info
    selected = {".".join(key.path) for key in context.selected_asset_keys}
    with (
        snapshots.reading(settings, "ingestion") as raw,
        snapshots.writing(settings, "transform", on_wait=log) as writer,
    ):
        raw.check_readable(RAW)
        with opened(settings, raw, log=log) as models:
            refuse_older_raw(models, raw)
            if models.deployed() != current_manifest().fingerprint:
                refuse_to_deploy_in_part(models, selected)
                log(f"the code changed; deployed {', '.join(models.deploy()) or 'no model'}")
            evaluation = evaluate(models, selected, run_days(context), log)
        if evaluation.failures:
            return evaluation, None
        published = writer.publish(
            run_id=context.run.run_id,
            contract_names=[STAGING, MARTS],
            source=raw.source,
            upstream={"ingestion": raw.id},
        )
    log(f"published snapshot {published.id} from ingestion's snapshot {raw.id}")
    return evaluation, published


def refuse_older_raw(models: "Models", raw: snapshots.Snapshot) -> None:
    """Raise `dg.Failure` if the snapshot lacks what the models have since come to read.

    Found out later, it would be an error of the database after history was rebuilt.
    """
    if absent := models.absent_from_raw():
        msg = (
            f"snapshot {raw.id} of ingestion was published by an older ingestion: it has not "
            f"{', '.join(absent)}; deploy ingestion first and let its job daily_ebird_pipeline run"
        )
        raise dg.Failure(msg, allow_retries=False)


def refuse_to_deploy_in_part(models: "Models", selected: Collection[str]) -> None:
    """Raise `dg.Failure` unless the run is for all models, or there is nothing yet to be changed.

    A deploy rebuilds history, which is more than somebody means who asks for one table.
    """
    everything = {model.full_name for model in current_manifest().models}
    if models.deployed() is not None and selected != everything:
        msg = (
            "the models changed since they were deployed, and this run is for some of them only; "
            "run the job deploy_models first (its sensor does so by itself)"
        )
        raise dg.Failure(msg, allow_retries=False)


def evaluate(
    models: "Models", selected: Collection[str], days: Collection[date] | None, log: "Log"
) -> "Evaluation":
    """Evaluate the models for the days that they need, given those that the run is for."""
    if POLLS in selected:
        # a poll that is newer than every report would seem to have withdrawn them all
        selected = {*selected, REPORTS}
    raw_days = models.raw_days()
    asked = set(raw_days if days is None else days)
    asked.update(models.moved_days(asked))
    if TAXONOMY in selected and models.taxonomy_is_renewed():
        log("the taxonomy was renewed, so the species of all loaded days are made anew")
        # in all models: the next run does not see that it was renewed
        selected = {model.full_name for model in current_manifest().models}
        asked.update(raw_days)
    log(f"evaluating {format_days(asked) or 'what is missing'}")
    return models.evaluate(selected, asked, raw_days)


def failure_text(evaluation: "Evaluation") -> str:
    """What failed, what was not reached, and what happens next."""
    sentences = list(evaluation.failures)
    if evaluation.skipped:
        sentences.append(f"not reached: {', '.join(evaluation.skipped)}")
    sentences.append("nothing was published, and the next run does what is missing")
    return "; ".join(sentences)


def materializations(
    evaluation: "Evaluation", published: snapshots.Snapshot
) -> Iterator[dg.AssetMaterialization]:
    """Every evaluated day of every model, selected or done because it was missing.

    As events to log and not as outputs, of which a model that is by day would have one per run.
    """
    for model in current_manifest().models:
        for day, rows in evaluation.rows.get(model.full_name, {}).items():
            count = "dagster/partition_row_count" if day else "dagster/row_count"
            yield dg.AssetMaterialization(
                table_of(model).asset_key,
                partition=day.isoformat() if day else None,
                metadata={
                    "databox/snapshot_id": published.id,
                    "dagster/table_name": model.full_name,
                    **({} if rows is None else {count: rows}),
                },
            )


def check_evaluations(
    context: dg.AssetExecutionContext, evaluation: "Evaluation"
) -> list[dg.AssetCheckEvaluation]:
    """One evaluation for each audit that ran and whose check is part of the run.

    Not an `AssetCheckResult`, for which Dagster wants the run to have a partition.
    """
    return [
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(found.model.split(".")),
            check_name=found.audit,
            passed=found.bad_rows == 0,
            severity=(
                dg.AssetCheckSeverity.ERROR if found.blocking else dg.AssetCheckSeverity.WARN
            ),
            blocking=found.blocking,
            metadata={
                "bad_rows": dg.MetadataValue.int(found.bad_rows),
                **({"examples": "; ".join(found.examples)} if found.examples else {}),
                "query": dg.MetadataValue.md(f"```sql\n{found.query}\n```"),
            },
        )
        for found in evaluation.audits.values()
        if dg.AssetCheckKey(dg.AssetKey(found.model.split(".")), found.audit)
        in context.selected_asset_check_keys
    ]
