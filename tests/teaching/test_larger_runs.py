"""Recorded runs in a notebook: tables, figures and verdicts, or a line that says that there are none."""

from dataclasses import replace

import pytest

from deblur_core import studies
from deblur_core.studies.study import Table
from deblur_core.teaching import larger_runs


@pytest.fixture
def displayed(monkeypatch):
    found = []
    monkeypatch.setattr(larger_runs, "display", lambda *shown: found.extend(shown))
    return found


def test_recorded_runs_are_shown_with_their_conditions_and_verdicts(displayed, capsys):
    larger_runs.show(studies.get("joint_vs_alternating"))
    overnight, paper = capsys.readouterr().out.split("\npaper: ")
    assert overnight.startswith("overnight: ") and "32 pairs of levin" in overnight and "PyTorch" in overnight
    assert overnight.index(larger_runs.HOW_TO_READ) < overnight.index("C1.1 ")
    assert "C1.1 inconclusive (open in our setting)\n     the paper: On Levin's set, joint" in overnight
    assert "     here: " in overnight and "PSNR, joint − alternating: +" in overnight
    assert paper == "so far 16 of 64 jobs are recorded.\n"
    assert {Table} < {type(shown) for shown in displayed}, "tables and figures"
    displayed.clear()
    larger_runs.show(studies.get("joint_vs_alternating"), figures=False)
    assert {type(shown) for shown in displayed} == {Table}


def test_why_a_reduced_run_decides_nothing_is_said(displayed, capsys):
    larger_runs.show(studies.get("blur_swap"), figures=False)
    assert "; undecided here: " in capsys.readouterr().out


def test_where_nothing_is_recorded_a_line_says_so(displayed, capsys):
    larger_runs.show(replace(studies.get("joint_vs_alternating"), jobs=lambda profile: []))
    assert capsys.readouterr().out == "overnight: nothing is recorded.\npaper: nothing is recorded.\n"
    assert not displayed


def test_an_answer_is_one_paragraph_of_what_there_is_to_say(displayed):
    larger_runs.answer("Open: **+0.6** dB.", "", "The median is 0.1 dB.")
    (paragraph,) = displayed
    assert paragraph.data == "Open: **+0.6** dB. The median is 0.1 dB."
