import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from deblur_core.runs import Store

HERE = Path(__file__).parent


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def trace(tmp_path, monkeypatch):
    """The lines that toy tasks left, in this process and its children: what was really computed."""
    path = tmp_path / "trace.txt"
    monkeypatch.setenv("TOY_TRACE", str(path))
    return lambda: path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def start():
    """Start a script in a process group of its own, where the toy tasks can be imported."""
    started = []

    def start(script: str, *arguments) -> subprocess.Popen:
        paths = [str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        # A shell's background jobs, and so perhaps these tests, ignore Ctrl-C, and their children with them.
        listen = "import signal, sys, toy_tasks\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        prelude = f"{listen}from deblur_core.runs import *\n"
        process = subprocess.Popen(
            [sys.executable, "-c", prelude + script, *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with its workers, which would hold on to the pipes
        process.communicate()
