"""The half-private SQLMesh calls that this location rests on, each held by itself.

SQLMesh promises none of them. When an upgrade changes one, its test says which, on a project of
three models, before a run finds out on everybody's tables.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlglot import parse_one
from sqlmesh.core.audit import ModelAudit
from sqlmesh.core.config import (
    Config,
    DuckDBConnectionConfig,
    GatewayConfig,
    ModelDefaultsConfig,
)
from sqlmesh.core.console import set_console
from sqlmesh.core.context import Context
from sqlmesh.core.lineage import column_dependencies
from sqlmesh.core.loader import SqlMeshLoader
from sqlmesh.core.model import create_external_model, create_sql_model
from sqlmesh.core.scheduler import Scheduler
from sqlmesh.core.snapshot import DeployabilityIndex, Snapshot, SnapshotEvaluator
from sqlmesh.core.snapshot.definition import snapshots_to_dag
from sqlmesh.utils.errors import NodeAuditsErrors

from transform_location.evaluation import (
    Interval,
    RecordingScheduler,
    days_between,
    interval_of,
    table_of,
)
from transform_location.time_zones import ZonedDuckDB
from transform_location.warehouse import Silent, load_project

MODELS = {
    "source": """
        MODEL (name birds.source, kind FULL, audits (some_rows));
        SELECT 1::BIGINT AS n, '2026-11-20'::DATE AS day;
        AUDIT (name some_rows); SELECT * FROM @this_model WHERE n < 0""",
    "daily": """
        MODEL (name birds.daily, kind INCREMENTAL_BY_TIME_RANGE (time_column day),
               grain day, audits (no_tens, few (limit_n := 100)));
        SELECT @start_date::DATE AS day, {n}::BIGINT AS n, n AS source_n
        FROM birds.source;
        AUDIT (name no_tens); SELECT * FROM @this_model WHERE n = 10;
        AUDIT (name few, blocking FALSE); SELECT * FROM @this_model WHERE n > @limit_n""",
    "total": """
        MODEL (name birds.total, kind FULL);
        SELECT SUM(n)::BIGINT AS n FROM birds.daily""",
}
DAY, NEXT = date(2026, 11, 20), date(2026, 11, 21)
ONE_DAY = interval_of(DAY, DAY)


class Project:
    """A deployed project of three models, `source` → `daily` → `total`, opened from its state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write()
        self.deploy()

    def deploy(self) -> None:
        """Make prod follow the files; `plan` is what that changed."""
        with_files = self.open(load=True)
        self.plan = with_files.plan_builder(
            "prod", skip_backfill=True, skip_tests=True, skip_linter=True
        ).build()
        with_files.apply(self.plan)
        with_files.engine_adapter.close()
        with_files.close()
        self.context = self.open(load=False)

    def change(self, name: str, old: str, new: str) -> None:
        """Change a model's file and deploy it."""
        file = self.folder / "models" / f"{name}.sql"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        self.close()
        self.deploy()

    def close(self) -> None:
        self.context.engine_adapter.close()
        self.context.close()

    def write(self, n: str = "1") -> None:
        (self.folder / "models").mkdir(parents=True, exist_ok=True)
        for name, text in MODELS.items():
            model, *audits = text.split("AUDIT")
            sql = model.format(n=n) if name == "daily" else model
            (self.folder / "models" / f"{name}.sql").write_text(
                sql.rstrip("; \n") + "".join(f";\nAUDIT{audit.rstrip('; ')}" for audit in audits)
            )

    def open(self, *, load: bool) -> Context:
        set_console(Silent())
        gateway = GatewayConfig(
            connection=ZonedDuckDB(catalogs={"birds_db": str(self.folder / "birds_db.duckdb")}),
            state_connection=DuckDBConnectionConfig(database=str(self.folder / "state.duckdb")),
        )
        config = Config(
            gateways={"duckdb": gateway},
            default_gateway="duckdb",
            model_defaults=ModelDefaultsConfig(dialect="duckdb", start="2026-11-01"),
            disable_anonymized_analytics=True,
        )
        return Context(paths=[str(self.folder)], config=config, load=load)

    def scheduler(self, log: list[str] | None = None) -> RecordingScheduler:
        state = self.context.state_sync
        prod = state.get_environment("prod")
        assert prod is not None
        snapshots = state.get_snapshots(prod.snapshots).values()
        said = (log if log is not None else []).append
        return RecordingScheduler(self.context, snapshots, prod.naming_info, said)

    def evaluate(
        self, todo: dict[str, list[Interval]], scheduler: RecordingScheduler | None = None
    ) -> tuple[list[Any], list[Any]]:
        scheduler = scheduler or self.scheduler()
        wanted: dict[Any, Any] = {self.snapshot(name): ranges for name, ranges in todo.items()}
        return scheduler.run_merged_intervals(
            merged_intervals=wanted,
            deployability_index=DeployabilityIndex.all_deployable(),
            environment_naming_info=scheduler.naming_info,
        )

    def snapshot(self, table: str) -> Snapshot:
        found = {table_of(snapshot): snapshot for snapshot in self.scheduler().snapshots.values()}
        return found[f"birds.{table}"]

    def rows(self, query: str) -> list[Any]:
        return list(self.context.engine_adapter.fetchall(query))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    made.close()


