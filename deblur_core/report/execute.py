"""Notebooks to pages: run by papermill at a profile, shown without anything that differs from run to run."""

from __future__ import annotations

import multiprocessing
import os
import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from deblur_core.errors import DeblurError
from deblur_core.files import write_atomically
from deblur_core.report.page import draw_formulas, lighter, page
from deblur_core.runs import available_cores, end_with_parent

CELL_SECONDS = 1800
"""What a cell may take before the notebook counts as hung: everything long is in the store by then."""


def execute_all(notebooks: Sequence[Path], profile: str, folder: Path, workers: int) -> None:
    """`execute` every notebook to a page of its name in `folder`, `workers` of them at a time."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, _begin_worker, (workers,)) as pool:
        pages = [pool.submit(execute, path, profile, folder / f"{path.stem}.html") for path in notebooks]
        try:
            for notebook, done in zip(notebooks, pages, strict=True):
                done.result()
                print(f"Notebook {notebook.stem}", flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _begin_worker(workers: int) -> None:
    end_with_parent()
    os.environ["OMP_NUM_THREADS"] = str(max(1, available_cores() // workers))  # of the notebooks' kernels


def execute(notebook: Path, profile: str, output: Path) -> None:
    """Run a notebook with the parameter `profile` and write it as an HTML page with its pictures inside.

    Raises DeblurError that names the notebook and the cell that failed.
    """
    try:
        import papermill
        from nbclient.exceptions import CellTimeoutError, DeadKernelError
        from papermill.exceptions import PapermillExecutionError
    except ImportError as error:
        raise DeblurError(f"Notebooks need {error.name}: pip install 'deblur-core[notebooks]'.") from error
    try:
        executed = papermill.execute_notebook(
            str(notebook), None, {"profile": profile}, kernel_name="python3", language="python",
            progress_bar=False, cwd=str(notebook.parent), execution_timeout=CELL_SECONDS,
            extra_arguments=["--IPKernelApp.log_level=CRITICAL"])  # fmt: skip
    except PapermillExecutionError as error:
        reason = f"{error.ename}: {error.evalue}".splitlines()[0]
        # Counted from 0 with the injected cell in front, which is the cell's number in the notebook itself.
        raise DeblurError(f"Notebook {notebook.name} failed in cell {error.cell_index}: {reason}") from error
    except DeadKernelError as error:
        raise DeblurError(f"Notebook {notebook.name} lost its kernel, most often for want of memory.") from error
    except CellTimeoutError as error:
        raise DeblurError(f"Notebook {notebook.name} has a cell that did not end in {CELL_SECONDS} s.") from error
    write_atomically(output, to_html(executed, notebook.stem).encode())


def to_html(notebook, name: str) -> str:
    """A page that is the same whenever the outputs are: no progress bars, no live widgets, no random ids. Cells tagged
    "answer" show what they say alone."""
    from nbconvert import HTMLExporter
    from nbconvert.preprocessors import TagRemovePreprocessor

    notebook.metadata.pop("widgets", None)
    tags = [cell.metadata.get("tags", []) for cell in notebook.cells]
    if any("injected-parameters" in of for of in tags):  # which says what the cell of the defaults says, once more
        notebook.cells = [cell for cell, of in zip(notebook.cells, tags, strict=True) if "parameters" not in of]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = draw_formulas(cell.source)
            cell.source = re.sub(r"\]\((\w+)\.ipynb\)", r"](\1.html)", cell.source)  # pages lead to pages
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.id = "injected-parameters"
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _is_static(output)]
    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    # Of an answer people want the words, not the code that looks up its numbers.
    exporter.register_preprocessor(TagRemovePreprocessor(remove_input_tags={"answer"}), enabled=True)
    body, _ = exporter.from_notebook_node(notebook)
    back = '<p><a href="../index.html">Report</a></p>\n'
    return page(name, back + lighter(body))


def _is_static(output) -> bool:
    is_widget = "application/vnd.jupyter.widget-view+json" in output.get("data", {})
    return not is_widget and output.get("name") != "stderr"
