"""What a change to the models would do, before it is deployed.

`python -m transform_location.changes plan` says which models would be deployed anew, what would
be rebuilt and whose contract that touches. `... preview NAME` evaluates the change in a virtual
environment of that name and compares it with prod. Both work on a copy of the warehouse that is
thrown away afterwards: neither can change prod.
"""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlmesh.core.plan import Plan

from databox_shared import snapshots
from databox_shared.contracts import RAW, contract
from databox_shared.settings import Settings, load_settings
from transform_location.deployed import NOTE
from transform_location.evaluation import table_of
from transform_location.models import PROD, Models, opened
from transform_location.warehouse import LOCATION, STATE_FILE, state_folder


@contextmanager
def copied_warehouse(settings: Settings) -> Generator[Models]:
    """A copy of the location's working file and state over the newest raw snapshot."""
    with TemporaryDirectory(prefix="databox-change-") as home:
        copy = Settings(database_url=f"duckdb:///{home}/databox.duckdb")
        state_folder(copy).mkdir(parents=True)
        with snapshots.reading(settings, "ingestion") as raw:
            raw.check_readable(RAW)
            with snapshots.writing(settings, LOCATION, on_wait=say) as writer:
                for name in (writer.path.name, STATE_FILE, NOTE):
                    file = writer.path.with_name(name)
                    if file.exists():
                        shutil.copy(file, state_folder(copy))
            with opened(copy, raw, log=say) as models:
                yield models


def plan_lines(plan: Plan, days: int) -> list[str]:
    """One line for each model that the plan changes, adds or removes."""
    lines: list[str] = []
    for key in plan.context_diff.added:
        snapshot = plan.context_diff.snapshots[key]
        if snapshot.is_model and not snapshot.is_external:
            lines.append(f"{table_of(snapshot)}: new; {_rebuilt(days)}; {_touched(snapshot.name)}")
    for name, (snapshot, _) in plan.context_diff.modified_snapshots.items():
        if snapshot.is_external:
            continue
        category = snapshot.change_category.name.lower() if snapshot.change_category else "?"
        kept = snapshot.is_no_rebuild
        lines.append(
            f"{table_of(snapshot)}: {category.replace('_', ' ')}; "
            f"{'rows are kept' if kept else _rebuilt(days)}; {_touched(name)}"
        )
    removed = plan.context_diff.removed_snapshots.values()
    lines += [f"{info.name}: removed" for info in removed]
    return sorted(lines)


def preview(models: Models, name: str) -> list[str]:
    """Evaluate the change for the last loaded month and compare it with prod, a line a model."""
    days = models.raw_days()
    if not days:
        return ["raw has no days yet"]
    # whole months, for the models that are by month
    start, end = days[-1].replace(day=1), days[-1]
    context = models.context
    context.load()
    context.plan(
        name,
        start=start.isoformat(),
        end=end.isoformat(),
        execution_time=(end + timedelta(days=1)).isoformat(),
        auto_apply=True,
        no_prompts=True,
        skip_tests=True,
        skip_linter=True,
    )
    lines = [f"{name}: {start} to {end}, compared with prod; one line for each model that differs"]
    for diff in context.table_diff(
        PROD, name, select_models={"*"}, show=False, skip_grain_check=True
    ):
        rows = diff.row_diff()
        found = rows.stats
        lines.append(
            f"{diff.model_name}: {int(found['s_count'])} rows in prod, "
            f"{int(found['t_count'])} in {name}, {int(found['full_match_count'])} equal"
        )
    return lines


def say(line: str) -> None:
    """One line for the person at the terminal."""
    sys.stdout.write(f"{line}\n")


def main(arguments: list[str]) -> int:
    """`plan` or `preview NAME`."""
    # a comparison logs each of its queries as a warning
    logging.getLogger("sqlmesh").setLevel(logging.ERROR)
    match arguments:
        case ["plan"]:
            with copied_warehouse(load_settings()) as models:
                lines = plan_lines(models.plan(), len(models.raw_days())) or ["nothing changed"]
        case ["preview", name]:
            with copied_warehouse(load_settings()) as models:
                lines = preview(models, name)
        case _:
            sys.stderr.write("say `plan`, or `preview` and a name for the change\n")
            return 2
    for line in lines:
        say(line)
    return 0


def _rebuilt(days: int) -> str:
    return f"{days} loaded days are rebuilt"


def _touched(name: str) -> str:
    schema = Path(name.replace('"', "").replace(".", "/")).parts[-2]
    return f"contract {schema} {contract(schema).version}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