WHOLE = {"source": [ONE_DAY], "daily": [ONE_DAY], "total": [ONE_DAY]}


def test_a_plan_that_skips_backfill_makes_empty_tables_whose_days_are_missing(
    project: Project,
) -> None:
    assert len(project.plan.new_snapshots) == len(MODELS)
    assert project.rows("SELECT * FROM birds.daily") == []
    assert project.snapshot("daily").intervals == []


def test_an_evaluation_does_exactly_the_given_models_and_days_and_remembers_them(
    project: Project,
) -> None:
    errors, skipped = project.evaluate({"source": [ONE_DAY], "daily": [ONE_DAY]})
    assert (errors, skipped) == ([], [])
    assert project.rows("SELECT day::VARCHAR, n FROM birds.daily") == [("2026-11-20", 1)]
    assert project.rows("SELECT * FROM birds.total") == []
    assert list(project.snapshot("daily").intervals) == [ONE_DAY]
    assert project.snapshot("total").intervals == []


def test_what_is_evaluated_is_what_is_deployed_and_not_what_the_files_say(
    project: Project,
) -> None:
    project.write(n="7")
    project.evaluate(WHOLE)
    assert project.rows("SELECT n FROM birds.daily") == [(1,)]


def test_an_interval_that_was_removed_is_missing_until_it_is_evaluated_again(
    project: Project,
) -> None:
    project.evaluate({"source": [ONE_DAY], "daily": [interval_of(DAY, NEXT)]})
    state, daily = project.context.state_sync, project.snapshot("daily")

    known = project.snapshot("daily")
    state.remove_intervals([(daily, ONE_DAY)])
    # the scheduler goes by what a snapshot that it holds says, which is old until refreshed
    assert list(known.intervals) == [interval_of(DAY, NEXT)]
    state.refresh_snapshot_intervals([known])
    assert list(known.intervals) == [interval_of(NEXT, NEXT)]
    assert list(project.snapshot("daily").intervals) == [interval_of(NEXT, NEXT)]

    project.evaluate({"daily": [ONE_DAY]})
    state.compact_intervals()
    assert list(project.snapshot("daily").intervals) == [interval_of(DAY, NEXT)]


def test_a_full_model_is_made_again_on_the_same_day_once_its_interval_was_removed(
    project: Project,
) -> None:
    project.evaluate(WHOLE)
    assert project.rows("SELECT n FROM birds.total") == [(1,)]
    project.evaluate({"daily": [interval_of(NEXT, NEXT)]})

    state, total = project.context.state_sync, project.snapshot("total")
    state.remove_intervals([(total, ONE_DAY)])
    project.evaluate({"total": [ONE_DAY]})
    assert project.rows("SELECT n FROM birds.total") == [(2,)]


