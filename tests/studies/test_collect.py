"""Where a study's results come from: the store, else the file that is committed."""

import json

import numpy as np
import pytest
from toy_study import Size, toy

from deblur_core import studies
from deblur_core.errors import DeblurError, UsageError
from deblur_core.runs import Job, Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "home")


@pytest.fixture
def recorded_in(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "REPOSITORY", tmp_path)
    return tmp_path / "reports" / "recorded"


def test_every_study_is_found_and_speaks_for_known_claims_alone():
    from deblur_core.studies.claims import CHECKS, CLAIMS, PAPERS

    found = studies.discover()
    assert {"joint_vs_alternating", "trajectory"} <= set(found)
    spoken_for = [claim for study in found.values() for claim in study.claims]
    assert len(set(spoken_for)) == len(spoken_for), "two studies speak for one claim"
    assert {check.id for check in CHECKS} <= set(spoken_for) <= {claim.id for claim in (*CLAIMS, *CHECKS)}
    assert {study.paper for study in found.values()} <= set(PAPERS)
    notebooks = {path.stem for path in (studies.REPOSITORY / "notebooks").glob("*.ipynb")}
    assert {study.notebook for study in found.values()} <= notebooks


def test_recorded_results_are_those_of_jobs_that_the_study_still_has():
    for path in (studies.REPOSITORY / "reports" / "recorded").glob("*.*.json"):
        name, profile, _ = path.name.split(".")
        wanted = {job.key for job in studies.jobs(studies.get(name), profile)}
        entries = json.loads(path.read_text())["results"]
        assert {Job.from_json(entry["job"]).key for entry in entries} <= wanted, f"record {path.name} again"


@pytest.mark.parametrize("name", studies.discover())
def test_a_profile_has_each_job_once(name):
    for profile in studies.PROFILES:
        jobs = studies.jobs(studies.get(name), profile)
        assert len({job.key for job in jobs}) == len(jobs) > 0


@pytest.mark.parametrize("name", studies.discover())
def test_nothing_run_is_nothing_said(name):
    assert studies.get(name).evidence([]) == {} and studies.get(name).figures([]) == []


@pytest.mark.parametrize("name", studies.discover())
def test_an_unfinished_run_can_be_told_wherever_it_stopped(name):
    """Of recorded results, which have no arrays, whatever part."""
    study = studies.get(name)
    for profile in study.profiles:
        results = studies.collect(study, profile)
        for part in ([], results[::2], results[1::2], results[::3], results[:1], results[1:2], results[-3:]):
            study.evidence(part)
            assert all(str(table) for table in study.tables(part))
            assert all(figure.caption for figure in study.figures(part))


def test_unknown_names_are_usage_errors():
    with pytest.raises(UsageError, match="no study 'nonsense'"):
        studies.get("nonsense")
    with pytest.raises(UsageError, match="no profile 'weekend'"):
        studies.jobs(toy(), "weekend")


def test_a_study_needs_every_profile():
    with pytest.raises(ValueError, match="needs the profiles"):
        type(toy())(**{**vars(toy()), "profiles": {"laptop": Size(1)}})


def test_nothing_is_run_unless_asked_for(store, recorded_in):
    assert studies.collect(toy(), "smoke", store) == []
    assert len(studies.collect(toy(), "smoke", store, compute=True)) == 3
    assert len(studies.collect(toy(), "smoke", store)) == 3
    assert studies.collect(toy(), "smoke") == [], "without a store only recorded results count"


def test_what_is_recorded_comes_back_without_arrays(store, recorded_in):
    fresh = studies.collect(toy(), "smoke", store, compute=True)
    assert studies.record(toy(), "smoke", fresh) == recorded_in / "toy.smoke.json"
    back = studies.collect(toy(), "smoke")
    assert [result.job for result in back] == [result.job for result in fresh]
    assert [result.provenance for result in back] == [result.provenance for result in fresh]
    assert all(result.arrays == {} for result in back) and all(result.arrays for result in fresh)
    values = [[result.values["joint"] for result in results] for results in (back, fresh)]
    np.testing.assert_allclose(*values, rtol=1e-5)


def test_the_store_has_precedence_and_the_record_fills_gaps(store, recorded_in):
    study = toy(smoke=Size(4))
    every = studies.collect(study, "smoke", Store(recorded_in.parent / "elsewhere"), compute=True)
    studies.record(study, "smoke", every)
    for result in every[:2]:
        store.put(result)
    mixed = studies.collect(study, "smoke", store)
    assert [result.job for result in mixed] == studies.jobs(study, "smoke")
    assert [bool(result.arrays) for result in mixed] == [True, True, False, False]


def test_recording_twice_gives_the_same_bytes_and_one_line_a_job(store, recorded_in):
    results = studies.collect(toy(), "smoke", store, compute=True)
    first = studies.record(toy(), "smoke", results).read_bytes()
    again = studies.record(toy(), "smoke", studies.collect(toy(), "smoke")).read_bytes()
    assert first == again
    assert len(first.splitlines()) == len(results) + 2
    assert [len(f"{entry['values']['joint']:.10g}") <= 7 for entry in json.loads(first)["results"]] == [True] * 3


def test_results_of_jobs_that_changed_are_not_shown(store, recorded_in):
    studies.record(toy(), "smoke", studies.collect(toy(), "smoke", store, compute=True))
    assert studies.collect(toy(smoke=Size(3, advantage=5.0)), "smoke") == []


def test_studies_that_share_jobs_share_the_record(store, recorded_in):
    studies.record(toy(), "smoke", studies.collect(toy(), "smoke", store, compute=True))
    assert len(studies.collect(toy("another", claims=()), "smoke")) == 3


def test_a_damaged_record_is_named(recorded_in):
    recorded_in.mkdir(parents=True)
    (recorded_in / "toy.smoke.json").write_text('{"results": [{}]}')
    with pytest.raises(DeblurError, match=r"toy\.smoke\.json is damaged"):
        studies.collect(toy(), "smoke")
