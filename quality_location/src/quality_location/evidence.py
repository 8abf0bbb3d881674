"""What Dagster shows of a run: metadata of checks, of the release and of the history.

The keys `path`, `rows`, `checks`, `top_species`, `days` and `report` are read by the pipeline
command; the others are for people in the UI.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as Target,
)

from databox_shared.contracts import MARTS, Table, contract
from databox_shared.plots import Bar, columns, rows
from databox_shared.settings import Settings
from databox_shared.snapshots import Snapshot
from quality_location.checks import FreshnessCheck, relation
from quality_location.evaluate import Outcome
from quality_location.history import SCORECARD, Recorded, outcome_word
from quality_location.losses import COMPLETE_SHARE
from quality_location.release import Facts, Release
from quality_location.warehouse import Held

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DAYS_PLOTTED = 60


@dataclass(frozen=True)
class Run:
    """What one run has found. `withheld` says why nothing may be released; empty if it may."""

    run_id: str
    started_at: datetime
    held: Held
    outcomes: Sequence[Outcome]
    withheld: str

    @property
    def tally(self) -> dict[str, int]:
        """How many checks passed, warned and failed."""
        counts = Counter(map(outcome_word, self.outcomes))
        return {word: counts[word] for word in ("passed", "warned", "failed")}

    @property
    def facts(self) -> Facts:
        """What a release is told about this run."""
        return Facts(
            created_at=self.started_at,
            run_id=self.run_id,
            source=source_in_words(self.held),
            snapshots=self.held.ids,
            checks=self.tally,
            results=[
                {
                    "check": f"{outcome.check.table.full_name}:{outcome.check.name}",
                    "passed": outcome.passed,
                    "severity": severity(outcome).value,
                }
                for outcome in self.outcomes
            ],
            built_from={k: v for k, v in self.held.contracts.items() if k != MARTS},
        )

    @property
    def verdict(self) -> str:
        """The decision in a sentence."""
        return (
            f"The release is withheld: {self.withheld}"
            if self.withheld
            else "The release is current."
        )


def check_evaluation(
    outcome: Outcome, held: Held, target: Target | None
) -> dg.AssetCheckEvaluation:
    """One check of all days, with what a person needs to look into it.

    Not an `AssetCheckResult`, for each of which Dagster asks again what was materialized last.
    """
    metadata: dict[str, dg.MetadataValue] = {
        "failing_rows": dg.MetadataValue.int(outcome.failing_rows),
        "query": dg.MetadataValue.md(f"```sql\n{held.query_for_people(outcome.query)}\n```"),
        "databox/snapshot_id": dg.MetadataValue.int(held.transform.id),
    }
    if outcome.sample:
        metadata["sample"] = dg.MetadataValue.md(outcome.sample)
    if outcome.failing_by_day:
        by_day = {str(day): count for day, count in outcome.failing_by_day.items()}
        metadata["failing_by_day"] = dg.MetadataValue.json(by_day)
        newest = list(by_day.items())[-DAYS_PLOTTED:]
        bars = [Bar(day, count, bad=True) for day, count in newest]
        metadata["failing_by_day_plot"] = dg.MetadataValue.md(columns("Failing rows by day", bars))
    return dg.AssetCheckEvaluation(
        passed=outcome.passed,
        asset_key=outcome.check.table.asset_key,
        check_name=outcome.check.name,
        severity=severity(outcome),
        description=outcome.reason,
        target_materialization_data=target,
        metadata=metadata,
    )


def severity(outcome: Outcome) -> dg.AssetCheckSeverity:
    """ERROR if it blocks the release, or would if rows failed."""
    is_error = outcome.blocks if outcome.failing_rows else outcome.check.blocking
    return dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN


def release_metadata(
    connection: "DuckDBPyConnection", settings: Settings, run: Run, release: Release | None
) -> dict[str, dg.MetadataValue]:
    """What the run found, and the release that people see after it (None before the first)."""
    metadata: dict[str, dg.MetadataValue] = {
        "checks": dg.MetadataValue.json(run.tally),
        "snapshots": dg.MetadataValue.json(run.held.ids),
        "databox/snapshot_id": dg.MetadataValue.int(run.held.transform.id),
    }
    if release is None:
        return metadata
    metadata |= {
        "path": dg.MetadataValue.path(str(settings.release_path)),
        "report": dg.MetadataValue.path(str(settings.release_path.parent / "report/index.html")),
        "rows": dg.MetadataValue.json(dict(release.manifest.rows)),
        "days": dg.MetadataValue.text(release.manifest.days),
        "release_id": dg.MetadataValue.text(release.manifest.id),
        "dagster/row_count": dg.MetadataValue.int(sum(release.manifest.rows.values())),
    }
    return metadata if run.withheld else metadata | _birds(connection)


def _birds(connection: "DuckDBPyConnection") -> dict[str, dg.MetadataValue]:
    # Dagster plots the numbers over time
    species, totals = (
        relation(contract(MARTS).tables[name]) for name in ("species_daily", "region_daily_totals")
    )
    week = "obs_date > (SELECT max(obs_date) - 7 FROM {})"
    seen = connection.execute(
        "SELECT com_name, sum(checklists_reporting)::BIGINT AS checklists, "
        f"coalesce(sum(birds_counted), 0)::BIGINT FROM {species} WHERE {week.format(species)} "
        "GROUP BY com_name ORDER BY checklists DESC, com_name"
    ).fetchall()
    [[checklists, completeness]] = connection.execute(
        "SELECT coalesce(sum(num_checklists), 0)::BIGINT, "
        "sum(num_checklists) / nullif(sum(stats_checklists), 0) "
        f"FROM {totals} WHERE {week.format(totals)}"
    ).fetchall()
    most = seen[:10]
    lines = ["| species | checklists | birds |", "|---|--:|--:|"]
    lines += [f"| {name} | {count:,} | {birds:,} |" for name, count, birds in most]
    metadata: dict[str, dg.MetadataValue] = {
        "checklists_by_day": dg.MetadataValue.md(_checklists_by_day(connection, totals)),
        "most_reported_species": dg.MetadataValue.md(
            rows(
                "The most reported species of the last 7 days, in checklists",
                [Bar(name, count) for name, count, _ in most],
            )
        ),
        "top_species": dg.MetadataValue.text(_most_reported_species(connection)),
        "seen_in_7_days": dg.MetadataValue.md("\n".join(lines)),
        "species_in_7_days": dg.MetadataValue.int(len(seen)),
        "checklists_in_7_days": dg.MetadataValue.int(checklists),
    }
    if completeness is not None:
        metadata["completeness_of_7_days"] = dg.MetadataValue.float(completeness)
    return metadata


def _checklists_by_day(connection: "DuckDBPyConnection", totals: str) -> str:
    # where eBird was not asked, nothing says that a day is incomplete
    days = connection.execute(
        "SELECT obs_date::VARCHAR, sum(num_checklists)::BIGINT, "
        "coalesce(sum(stats_checklists), 0)::BIGINT, "
        "coalesce(sum(num_checklists) FILTER (stats_checklists IS NOT NULL) "
        f"< {COMPLETE_SHARE} * sum(stats_checklists), false) FROM {totals} "
        f"GROUP BY obs_date ORDER BY obs_date DESC LIMIT {DAYS_PLOTTED}"
    ).fetchall()
    return columns(
        "Checklists by day; grey: missing of those that eBird counts; "
        f"orange: less than {COMPLETE_SHARE:.0%} are there",
        [Bar(day, loaded, of=counted, bad=bad) for day, loaded, counted, bad in reversed(days)],
    )


def _most_reported_species(connection: "DuckDBPyConnection") -> str:
    """The species on most checklists of the newest day, in a few words; empty without any."""
    table = relation(contract(MARTS).tables["species_daily"])
    row = connection.execute(
        f"SELECT com_name, sum(checklists_reporting)::BIGINT AS checklists, obs_date FROM {table} "
        f"WHERE obs_date = (SELECT max(obs_date) FROM {table}) "
        "GROUP BY com_name, obs_date ORDER BY checklists DESC, com_name LIMIT 1"
    ).fetchone()
    return f"{row[0]}, on {row[1]:,} checklists of {row[2]}" if row else ""


def source_in_words(held: Held) -> str:
    """Whether real people saw these birds."""
    host = urlsplit(f"//{held.ingestion.source}").hostname or held.ingestion.source
    if host in {"sandbox", "localhost", "127.0.0.1", "::1"}:
        return "generated birds from the sandbox: nobody saw them"
    return f"observations from {host}"


def table_metadata(
    table: Table, recorded: Recorded, published: Snapshot
) -> dict[str, dg.MetadataValue]:
    """One table of the history; the scorecard is shown whole."""
    metadata: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(recorded.rows[table.name]),
        "databox/snapshot_id": dg.MetadataValue.int(published.id),
    }
    if table == SCORECARD:
        metadata["scorecard_by_owner"] = dg.MetadataValue.md(_scorecard_by_owner(recorded))
        lines = [
            "| table | owner | checks | warned | failed | runs passed |",
            "|---|---|--:|--:|--:|--:|",
        ]
        lines += [
            f"| {row['schema_name']}.{row['table_name']} | {row['owner']} | {row['checks']} "
            f"| {row['warned']} | {row['failed']} | {row['runs_passed']} of {row['runs']} |"
            for row in recorded.scorecard
        ]
        metadata["scorecard"] = dg.MetadataValue.md("\n".join(lines))
    return metadata


def _scorecard_by_owner(recorded: Recorded) -> str:
    counts: dict[str, Counter[str]] = {}
    for row in recorded.scorecard:
        numbers = {name: int(row[name]) for name in ("checks", "warned", "failed")}
        good = int(not row["failed"])
        counts.setdefault(str(row["owner"]), Counter()).update(numbers, tables=1, good=good)
    lines = [
        "| owner | tables | without a failure | checks | warned | failed |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {owner} | {n['tables']} | {n['good']} | {n['checks']} | {n['warned']} | {n['failed']} |"
        for owner, n in sorted(counts.items())
    ]
    return "\n".join(lines)


def status(run: Run, recorded: Recorded, release: Release) -> dict[str, Any]:
    """What the pages say about the present."""
    return {
        "checked_at": run.started_at,
        "withheld": run.withheld,
        "release_id": release.manifest.id,
        "tally": run.tally,
        "checks": [
            {
                "table": outcome.check.table.full_name,
                "owner": outcome.check.table.owner,
                "name": outcome.check.name,
                "outcome": outcome_word(outcome),
                "reason": outcome.reason,
                "is_freshness": isinstance(outcome.check, FreshnessCheck),
            }
            for outcome in run.outcomes
        ],
        "scorecard": recorded.scorecard,
    }
