"""Any sequence of faults and kills: nothing is lost, made up, asked twice or told without a cause.

Each run is a process of its own that asks the sandbox over HTTP. It finishes, fails or is killed;
after the last one, which nobody disturbs, everything is as if nothing had happened.
"""

import gzip
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from databox_shared.settings import load_settings
from ebird_sandbox.process import running_sandbox
from ingestion_location.ebird.pace import CONCURRENCY

from .dying_runs import STEPS
from .engine import Engine, World
from .test_faults import CHANGED, ENDPOINTS, LASTING, PASSING, REQUIRED
from .test_world import loaded, true

TODAY = date(2026, 11, 23)
DAYS = [date(2026, 11, 20), date(2026, 11, 21)]
TOKEN = "token-that-nobody-may-see"
# a part of the question by which a sentence about a day names the resource
OF_A_DAY = {
    "stats": "product/stats/",
    "lists": "product/lists/",
    "historic": "/historic/",
    "top100": "product/top100/",
    "checklist": "product/checklist/view/",
}
CAUSES = {
    "403": "refused the key (403)",
    "cut": "gave no answer (",
    "hang": "gave no answer (",
    "invalid-json": "malformed JSON",
    "empty": "an empty body",
}
HARMLESS = {None, "late", "slow", "clock-skew"}


@dataclass(frozen=True)
class Fault:
    """What goes wrong at an endpoint, after how many of its requests, and how often (or always)."""

    endpoint: str
    kind: str
    after: int = 0
    times: int | None = None

    def rule(self) -> dict[str, Any]:
        field = REQUIRED[self.endpoint] if self.kind in CHANGED else ""
        return {**asdict(self), "field": field, "seconds": 0.05, "retry_after": "1"}

    def is_told_by(self, sentence: str) -> bool:
        where = ENDPOINTS[self.endpoint]
        if self.endpoint in OF_A_DAY:
            where = f"US-DC ({'|'.join(str(day) for day in DAYS)})"
            if OF_A_DAY[self.endpoint] not in sentence:
                return False
        cause = REQUIRED[self.endpoint] if self.kind in CHANGED else self.kind
        is_named = re.match(f"FetchError: {where}: ", sentence) is not None
        return is_named and CAUSES.get(self.kind, cause) in sentence


ASKED = "was answered"
Kill = tuple[str, int]
Run = tuple[list[Fault], Kill | None]
# how often it happens in a run, a little less than that
TIMES = {
    ASKED: 30,
    "kept an answer": 30,
    "kept half an answer": 30,
    "compressed a file": 15,
    "moved a file into place": 15,
    "deleted rows": 8,
    "inserted rows": 8,
    "committed a table": 8,
}

faults = st.sampled_from(sorted(ENDPOINTS)).flatmap(
    lambda endpoint: st.builds(
        Fault,
        endpoint=st.just(endpoint),
        kind=st.sampled_from([*PASSING, *LASTING, *CHANGED]),
        after=st.integers(0, 10 if endpoint == "checklist" else len(DAYS) - 1)
        if endpoint in OF_A_DAY
        else st.just(0),
        times=st.sampled_from([None, None, 1, 5]),
    )
)
kills = st.sampled_from([ASKED, *STEPS]).flatmap(
    lambda step: st.tuples(st.just(step), st.integers(0, TIMES.get(step, 0)))
)
runs = st.tuples(st.lists(faults, min_size=1, max_size=2), st.none() | kills)


@dataclass
class Runs:
    """Makes runs in processes of their own, each in the folder it is told."""

    process: subprocess.Popen[str]
    world: World
    right: dict[str, Any]
    """What the undisturbed run has loaded, by table."""
    questions: set[str]
    """What it asked."""

    def make(self, folder: Path, wanted: Run | None = None) -> int:
        """One run; returns its exit code, or less than zero if it was killed."""
        disturbances, kill = wanted or ([], None)
        rules = [fault.rule() for fault in disturbances]
        if kill is not None and kill[0] == ASKED:
            # from then on no request is answered, so that the kill comes when it should
            rules.append({"kind": "hang", "after": kill[1]})
            kill = None
        self.world.ask("DELETE", "/faults")
        if rules:
            self.world.ask("POST", "/faults", faults=rules)
        return self._ended(order(folder, kill))

    def _ended(self, order: str) -> int:
        orders, ends = self.process.stdin, self.process.stdout
        assert orders is not None
        assert ends is not None
        print(order, file=orders, flush=True)
        pid = int(ends.readline())
        with ThreadPoolExecutor(1) as reader:
            ended = reader.submit(ends.readline)
            while not ended.done():
                time.sleep(0.02)
                now = self.world.ask("GET", "/faults")["faults"]
                if any(rule["endpoint"] == "*" and rule["hits"] for rule in now):
                    os.kill(pid, SIGKILL)
                    break
            return int(ended.result())

    def log(self, since: int = 0) -> list[dict[str, Any]]:
        log = self.world.ask("GET", "/requests?log=true")["requests"]
        return [asked for asked in log if asked["number"] > since]


