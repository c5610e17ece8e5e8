"""No number in README.md is typed: each is read from a results file, and agrees with it."""

import json
import re

import pytest

from deblur_core.report import readme
from deblur_core.studies import REPOSITORY


@pytest.fixture
def reports(tmp_path):
    interval = [{"name": "PSNR", "effect": 2.306, "low": 1.0, "high": 3.0, "n": 8, "unit": "dB"}]
    rows = [
        {"id": "C1.1", "verdict": "reproduced", "profile": "overnight", "setting": None, "interval": interval},
        {"id": "C1.2", "verdict": "not run", "profile": None, "setting": None, "interval": []},
    ]
    (tmp_path / "recorded").mkdir()
    (tmp_path / "claims.json").write_text(json.dumps(rows))
    (tmp_path / "recorded" / "minutes.json").write_text(json.dumps({"figures": 5, "machine": "2 cores"}))
    return tmp_path


def test_facts_come_from_the_results_files(reports):
    assert readme.facts(reports) == {
        "claims": "2 claims: 1 reproduced, 1 not run",
        "leaning": "none",
        "C1.1": "+2.3 dB, reproduced at overnight",
        "minutes.figures": "5",
        "minutes.machine": "2 cores",
    }


def test_where_the_inconclusive_claims_lean_is_told(reports):
    rows = [
        {"id": "C2.1", "verdict": "inconclusive", "profile": "overnight", "setting": setting, "interval": []}
        for setting in ("as stated", "open", "otherwise", "open")
    ]
    (reports / "claims.json").write_text(json.dumps(rows))
    assert readme.facts(reports)["leaning"] == "1 as stated, 1 otherwise, 2 open"


def test_filling_replaces_what_stood_there_and_can_be_repeated(reports, tmp_path):
    path = tmp_path / "README.md"
    path.write_text("In <!-- minutes.figures -->99<!-- / --> minutes: <!-- C1.1 --><!-- / -->, about 4 papers.")
    readme.update(path, reports)
    once = path.read_text()
    assert re.sub("<!--.*?-->", "", once) == "In 5 minutes: +2.3 dB, reproduced at overnight, about 4 papers."
    readme.update(path, reports)
    assert path.read_text() == once


def test_what_is_not_known_yet_stays(reports):
    text = "<!-- C4.6 -->none yet<!-- / -->"
    assert readme.fill(text, readme.facts(reports)) == text


def test_the_projects_readme_agrees_with_the_results_files():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for name, maker in (("claims.json", "make figures"), ("recorded/minutes.json", ".ci/minutes")):
        if not (REPOSITORY / "reports" / name).exists():
            pytest.skip(f"no reports/{name} yet: {maker} writes it")
    facts = readme.facts(REPOSITORY / "reports")
    assert set(re.findall(r"<!-- ([\w.-]+) -->", text)) <= set(facts), "README.md asks for what no results file gives"
    assert readme.fill(text, facts) == text


def test_every_measured_number_in_the_projects_readme_stands_between_markers():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    prose = re.sub(r"<!-- [\w.-]+ -->.*?<!-- / -->|```.*?```|`[^`]*`|\]\([^)]*\)", "", text, flags=re.DOTALL)
    measured = r"\d[\d.,]*\s*(?:dB|%|minutes?|seconds?|hours?|times|claims)\b"
    assert re.findall(measured, prose) == []
