"""No number in README.md is typed: each is read from a results file, and agrees with it."""

import json
import re

import pytest

from deblur_core.errors import DeblurError
from deblur_core.report import readme
from deblur_core.studies import REPOSITORY


@pytest.fixture
def reports(tmp_path):
    interval = [{"name": "PSNR", "effect": 2.306, "low": 1.0, "high": 3.0, "n": 8, "unit": "dB"}]
    rows = [
        {"id": "C1.1", "verdict": "reproduced", "profile": "overnight", "interval": interval},
        {"id": "C1.2", "verdict": "not run", "profile": None, "interval": []},
    ]
    (tmp_path / "recorded").mkdir()
    (tmp_path / "claims.json").write_text(json.dumps(rows))
    (tmp_path / "recorded" / "minutes.json").write_text(json.dumps({"figures": 5, "machine": "2 cores"}))
    return tmp_path


def test_facts_come_from_the_results_files(reports):
    assert readme.facts(reports) == {
        "claims": "2 claims: 1 reproduced, 1 not run",
        "C1.1": "+2.3 dB, reproduced at overnight",
        "minutes.figures": "5",
        "minutes.machine": "2 cores",
    }


def test_filling_replaces_what_stood_there_and_can_be_repeated(reports, tmp_path):
    path = tmp_path / "README.md"
    path.write_text("In <!-- minutes.figures -->99<!-- / --> minutes: <!-- C1.1 --><!-- / -->, about 4 papers.")
    readme.update(path, reports)
    once = path.read_text()
    assert re.sub("<!--.*?-->", "", once) == "In 5 minutes: +2.3 dB, reproduced at overnight, about 4 papers."
    readme.update(path, reports)
    assert path.read_text() == once


def test_a_fact_that_nothing_gives_is_an_error(reports):
    with pytest.raises(DeblurError, match=r"'C4\.6'"):
        readme.fill("<!-- C4.6 -->1<!-- / -->", readme.facts(reports))


def test_the_projects_readme_agrees_with_the_results_files():
    text = (REPOSITORY / "README.md").read_text()
    if not (REPOSITORY / "reports" / "claims.json").exists():
        pytest.skip("no report yet: make figures writes it")
    assert readme.fill(text, readme.facts(REPOSITORY / "reports")) == text


def test_every_measured_number_in_the_projects_readme_stands_between_markers():
    text = (REPOSITORY / "README.md").read_text()
    prose = re.sub(r"<!-- [\w.-]+ -->.*?<!-- / -->|```.*?```|`[^`]*`|\]\([^)]*\)", "", text, flags=re.DOTALL)
    measured = r"\d[\d.,]*\s*(?:dB|%|minutes?|seconds?|hours?|times|claims)\b"
    assert re.findall(measured, prose) == []
