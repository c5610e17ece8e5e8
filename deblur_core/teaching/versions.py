"""The committed notebook is the instructor's; the student's follows from it.

python -m deblur_core.teaching.versions FOLDER    writes the student's version of every notebook into FOLDER
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from deblur_core.errors import DeblurError, UsageError
from deblur_core.studies import REPOSITORY

STUB = "...  # your code here"
CHECKED = "# NBVAL_CHECK_OUTPUT"
_SOLUTION = re.compile(r"^( *)# BEGIN SOLUTION\n.*?^\1# END SOLUTION$", re.DOTALL | re.MULTILINE)


def student_version(notebook: NotebookNode) -> NotebookNode:
    """A copy in which every solution is a stub and no cell has outputs."""
    notebook = clean(notebook)
    for cell in notebook.cells:
        if "exercise" in cell.metadata.get("tags", []):
            cell.source = _SOLUTION.sub(rf"\1{STUB}", cell.source)
        if cell.cell_type == "code":
            cell.outputs = []
    return notebook


def clean(notebook: NotebookNode) -> NotebookNode:
    """A copy as it is committed: outputs in checked cells alone, nothing that a run or an editor has left behind."""
    notebook = nbformat.from_dict(notebook)
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        folded = {"jupyter": {"source_hidden": True}} if "answer" in tags else {}
        cell.metadata = nbformat.from_dict(folded | ({"tags": tags} if tags else {}))
        if cell.cell_type == "code":
            cell.outputs = cell.outputs if CHECKED in cell.source else []
            cell.execution_count = 1 if cell.outputs else None  # nbval takes None with outputs for a mistake
    return notebook


def notebooks() -> list[Path]:
    return sorted((REPOSITORY / "notebooks").glob("[0-9]*.ipynb"))


def write_student_versions(folder: Path) -> None:
    """UsageError for the folder of the instructor's notebooks, which they would overwrite."""
    if folder.resolve() == REPOSITORY / "notebooks":
        raise UsageError(f"{folder} holds the notebooks with their solutions: choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for path in notebooks():
        nbformat.write(student_version(nbformat.read(path, as_version=4)), folder / path.name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the students' notebooks, without solutions.")
    parser.add_argument("folder", type=Path, nargs="?", default="student", help="default: student")
    try:
        write_student_versions(parser.parse_args().folder)
    except DeblurError as error:
        sys.exit(str(error))