@pytest.fixture
def remembering(tmp_path: Path) -> Iterator[Project]:
    """`remembered` keeps what `source` once had, as models do that remember what raw forgets."""
    model = """
        MODEL (name birds.remembered, grain n, kind INCREMENTAL_BY_UNIQUE_KEY (
            unique_key n, forward_only TRUE, disable_restatement TRUE));
        SELECT n FROM birds.source"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "remembered", model)
        made = Project(tmp_path)
    yield made
    made.close()


def test_what_is_remembered_outlives_a_deploy_of_its_model_and_of_what_it_reads(
    remembering: Project,
) -> None:
    """Lost rows could not be had again: nothing but that table has them."""
    todo = {"source": [ONE_DAY], "remembered": [ONE_DAY]}
    remembered = "SELECT n FROM birds.remembered ORDER BY n"
    remembering.evaluate(todo)

    remembering.change("source", "1::BIGINT", "5::BIGINT")
    assert remembering.rows(remembered) == [(1,)]
    remembering.evaluate(todo)
    assert remembering.rows(remembered) == [(1,), (5,)]

    remembering.change("remembered", "SELECT n", "SELECT n + 10 AS n")
    assert remembering.rows(remembered) == [(1,), (5,)]
    remembering.evaluate(todo)
    assert remembering.rows(remembered) == [(1,), (5,), (15,)]


def test_what_remembers_in_this_location_is_deployed_forward_only_and_never_made_anew() -> None:
    models = load_project().models.values()
    assert {model.view_name for model in models if model.disable_restatement} == {
        "location_history",
        "notable_polls",
        "notable_reports",
    }
    assert all(model.forward_only for model in models if model.disable_restatement)


def test_a_plan_says_what_is_new_what_is_changed_how_and_what_is_gone(
    remembering: Project,
) -> None:
    assert {key.name for key in remembering.plan.context_diff.added} == {
        remembering.snapshot(name).name for name in (*MODELS, "remembered")
    }

    remembering.change("source", "1::BIGINT", "5::BIGINT")
    changed = remembering.plan.context_diff.modified_snapshots
    assert {
        table_of(new): (new.change_category.name if new.change_category else "", new.is_no_rebuild)
        for new, _ in changed.values()
    } == {
        "birds.source": ("BREAKING", False),
        "birds.daily": ("INDIRECT_BREAKING", False),
        "birds.total": ("INDIRECT_BREAKING", False),
        "birds.remembered": ("INDIRECT_BREAKING", True),
    }

    gone = remembering.snapshot("total").name
    (remembering.folder / "models" / "total.sql").unlink()
    remembering.close()
    remembering.deploy()
    removed = remembering.plan.context_diff.removed_snapshots.values()
    assert [info.name for info in removed] == [gone]


def test_two_environments_are_compared_row_by_row(project: Project) -> None:
    project.evaluate(WHOLE)
    project.close()
    project.write(n="7")
    project.context = project.open(load=True)
    day = DAY.isoformat()
    project.context.plan(
        "other", start=day, end=day, execution_time=NEXT.isoformat(), auto_apply=True,
        no_prompts=True, skip_tests=True, skip_linter=True,
    )  # fmt: skip
    diffs = project.context.table_diff(
        "prod", "other", select_models={"*daily"}, show=False, skip_grain_check=True
    )
    [stats] = [diff.row_diff().stats for diff in diffs]
    assert [stats[name] for name in ("s_count", "t_count", "full_match_count")] == [1, 1, 0]


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Project]:
    """The blocking audit of `daily` finds a bad row."""
    text = MODELS["daily"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "daily", text.replace("{n}", "10"))
        made = Project(tmp_path)
    yield made
    made.close()


def test_a_failed_audit_is_an_error_that_names_its_node_and_leaves_the_day_missing(
    failing: Project,
) -> None:
    errors, skipped = failing.evaluate(WHOLE)
    (error,) = errors
    assert error.node.snapshot_name == failing.snapshot("daily").name
    assert [node.snapshot_name for node in skipped] == [failing.snapshot("total").name]
    assert isinstance(error.__cause__, NodeAuditsErrors)
    assert [(found.audit_name, found.count) for found in error.__cause__.errors] == [("no_tens", 1)]
    # audits run after the write: whoever reads prod sees the bad row, so nobody may
    assert failing.rows("SELECT n FROM birds.daily") == [(10,)]
    assert failing.snapshot("daily").intervals == []
    assert list(failing.snapshot("source").intervals) == [ONE_DAY]


def test_every_audit_reports_its_count_its_query_and_whether_it_blocks(project: Project) -> None:
    scheduler = project.scheduler()
    project.evaluate(WHOLE, scheduler)
    found = scheduler.evaluation.audits
    assert {(key, audit.blocking, audit.bad_rows) for key, audit in found.items()} == {
        (("birds.source", "some_rows"), True, 0),
        (("birds.daily", "no_tens"), True, 0),
        (("birds.daily", "few"), False, 0),
    }
    assert all("SELECT" in audit.query for audit in found.values())


def test_what_is_done_is_told_model_by_model_while_sqlmesh_runs(project: Project) -> None:
    log: list[str] = []
    project.evaluate(WHOLE, project.scheduler(log))
    assert [line.partition(":")[0] for line in log] == [
        "birds.source",
        "birds.daily",
        "birds.total",
    ]


def test_snapshots_come_in_the_order_of_what_reads_what(project: Project) -> None:
    snapshots = project.scheduler().snapshots
    tables = [table_of(snapshots[key]) for key in snapshots_to_dag(snapshots.values())]
    assert tables == ["birds.source", "birds.daily", "birds.total"]


def test_the_scheduler_is_told_the_ends_of_each_evaluation_by_name() -> None:
    names = inspect.signature(Scheduler.evaluate).parameters
    assert {"snapshot", "start", "end"} <= names.keys()
    assert days_between("2026-11-20", "2026-11-22") == [DAY, NEXT]


def test_the_scheduler_audits_through_its_evaluator() -> None:
    # the recorder stands in for the evaluator, and sees audits only if they go through it
    assert "snapshot" in inspect.signature(SnapshotEvaluator.audit).parameters
    assert "self.snapshot_evaluator.audit(" in inspect.getsource(Scheduler)


def test_the_loader_asks_itself_for_models_and_for_external_models() -> None:
    loader: Any = SqlMeshLoader
    external = inspect.signature(loader._load_external_models).parameters
    assert list(external)[1:] == ["audits", "cache", "gateway"]
    assert "audits" in inspect.signature(loader._load_models).parameters
    assert "self._load_external_models(" in inspect.getsource(SqlMeshLoader)


def test_a_model_can_be_copied_with_other_audits_and_words_and_forgets_its_file_only() -> None:
    model = create_sql_model(
        "birds.copied", parse_one("SELECT 1 AS n"), dialect="duckdb", path=Path("n.sql")
    )
    audit = ModelAudit.model_validate(
        {"name": "few", "dialect": "duckdb", "query": "SELECT * FROM @this_model WHERE n > 9"}
    )
    copy = model.copy(
        update={
            "description": "words",
            "owner": "team:transform",
            "column_descriptions_": {"n": "a number"},
            "audits": [("few", {})],
            "audit_definitions": {"few": audit},
        }
    )
    assert model._path == Path("n.sql")  # pyright: ignore[reportPrivateUsage]
    assert (copy.description, copy.owner) == ("words", "team:transform")
    assert copy.column_descriptions == {"n": "a number"}
    assert [found.name for found, _ in copy.audits_with_args] == ["few"]


def test_the_hash_of_a_model_is_of_its_query_and_its_stamp_and_not_of_its_words() -> None:
    model = create_sql_model("birds.hashed", parse_one("SELECT 1 AS n"), dialect="duckdb")
    other = create_sql_model("birds.hashed", parse_one("SELECT 2 AS n"), dialect="duckdb")
    assert model.data_hash != other.data_hash
    assert model.data_hash == model.copy(update={"description": "words"}).data_hash
    assert model.data_hash != model.copy(update={"stamp": "other boundaries"}).data_hash


def test_lineage_of_a_column_is_its_direct_sources(tmp_path: Path) -> None:
    context = Project(tmp_path).open(load=True)
    found = column_dependencies(context, context.get_model("birds.daily").fqn, "source_n")
    assert found == {context.get_model("birds.source").fqn: {"n"}}
    context.close()


def test_an_external_model_has_the_columns_that_it_is_given() -> None:
    model = create_external_model("raw.birds.seen", dialect="duckdb", columns={"n": "BIGINT"})
    assert model.kind.is_external
    assert [kind.sql("duckdb") for kind in (model.columns_to_types or {}).values()] == ["BIGINT"]


def test_every_connection_that_sqlmesh_makes_has_the_function_of_time_zones(
    project: Project,
) -> None:
    assert project.rows("SELECT time_zone_at(38.9, -77.0)") == [("America/New_York",)]
