"""The claims board: every claim, the best evidence, never a verdict without one."""

import json

import pytest
from toy_study import Size, toy

from deblur_core import studies
from deblur_core.report import board
from deblur_core.runs import Store
from deblur_core.studies import collect
from deblur_core.studies.claims import CHECKS, CLAIMS, VERDICTS, Comparison, Evidence


@pytest.fixture
def run(tmp_path):
    store = Store(tmp_path)
    return lambda study, *profiles: {
        (study.name, profile): collect(study, profile, store, compute=True) for profile in profiles
    }


def row_of(rows, claim_id):
    return next(row for row in rows if row.claim.id == claim_id)


def test_without_results_every_claim_is_not_run_and_says_why():
    rows = board.board([toy()], {})
    assert [row.claim for row in rows] == [*CLAIMS, *CHECKS]
    assert {row.verdict for row in rows} == {"not run"}
    assert row_of(rows, "C1.1").ours == "not run yet: deblur figures --only toy"
    assert row_of(rows, "C4.1").ours == "no study yet"


def test_what_laptop_leaves_out_is_not_promised_by_it(run):
    study = toy()
    study = type(study)(**{**vars(study), "claims": ("C1.1", "C1.2")})
    rows = board.board([study], run(study, "laptop"))
    assert row_of(rows, "C1.2").ours == "not run yet: deblur figures --profile overnight --only toy"


def test_the_largest_profile_decides(run):
    study = toy(laptop=Size(3, advantage=2.0), overnight=Size(4, advantage=-2.0))
    small, both = run(study, "smoke", "laptop"), run(study, "laptop", "overnight")
    assert (row_of(board.board([study], small), "C1.1").profile) == "laptop"
    decided = row_of(board.board([study], both), "C1.1")
    assert (decided.profile, decided.verdict) == ("overnight", "contradicted")
    assert decided.evidence.comparisons[0].n == 4


def test_two_studies_may_not_judge_one_claim(run):
    first, second = toy("first"), toy("second")
    with pytest.raises(ValueError, match="two studies"):
        board.board([first, second], run(first, "smoke") | run(second, "smoke"))


@pytest.mark.parametrize(
    "evidence",
    [{"C9.9": Evidence(holds=True)}, {"C1.1": Evidence(holds=True)}],
    ids=["unknown", "wrong kind"],
)
def test_evidence_must_fit_the_catalogue(run, evidence):
    study = toy()
    wrong = type(study)(**{**vars(study), "evidence": lambda results: evidence})
    with pytest.raises(ValueError, match=next(iter(evidence))):
        board.board([wrong], run(study, "smoke"))


def test_json_has_one_schema_and_no_infinity(run):
    study = toy(smoke=Size(1))
    rows = board.board([study], run(study, "smoke"))
    entries = json.loads(json.dumps([row.to_json() for row in rows], allow_nan=False))
    columns = {
        "id",
        "paper",
        "where",
        "kind",
        "statement",
        "paper_values",
        "ours",
        "profile",
        "interval",
        "setting",
        "verdict",
    }
    assert all(set(entry) == columns and entry["verdict"] in VERDICTS for entry in entries)
    (interval,) = entries[0]["interval"]
    assert interval["low"] is None and interval["n"] == 1, "one pair has no interval"
    assert entries[0]["verdict"] == "inconclusive"


def test_an_interval_is_written_with_its_sign_unit_and_number():
    found = Comparison("PSNR", 2.306, 1.2, 3.42, 32, "dB")
    assert board.describe(found) == "PSNR: +2.31 dB [1.20, 3.42], n = 32 pairs"
    small = Comparison("SSIM", -0.0123, -0.02, 0.0004, 8)
    assert board.describe(small) == "SSIM: -0.0123 [-0.02, 0.0004], n = 8 pairs"


def test_an_interval_beyond_zero_that_one_of_several_has_by_chance_says_so():
    near, far = Comparison("a", -1, -1.9, -0.1, 3), Comparison("b", -1, -1.1, -0.9, 30)
    first, second = board.descriptions(Evidence((near, far)))
    assert first.endswith(", not clear of zero as one of 2") and not second.endswith("of 2")
    assert board.descriptions(Evidence((near,))) == [board.describe(near)] and board.descriptions(None) == []


def test_summary_counts_every_claim():
    verdicts = {"C1.1": "reproduced", "C1.2": "not run", "C1.3": "reproduced"}
    assert board.summary(verdicts) == "3 claims: 2 reproduced, 1 not run"
    assert board.summary(verdicts | {"A1.1": "exact"}).endswith("; 1 check besides: 1 exact")


@pytest.mark.parametrize(("profile", "says"), [("smoke", "inconclusive"), ("laptop", "inconclusive"),
                                               ("overnight", "reproduced"), ("paper", "reproduced")])  # fmt: skip
def test_a_reduced_run_is_shown_but_decides_nothing(profile, says):
    claim = next(claim for claim in CLAIMS if claim.id == "C1.1")
    clear = Evidence((Comparison("PSNR", 2.0, 1.0, 3.0, 8, "dB"),))
    row = board.Row(claim, clear, profile)
    assert row.verdict == says
    assert "[1" in row.interval
    other = board.Row(claim, Evidence(clear.comparisons, ours="2 dB", reduced="another method"), profile)
    assert other.verdict == "inconclusive" and "another method" in other.ours
    assert other.setting == "as stated" and row.setting == ("as stated" if says == "inconclusive" else "")


def test_a_recorded_part_counts_until_a_deciding_run_is_there(run, tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "REPOSITORY", tmp_path / "project")
    study = toy(laptop=Size(2), overnight=Size(8), paper=Size(6, advantage=1.0))
    found = run(study, "overnight", "paper")
    studies.record(study, "overnight", found["toy", "overnight"][:3])
    assert len(board.gather([study], None)["toy", "overnight"]) == 3
    studies.record(study, "paper", found["toy", "paper"])
    gathered = board.gather([study], None)
    assert gathered["toy", "overnight"] == [] and len(gathered["toy", "paper"]) == len(found["toy", "paper"])
