"""Provenance says what made a number and gives no one away."""

import getpass
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from datetime import datetime, timezone

import pytest

from deblur_core.runs import provenance


def test_it_names_software_hardware_and_time():
    facts = provenance("cpu", 1.5)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["python"] == platform.python_version() and facts["seconds"] == 1.5
    assert {"torch", "numpy", "deblur_core", "commit", "dirty", "cpu", "gpu", "platform"} <= facts.keys()
    assert 1 <= facts["cores"] <= os.cpu_count() and facts["cpu"] and facts["gpu"] is None
    age = datetime.now(timezone.utc) - datetime.fromisoformat(facts["finished"])
    assert 0 <= age.total_seconds() < 5


def test_it_names_no_path_no_host_and_no_user():
    said = json.dumps(provenance())
    assert not re.search(r"(?<![\w.])/\w", said)
    for secret in (socket.gethostname(), getpass.getuser()):
        assert not re.search(rf"\b{re.escape(secret)}\b", said)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_that_of_the_package_alone(tmp_path, monkeypatch):
    module = sys.modules["deblur_core.runs.provenance"]
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.setattr(module, "_PACKAGE", package)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    def git(*arguments):
        who = ["-c", "user.name=n", "-c", "user.email=e"]
        return subprocess.run(
            ["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    def stated():
        facts = module._software.__wrapped__()
        return facts["commit"], facts["dirty"]

    assert stated() == (None, False), "no repository"
    git("init")
    (tmp_path / "other.txt").touch()
    git("add", "other.txt")
    git("commit", "-m", "other")
    assert stated() == (None, False), "a repository that is not the package's"
    git("add", "package")
    git("commit", "-m", "package")
    assert stated() == (git("rev-parse", "HEAD"), False)
    (tmp_path / "other.txt").write_text("reports change without changing the code")
    assert stated() == (git("rev-parse", "HEAD"), False)
    (package / "__init__.py").write_text("x = 1")
    assert stated() == (git("rev-parse", "HEAD"), True)
