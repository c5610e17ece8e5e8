"""ARCHITECTURE.md tells the truth: its example runs, and imports go down only."""

import ast
import importlib
import re
import subprocess
import sys

from deblur_core import cli, studies
from deblur_core.report.build import build
from deblur_core.runs import Store

PACKAGE = studies.REPOSITORY / "deblur_core"
GROUND_FLOOR = {"blur", "data", "metrics", "models", "runs", "weights", "errors", "files", "randomness", "timing"}
MAY_IMPORT = {
    "blur": {"errors"},
    "data": {"blur", "errors", "files"},
    "metrics": {"blur", "data", "errors", "randomness"},
    "models": {"blur", "errors", "timing"},
    "runs": {"errors", "files"},
    "weights": {"data", "errors", "files"},
    "solvers": GROUND_FLOOR,
    "studies": GROUND_FLOOR | {"solvers", "training", "trainings"},
    "report": GROUND_FLOOR | {"solvers", "studies"},
}


def test_the_example_study_runs_and_reports(tmp_path, monkeypatch):
    text = (studies.REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "motion_length.py").write_text(example)
    monkeypatch.syspath_prepend(tmp_path)
    study = importlib.import_module("motion_length").STUDY
    store = Store(tmp_path / "home")
    results = studies.collect(study, "laptop", store, compute=True)
    psnr = [result.values["psnr"] for result in results]
    assert psnr == sorted(psnr, reverse=True), "the longer the motion, the worse"
    build(tmp_path / "reports", "laptop", store, [study])
    assert "What motion blur costs" in (tmp_path / "reports" / "README.md").read_text(encoding="utf-8")
    assert f"--only {study.name}" in text


def imported(path):
    """The parts of deblur_core that a module imports, wherever in the file."""
    package = path.relative_to(PACKAGE.parent).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("deblur_core."))


def test_imports_go_down_only():
    for part, allowed in MAY_IMPORT.items():
        for path in (PACKAGE / part).rglob("*.py"):
            above = set(imported(path)) - allowed - {part, "__version__"}
            assert not above, f"{path.relative_to(PACKAGE)} imports {above}"


def test_importing_everything_needs_no_triton_and_touches_no_gpu():
    program = """
import pkgutil, sys, torch, deblur_core
sys.modules["triton"] = None
torch.cuda.init = torch.cuda._lazy_init = lambda: sys.exit("CUDA was touched")
for module in pkgutil.walk_packages(deblur_core.__path__, "deblur_core."):
    if ".triton_" not in module.name:  # GPU kernels, imported when they are called
        __import__(module.name)
from deblur_core import cli
sys.exit(cli.main(["models", "--size", "64", "64"]) or not all(module.rows for module in cli._modules(cli.BENCHMARKS)))
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=PACKAGE.parent).returncode == 0


def test_the_command_knows_every_benchmark_and_every_network_to_count():
    for known, folder, what in ((cli.BENCHMARKS, ".", "rows("), (cli.COUNTED, "models", "variants(")):
        files = [path for path in (PACKAGE / folder).rglob("*.py") if f"\ndef {what}" in path.read_text("utf-8")]
        assert {".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in files} == set(known)