def order(folder: Path, *kill: Kill | None) -> str:
    return json.dumps([str(folder), *kill, str(TODAY), [str(day) for day in DAYS]])


def engine_in(folder: Path) -> Engine:
    url = f"duckdb:///{folder}/databox.duckdb"
    return Engine(load_settings().model_copy(update={"database_url": url}))


def contents(engine: Engine) -> dict[str, Any]:
    return {**engine.content(), "reads": engine.rows("FROM ledger.reads ORDER BY ALL")}


@pytest.fixture(scope="module")
def process_of_runs(tmp_path_factory: pytest.TempPathFactory) -> Generator[Runs]:
    few = ["--checklists-per-day", "US-DC=6", "--token", TOKEN]
    with running_sandbox(seed=3, today=TODAY, admin=True, extra=few) as sandbox:
        command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("dying_runs.py"))]
        environment = {**os.environ, "EBIRD_API_URL": sandbox.url, "EBIRD_API_TOKEN": TOKEN}
        environment.pop("EBIRD_REGIONS", None)
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, env=environment
        ) as process:
            folder = tmp_path_factory.mktemp("right")
            assert process.stdin is not None
            assert process.stdout is not None
            print(order(folder), file=process.stdin, flush=True)
            while (line := process.stdout.readline()) != "\n":
                assert line, "the undisturbed run failed"
            right, questions = contents(engine_in(folder)), landed(folder)
            yield Runs(process, World(sandbox.admin_url), right, questions)
            process.stdin.close()


def landed(folder: Path) -> set[str]:
    """The questions whose answers are in a landing file, complete or begun."""
    lines: list[bytes] = []
    for file in (folder / ".databox" / "ingestion" / "landing").rglob("*.jsonl.*"):
        if file.suffix == ".gz":
            lines += gzip.decompress(file.read_bytes()).splitlines()
        elif file.suffix == ".part":
            lines += [line for line in file.read_bytes().splitlines(True) if line[-1:] == b"\n"]
    return {json.loads(line)["path"] for line in lines}


def answered(log: Sequence[dict[str, Any]]) -> Counter[str]:
    """How often the sandbox gave the right answer to each question."""
    return Counter(
        asked["target"].removeprefix("/v2/")
        for asked in log
        if asked["status"] == 200 and asked["fault"] in HARMLESS
    )


def may_be_asked_again(run: Run, question: str) -> bool:
    """A checklist that is listed and gone is looked for in the list once more."""
    gone = any(fault.endpoint == "checklist" and fault.kind in {"404", "410"} for fault in run[0])
    return gone and question.startswith("product/lists/")


@pytest.mark.slow
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    # a sequence takes seconds, so it is shown as it was found
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(runs, min_size=1, max_size=3))
@example([([], ("kept half an answer", 11)), ([], ("compressed a file", 6))])
@example([([], ("moved a file into place", 12)), ([], (ASKED, 3)), ([], ("deleted rows", 4))])
@example([([], (ASKED, 14)), ([], ("committed a table", 1)), ([], ("inserted rows", 6))])
@example(
    [
        ([Fault("checklist", "410", 2, 1), Fault("lists", "missing-field", 2)], None),
        ([Fault("checklist", "404", 3, 1)], ("loaded", 0)),
    ]
)
def test_after_any_faults_and_kills_all_is_as_if_nothing_had_happened(
    process_of_runs: Runs, tmp_path_factory: pytest.TempPathFactory, story: list[Run]
) -> None:
    runs, folder = process_of_runs, tmp_path_factory.mktemp("story")
    runs.world.ask("DELETE", "/requests")
    killed, end = 0, 1
    for run in [*story, None]:
        held, before = landed(folder), runs.world.requests()
        end = runs.make(folder, run)
        disturbances, kill = run or ([], None)
        if end == -SIGKILL:
            assert kill
            killed += 1
        elif end == 0:
            assert contents(engine_in(folder)) == runs.right
        else:
            sentence = (folder / "failure").read_text()
            assert any(fault.is_told_by(sentence) for fault in disturbances), sentence
        again = held & set(answered(runs.log(since=before)))
        assert {one for one in again if not may_be_asked_again((disturbances, kill), one)} == set()
    assert end == 0
    for day in DAYS:
        assert loaded(engine_in(folder), day) == true(runs.world, day)
    lost = {
        question: times - 1
        for question, times in answered(runs.log()).items()
        if not any(may_be_asked_again(run, question) for run in story)
    }
    # answers that were on their way when it was killed
    assert sum(lost.values()) <= CONCURRENCY * killed
    assert set(answered(runs.log())) == runs.questions
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert folder / "run.log" in files
    assert [file for file in files if TOKEN.encode() in file.read_bytes()] == []
