"""Every notebook runs at smoke, tells the same as is committed, and keeps to the form that all of them share."""

import ast
import os
import re
import statistics
import subprocess
import sys

import nbformat
import papermill
import pytest

from deblur_core.teaching.versions import CHECKED, STUB, clean, notebooks, student_version

NOTEBOOKS = {path.stem: nbformat.read(path, as_version=4) for path in notebooks()}
SECTIONS = ("What you will see", "Exercises", "What could not be reproduced, and why", "Where to read on")

each = pytest.mark.parametrize("name", NOTEBOOKS)


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def syntax(cell):
    return ast.parse("\n".join(line for line in cell.source.splitlines() if not line.startswith(("%", "!"))))


def functions(notebook):
    return [node for cell in code(notebook) for node in ast.walk(syntax(cell)) if isinstance(node, ast.FunctionDef)]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working folder far from the notebooks, and an empty store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEBLUR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # several notebooks at once would slow each other down
    return tmp_path


# They run


@each
def test_runs_at_smoke_from_any_folder(name, elsewhere):
    path = next(path for path in notebooks() if path.stem == name)
    done = papermill.execute_notebook(
        str(path), str(elsewhere / "done.ipynb"), {"profile": "smoke"}, progress_bar=False, cwd=str(elsewhere)
    )
    for cell in tagged(done, "exercise"):
        said = "".join(output.get("text", "") for output in cell.outputs)
        assert said.startswith("Right. "), f"the solution in {cell.id} does not satisfy its checker: {said}"
    for cell in code(done):
        assert not any(output.get("name") == "stderr" for output in cell.outputs), f"{cell.id} complains"


@each
def test_says_what_is_committed(name, elsewhere):
    notebook = nbformat.from_dict(NOTEBOOKS[name])
    (parameters,) = tagged(notebook, "parameters")
    parameters.source = 'profile = "smoke"'
    nbformat.write(notebook, elsewhere / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider",
               "--rootdir=.", f"{name}.ipynb"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stdout[-3000:]


# Their form


@each
def test_is_committed_clean(name):
    notebook = NOTEBOOKS[name]
    nbformat.validate(notebook)
    assert clean(notebook) == notebook, "run deblur_core.teaching.versions.clean on it"
    checked = [cell for cell in code(notebook) if CHECKED in cell.source]
    assert 2 <= len(checked) <= 4
    for cell in checked:
        assert [output.output_type for output in cell.outputs] == ["stream"], f"{cell.id}: exact text alone"
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]+", cell_id) for cell_id in ids), "readable ids, that a diff can follow"


@each
def test_order_of_cells(name):
    cells = NOTEBOOKS[name].cells
    prose = [(i, cell.source) for i, cell in enumerate(cells) if cell.cell_type == "markdown"]

    def position(text):
        (found,) = [i for i, source in prose if re.search(rf"^## {re.escape(text)}$", source, re.MULTILINE)]
        return found

    assert "**Question.**" in cells[0].source and cells[0].source.startswith("# ")
    assert position("What you will see") == 1
    assert len(cells[2].source.splitlines()) <= 3 and "import" in cells[2].source
    assert cells[3].metadata.tags == ["parameters"] and cells[3].source == 'profile = "laptop"'
    asserts = [i for i, cell in enumerate(cells) if "assert " in cell.source]
    collected = [i for i, cell in enumerate(cells) if "studies.collect(" in cell.source]
    sliders = [i for i, cell in enumerate(cells) if "widgets.slide(" in cell.source]
    exercises = [i for i, cell in enumerate(cells) if "exercise" in cell.metadata.get("tags", [])]
    landmarks = [asserts[0], collected[0], sliders[0], position("Exercises"), exercises[0], exercises[-1],
                 *map(position, SECTIONS[2:])]  # fmt: skip
    assert landmarks == sorted(landmarks)
    answer = position("The answer, so far")
    assert answer < position("Exercises") and cells[answer + 1].metadata.tags == ["answer"]
    assert 2 <= len(exercises) <= 3 and position("Where to read on") == len(cells) - 1


@each
def test_every_step_ends_in_an_assert(name):
    steps = re.split(r"^## \d+ · ", "\n".join(
        cell.source for cell in NOTEBOOKS[name].cells), flags=re.MULTILINE)[1:]  # fmt: skip
    assert len(steps) >= 4
    for step in steps:
        assert re.search(r"^ *assert ", step, re.MULTILINE), step.splitlines()[0]


@each
def test_a_widget_shows_what_stands_above_it_already(name):
    cells = NOTEBOOKS[name].cells
    for i, cell in enumerate(cells):
        if match := re.match(r"widgets\.slide\((\w+),", cell.source):
            last = cells[i - 1].source.splitlines()[-1]
            assert last.startswith(f"{match[1]}("), "call the same function once, statically, in the cell above"


@each
def test_cells_are_short(name):
    lengths = [len(cell.source.splitlines()) for cell in code(NOTEBOOKS[name])]
    assert statistics.median(lengths) <= 8
    for function in functions(NOTEBOOKS[name]):
        assert function.end_lineno - function.lineno < 25, function.name


def test_no_function_is_defined_twice():
    names = [function.name for notebook in NOTEBOOKS.values() for function in functions(notebook)]
    assert len(set(names)) == len(names)


# Their student versions


@each
def test_a_stub_is_its_solution_minus_the_blanks(name):
    ours, theirs = NOTEBOOKS[name], student_version(NOTEBOOKS[name])
    assert not any(cell.get("outputs") for cell in theirs.cells)
    for cell, copy in zip(ours.cells, theirs.cells, strict=True):
        if cell not in tagged(ours, "exercise"):
            assert copy.source == cell.source
            assert "SOLUTION" not in cell.source
            continue
        before, blank, after = copy.source.partition(STUB)
        assert blank and STUB not in after
        assert cell.source.startswith(before + "# BEGIN SOLUTION\n") and cell.source.endswith("# END SOLUTION" + after)
        ast.parse(copy.source)


@each
def test_an_untouched_stub_gets_a_friendly_hint(name, capsys):
    notebook = student_version(NOTEBOOKS[name])
    for cell in tagged(notebook, "exercise"):
        exec(f"{notebook.cells[2].source}\n{cell.source}", {})  # an exercise needs nothing but the set-up
        assert capsys.readouterr().out.startswith("Nothing to check yet")
        theirs = {node.name for node in ast.walk(syntax(cell)) if isinstance(node, ast.FunctionDef)}
        for other in code(notebook):
            used = {node.id for node in ast.walk(syntax(other)) if isinstance(node, ast.Name)}
            assert other is cell or not theirs & used, f"{other.id} needs the solution of {cell.id}"


@each
def test_no_widget_makes_the_run_wait_for_ever(name):
    """ipywidgets' Output, which `interact` uses too, now and then stops a run without a browser: see widgets.slide."""
    for cell in code(NOTEBOOKS[name]):
        used = {getattr(node, "id", getattr(node, "attr", None)) for node in ast.walk(syntax(cell))}
        assert not used & {"interact", "interactive", "interactive_output", "Output"}, cell.id
