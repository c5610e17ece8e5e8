"""Notebooks become pages that are the same whenever their outputs are."""

import base64
import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import numpy as np
import pytest
from PIL import Image

from deblur_core.errors import DeblurError
from deblur_core.report import execute as executing
from deblur_core.report.execute import execute, execute_all
from deblur_core.report.page import draw_formulas, lighter
from deblur_core.studies import REPOSITORY

NOTEBOOKS = REPOSITORY / "notebooks"

PARAMETERS = nbformat.v4.new_code_cell('profile = "laptop"', metadata={"tags": ["parameters"]})


def write(path, *cells):
    nbformat.write(nbformat.v4.new_notebook(cells=[PARAMETERS, *cells]), path)
    return path


def test_page_shows_prose_code_and_output_but_nothing_that_varies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # any working directory: the notebook runs in its own
    notebook = write(
        tmp_path / "sub.ipynb",
        nbformat.v4.new_markdown_cell("# B\n\n$y = k * x_i$, $$\\frac{a * b}{c}$$ or `$HOME`\n\n[next](02_next.ipynb)"),
        nbformat.v4.new_code_cell("import sys\nprint('ran at', profile)\nprint('12 % done', file=sys.stderr)"),
        nbformat.v4.new_code_cell("import ipywidgets\nipywidgets.IntSlider()"),
        nbformat.v4.new_code_cell("looked_up = 6\nprint(7 * looked_up)", metadata={"tags": ["answer"]}),
    )
    execute(notebook, "smoke", tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    assert 'href="02_next.html"' in page  # pages lead to pages
    assert "42" in page and "looked_up" not in page
    assert "ran at smoke" in page and "<h1" in page and "<script" not in page
    assert "laptop" not in page, "of the parameters, only those that it ran with"
    assert page.count("<math") == 2 and "<mfrac>" in page and "<em>" not in page and "$HOME" in page
    assert "12 % done" not in page.replace("&#39;", "'").split("<pre>ran at")[1]
    assert "widget" not in page.split("IntSlider")[1]
    execute(notebook, "smoke", tmp_path / "b.html")
    assert (tmp_path / "b.html").read_text() == page


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_formula_of_the_notebooks_can_be_drawn(path):
    prose = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"]
    page = "\n".join(map(draw_formulas, prose))
    math = re.findall(r"<math.*?</math>", page)
    assert len(math) == page.count("<math") and "$" not in re.sub(r"`[^`\n]*`", "", page)
    for formula in math:
        words = "".join(ElementTree.fromstring(formula).itertext())  # well-formed
        assert not re.search(r"[\\{}^_$]", words), words


def test_a_failing_cell_is_named_and_leaves_no_page(tmp_path):
    notebook = write(tmp_path / "07_broken.ipynb", nbformat.v4.new_code_cell("raise ValueError('so it is\\nreally')"))
    with pytest.raises(DeblurError, match=r"07_broken\.ipynb failed in cell 2: ValueError: so it is$"):
        execute(notebook, "smoke", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_hung_cell_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(executing, "CELL_SECONDS", 1)
    notebook = write(tmp_path / "hung.ipynb", nbformat.v4.new_code_cell("import time\ntime.sleep(60)"))
    with pytest.raises(DeblurError, match=r"hung\.ipynb has a cell that did not end in 1 s"):
        execute(notebook, "smoke", tmp_path / "page.html")


def test_several_at_once_share_the_cores_and_a_failure_is_named(tmp_path):
    cores = nbformat.v4.new_code_cell("import os\nprint('threads', os.environ['OMP_NUM_THREADS'])")
    good = [write(tmp_path / f"0{i}.ipynb", cores) for i in (1, 2)]
    execute_all(good, "smoke", tmp_path / "pages", workers=2)
    assert all("threads " in (tmp_path / "pages" / f"0{i}.html").read_text() for i in (1, 2))
    bad = write(tmp_path / "03.ipynb", nbformat.v4.new_code_cell("1 / 0"))
    with pytest.raises(DeblurError, match=r"03\.ipynb failed in cell 2: ZeroDivisionError"):
        execute_all([*good, bad], "smoke", tmp_path / "pages", workers=2)


def lives(pid):
    """Whether the process runs, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")
@pytest.mark.parametrize("stopped", [signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_a_stopped_run_or_complains(tmp_path, stopped):
    whose = "import os, pathlib, time\npathlib.Path('worker').write_text(str(os.getppid()))\ntime.sleep(600)"
    notebook = write(tmp_path / "01.ipynb", nbformat.v4.new_code_cell(whose))
    script = ("import signal, sys\nfrom pathlib import Path\nfrom deblur_core.report.execute import execute_all\n"
              "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
              "execute_all([Path(sys.argv[1])], 'smoke', Path(sys.argv[2]), 1)")  # fmt: skip
    run = subprocess.Popen([sys.executable, "-c", script, notebook, tmp_path], start_new_session=True,
                           stderr=subprocess.PIPE, text=True, cwd=REPOSITORY)  # fmt: skip
    worker = tmp_path / "worker"
    wait_until(lambda: worker.exists() and worker.read_text(), 120)
    (os.killpg if stopped == signal.SIGINT else os.kill)(run.pid, stopped)  # Ctrl-C reaches the whole group
    wait_until(lambda: not lives(worker.read_text()), 20)
    assert "SpawnProcess" not in run.communicate(timeout=20)[1]


def test_photographs_become_lighter_and_line_drawings_stay(tmp_path):
    generator = np.random.default_rng(0)
    smooth = np.cumsum(np.cumsum(generator.normal(size=(600, 600, 3)), 0), 1)
    noisy = 255 * (smooth - smooth.min()) / np.ptp(smooth) + generator.normal(scale=3, size=smooth.shape)
    pages = {}
    for name, pixels in {"photograph": noisy, "drawing": np.where(np.indices((600, 600, 3))[0] % 9, 255, 0)}.items():
        png = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(png, "PNG")
        pages[name] = f'<img src="data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}">'
    assert lighter(pages["drawing"]) == pages["drawing"]
    assert len(lighter(pages["photograph"])) < len(pages["photograph"]) / 2
    kept = Image.open(io.BytesIO(base64.b64decode(lighter(pages["photograph"]).split(",")[1].rstrip('">'))))
    assert np.abs(np.asarray(kept, float) - noisy.clip(0, 255)).mean() < 5
