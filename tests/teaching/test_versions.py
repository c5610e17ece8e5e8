"""Student and clean versions of notebooks, on a small one."""

from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from deblur_core.errors import UsageError
from deblur_core.studies import REPOSITORY
from deblur_core.teaching.versions import CHECKED, STUB, clean, notebooks, student_version, write_student_versions

SOLVED = """def half(x):
    # BEGIN SOLUTION
    y = x / 2
    return y
    # END SOLUTION

print(half(4))"""
STUBBED = f"""def half(x):
    {STUB}

print(half(4))"""


@pytest.fixture
def notebook():
    cells = [
        v4.new_markdown_cell("# Halves"),
        v4.new_code_cell(SOLVED, metadata={"tags": ["exercise"], "editable": False}, execution_count=7),
        v4.new_code_cell(f"{CHECKED}\nprint(2)", execution_count=8),
    ]
    for cell in cells[1:]:
        cell.outputs = [v4.new_output("stream", text="2\n")]
    return v4.new_notebook(cells=cells, metadata={"toc": True})


def test_student_version_has_stubs_and_no_outputs(notebook):
    theirs = student_version(notebook)
    assert [cell.source for cell in theirs.cells] == ["# Halves", STUBBED, f"{CHECKED}\nprint(2)"]
    assert theirs.cells[1].outputs == theirs.cells[2].outputs == []
    assert [cell.id for cell in theirs.cells] == [cell.id for cell in notebook.cells]
    assert notebook.cells[1].source == SOLVED, "the instructor's copy stays"
    nbformat.validate(theirs)


def test_several_blanks_in_one_cell(notebook):
    notebook.cells[1].source = "# BEGIN SOLUTION\na = 1\n# END SOLUTION\nb = 2\n# BEGIN SOLUTION\nc = 3\n# END SOLUTION"
    assert student_version(notebook).cells[1].source == f"{STUB}\nb = 2\n{STUB}"


def test_clean_keeps_what_is_checked_and_nothing_else(notebook):
    tidy = clean(notebook)
    assert tidy.cells[1].outputs == [] and tidy.cells[1].metadata == {"tags": ["exercise"]}
    assert tidy.cells[2].outputs == notebook.cells[2].outputs
    assert "toc" not in tidy.metadata and tidy.metadata.kernelspec.name == "python3"
    notebook.cells[2].execution_count = 9  # run again
    assert clean(notebook) == tidy == clean(tidy)
    nbformat.validate(tidy)


def test_a_folder_of_student_versions(tmp_path):
    write_student_versions(tmp_path / "course")
    written = sorted((tmp_path / "course").glob("*.ipynb"))
    assert [path.name for path in written] == [path.name for path in notebooks()]
    assert all(STUB in path.read_text(encoding="utf-8") for path in written)
    assert not any("BEGIN SOLUTION" in path.read_text(encoding="utf-8") for path in written)


def test_the_solutions_are_not_overwritten(monkeypatch, tmp_path):
    monkeypatch.chdir(REPOSITORY)
    before = [path.read_bytes() for path in notebooks()]
    with pytest.raises(UsageError, match="notebooks holds the notebooks with their solutions: choose another folder"):
        write_student_versions(Path("notebooks"))
    (tmp_path / "link").symlink_to(REPOSITORY)
    with pytest.raises(UsageError, match="choose another folder"):
        write_student_versions(tmp_path / "link" / "notebooks")
    assert [path.read_bytes() for path in notebooks()] == before
