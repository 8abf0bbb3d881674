"""What differs from the last commit, told by a real repository."""

from pathlib import Path

from deployed import commit, git

from databox_workspace.inputs import Inputs, uncommitted_files


def test_a_file_that_was_renamed_is_named_as_it_was_and_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/days.py").write_text("A_LONG_LINE = 'that git recognises'\n" * 20)
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    made_from = Inputs("quality-location", ("shared",), ())
    assert uncommitted_files(made_from, tmp_path) == []
    git(tmp_path, "mv", "shared/days.py", "shared/weeks.py")
    assert uncommitted_files(made_from, tmp_path) == ["shared/days.py", "shared/weeks.py"]
