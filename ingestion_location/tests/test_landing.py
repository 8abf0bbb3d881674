"""Landing files: what is in stays in, through kills at any byte, and is never asked for again."""

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_location.ebird.api import Answer, EbirdApi
from ingestion_location.ebird.landing import Landing, LandingFile
from ingestion_location.ebird.shapes import ShapeError

DAY = date(2026, 11, 20)


class Api:
    """Stands for the API: counts its calls and answers with the question."""

    url = "http://127.0.0.1/v2"

    def __init__(self, text: str = '{{"result":\n "{path}"}}') -> None:
        self.asked: list[str] = []
        self.text = text

    def get(self, path: str) -> Answer:
        self.asked.append(path)
        text = self.text.format(path=path)
        return Answer(text, json.loads(text), datetime(2026, 11, 21, 6, tzinfo=UTC))


def ask(file: LandingFile, api: Api, path: str) -> Any:
    return file.ask(cast("EbirdApi", api), path)


def landed(folder: Path) -> LandingFile:
    return Landing(folder).file("region_info", "US-DC", DAY, "2026-11-21")


def test_an_answer_is_kept_as_it_came_with_its_question_and_its_time(tmp_path: Path) -> None:
    file = landed(tmp_path)
    file.open()
    ask(file, Api('{{"result":\r\n "Québec \\n {path}", "n": 1.50}}'), "product/x")
    file.complete()
    line = gzip.decompress(file.path.read_bytes()).decode()
    assert '"body": {"result":   "Québec \\n product/x", "n": 1.50}}\n' in line
    assert json.loads(line) | {"body": None} == {
        "region": "US-DC",
        "day": "2026-11-20",
        "path": "product/x",
        "read_at": "2026-11-21 06:00:00",
        "body": None,
    }


def test_a_question_is_put_once(tmp_path: Path) -> None:
    api, file = Api(), landed(tmp_path)
    file.open()
    assert [ask(file, api, "a")["result"] for _ in range(3)] == ["a"] * 3
    file.complete()
    again = landed(tmp_path)
    again.open()
    assert ask(again, api, "a") == {"result": "a"}
    assert (api.asked, file.made, file.saved, again.made, again.saved) == (["a"], 1, 2, 0, 1)


@given(st.integers(0, 5), st.floats(0, 1))
def test_a_kill_at_any_byte_costs_at_most_the_answer_being_written(
    answers: int, where: float
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        first = landed(Path(folder))
        first.open()
        for number in range(answers):
            ask(first, Api(), f"view/{number}")
        first.close()
        part = next(Path(folder).rglob("*.part"))
        whole = part.read_bytes()
        cut = round(where * len(whole))
        part.write_bytes(whole[:cut])

        api, second = Api(), landed(Path(folder))
        second.open()
        for number in range(5):
            ask(second, api, f"view/{number}")
        second.complete()
        assert len(api.asked) == 5 - whole[:cut].count(b"\n")
        lines = gzip.decompress(second.path.read_bytes()).splitlines()
        assert [json.loads(line)["path"] for line in lines] == [f"view/{n}" for n in range(5)]
        assert not list(Path(folder).rglob("*.part"))


def test_the_same_answers_give_the_same_bytes(tmp_path: Path) -> None:
    files = [landed(tmp_path / name) for name in ("one", "two")]
    for file in files:
        file.open()
        ask(file, Api(), "a")
        file.complete()
    assert files[0].path.read_bytes() == files[1].path.read_bytes()


def test_a_read_counts_from_its_first_answer_so_that_it_is_gone_on_with(tmp_path: Path) -> None:
    landing, file = Landing(tmp_path), landed(tmp_path)
    assert landing.reads("region_info", "US-DC", DAY) == set()
    file.open()
    ask(file, Api(), "a")
    assert landing.reads("region_info", "US-DC", DAY) == {"2026-11-21"}
    file.complete()
    assert landing.reads("region_info", "US-DC", DAY) == {"2026-11-21"}


def test_an_answer_of_the_wrong_shape_is_put_aside_and_asked_for_again(tmp_path: Path) -> None:
    file = landed(tmp_path)
    file.open()
    with pytest.raises(ShapeError, match=r"view/1: result is 7 and not text; the answer is in"):
        ask(file, Api('{{"result": 7}}'), "view/1")
    assert next(tmp_path.rglob("*.rejected")).read_text() == '{"result": 7}'
    api = Api()
    assert ask(file, api, "view/1") == {"result": "view/1"}
    file.complete()
    assert not list(tmp_path.rglob("*.rejected"))


def test_versions_of_which_none_is_the_latest_are_put_aside_with_a_sentence(
    tmp_path: Path,
) -> None:
    file = Landing(tmp_path).file("taxonomy_versions", "world", None, "2026-11-21")
    file.open()
    for versions in ("[]", '[{{"authorityVer": 2025.0, "latest": false}}]'):
        with pytest.raises(ShapeError, match="no version is marked as the latest; the answer is"):
            ask(file, Api(versions), "ref/taxonomy/versions")


def test_a_field_that_nobody_knows_is_kept_and_named(tmp_path: Path) -> None:
    file = landed(tmp_path)
    file.open()
    ask(file, Api('{{"result": "x", "mood": 1, "bounds": {{"minX": 1, "maxX": 2, "minY": 3, '
                  '"maxY": 4, "minZ": 5}}}}'), "view/1")  # fmt: skip
    file.complete()
    assert file.unknown == {"mood", "bounds.minZ"}
    assert b'"minZ": 5' in gzip.decompress(file.path.read_bytes())
