"""Lai's benchmark: what is compared with what, under which protocol, and what the tables then say."""

import contextlib
import os
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from deblur_core import blur, data, metrics
from deblur_core.errors import DeblurError
from deblur_core.runs import Job, Result, Store, run_job
from deblur_core.studies import collect, get, jobs, lai_benchmark, pairs
from deblur_core.studies.audit import CATEGORIES, TABLE_4
from deblur_core.studies.claims import verdict
from deblur_core.studies.lai_benchmark import BLURRY, KNOWN, LAI, OURS, PLAIN, PROFILES, RIVALS, STUDY

needs_data = pytest.mark.skipif(not os.environ.get("DEBLUR_DATA"), reason="real data: set DEBLUR_DATA")


def scored(psnr):
    scores = {"psnr": psnr, "ssim": psnr / 40, "ssim_plain": psnr / 50, "shift": [0, 0]}
    return scores | {"narrow": {"psnr": psnr - 1, "ssim": 0.5}}


def made_up(advantage, profile="overnight"):
    """SelfDeblur better by `advantage` dB than every rival, on pairs whose difficulty differs much more."""
    found = []
    for i, job in enumerate(jobs(STUDY, profile)):
        settings = job.settings
        values = {"saturated": 0.01, "delta_fraction": 0.1}
        if (settings["dataset"], settings["pair"]) not in PROFILES[profile].photographs:
            category = data.load(settings["dataset"], settings["pair"]).tags[0] if profile == "laptop" else (
                settings["pair"].partition("_")[0])  # fmt: skip
            hard = LAI.index(settings["pair"]) % 11 if settings["pair"] in LAI else 0
            psnr = 20 + hard + 0.01 * (i % 3) + {KNOWN: 9, OURS: advantage}.get(settings["method"], 0)
            values |= {"category": category, "kernel_similarity": 0.8,
                       "found": {"whole": scored(psnr), "window": scored(psnr + 1)},
                       "blurry": {"whole": scored(18 + hard), "window": scored(17 + hard)}}  # fmt: skip
            if settings["method"] == OURS:
                values["plain"] = scored(psnr + 0.5)
        found.append(Result(job, values, {}, {}))
    return found


# Which runs


def test_every_few_pairs_are_a_fair_set():
    assert sorted(LAI) == sorted(data.names("lai"))
    for start in range(0, 40, 5):
        block = [name.split("_") for name in LAI[start : start + 5]]
        assert {category for category, *_ in block} == set(CATEGORIES)
        assert {kernel for *_, kernel in block} == {"01", "02", "03", "04"}


def test_photographs_are_restored_by_all_and_known_by_none():
    listed = jobs(STUDY, "overnight")
    assert len(listed) == 40 * (len(RIVALS) + 2) + 3 * (len(RIVALS) + 1)
    methods = {job.settings["method"] for job in listed if job.settings["dataset"] == "photos"}
    assert methods == {*RIVALS, OURS}


def test_all_methods_see_the_same_window():
    for profile in PROFILES:
        by_pair = {}
        for job in jobs(STUDY, profile):
            settings = job.settings
            base = Job.from_json(settings["of"]).settings if settings["of"] else settings
            by_pair.setdefault(settings["pair"], set()).update({settings["window"], base["window"]})
        assert all(len(windows) == 1 for windows in by_pair.values())
    assert {job.settings["window"] for job in jobs(STUDY, "paper")} == {None}, "the paper's method has the whole"


# The protocol


def test_scores_follow_the_papers_protocol_and_search_wider():
    generator = np.random.RandomState(0)
    scene = blur.convolve(torch.from_numpy(generator.random_sample((1, 1, 140, 140))), blur.psf.gaussian(9, 2).double())
    sharp = scene[..., 20:-20, 20:-20]
    noisy = sharp + 0.01 * torch.from_numpy(generator.standard_normal(sharp.shape))
    found = lai_benchmark.scores(pairs.to_bytes(noisy), sharp.float())
    assert found["psnr"] == pytest.approx(metrics.aligned(noisy, sharp).psnr + 1.32, abs=0.05)
    assert found["narrow"]["psnr"] == found["psnr"]
    drifted = pairs.to_bytes(scene[..., 20:-20, 32:-8])
    found = lai_benchmark.scores(drifted, sharp.float())
    assert abs(found["shift"][1]) == 12 and found["psnr"] > 45 > found["narrow"]["psnr"] + 10


def test_ssim_is_downsampled_where_the_paper_does():
    pair = data.load("builtin_colour", "astronaut_kernel_31")
    blurry, sharp = (data.to_luma_chroma(image)[0] for image in (pair.blurry, pair.sharp))
    found = lai_benchmark.scores(pairs.to_bytes(blurry), sharp)
    assert found["ssim"] > found["ssim_plain"] + 0.05
    found = lai_benchmark.scores(pairs.to_bytes(blurry[..., :255, :255]), sharp[..., :255, :255])
    assert found["ssim"] == found["ssim_plain"]


def test_brightness_finds_a_stretched_picture_and_its_ceiling():
    pair = data.load("builtin_colour", "coffee_kernel_31")
    plain = lai_benchmark.brightness(pair, pair.kernel)
    assert plain["gain"] == pytest.approx(1, abs=0.002) and plain["offset"] == pytest.approx(0.005, abs=1e-3)
    assert plain["ceiling"] > 45
    stretched = replace(pair, blurry=(1.5 * pair.blurry - 0.05).clamp(0, 1))
    found = lai_benchmark.brightness(stretched, pair.kernel)
    assert found["gain"] == pytest.approx(1.5, rel=0.01) and found["misfit"] < 0.006
    assert found["ceiling"] < 25


def test_the_estimated_kernel_is_the_one_that_blurred():
    pair = data.load("builtin_colour", "astronaut_kernel_31")
    job = Job.create(lai_benchmark.estimate_kernel, dataset="builtin_colour", pair=pair.name)
    k = run_job(job).arrays["k"]
    assert metrics.kernel_similarity(k, pair.kernel) > 0.999
    assert k.min() >= 0 and k.sum() == pytest.approx(1)
    assert np.abs(k - pair.kernel[0].numpy()).max() < 0.02 * float(pair.kernel.max()), "in its place, not elsewhere"


# What is said


@pytest.mark.parametrize(("advantage", "says"), [(1.0, "reproduced"), (-1.0, "contradicted"), (0.0, "inconclusive")])
def test_pairs_are_compared_with_themselves_for_every_rival(advantage, says):
    evidence = STUDY.evidence(made_up(advantage, "paper"))["C1.11"]
    assert verdict(replace(evidence, reduced="")) == says
    assert verdict(evidence) == "inconclusive", "no rival of the paper's decides nothing"
    assert "windows" in STUDY.evidence(made_up(advantage))["C1.11"].reduced
    assert "windows" not in evidence.reduced and "the other 5 do not" in evidence.reduced
    assert len(evidence.comparisons) == 2 * len(RIVALS)
    psnr, ssim = evidence.comparisons[:2]
    assert psnr.effect == pytest.approx(advantage, abs=0.05)
    assert (psnr.n, psnr.of) in [(10, "pictures"), (4, "kernels")], "forty pairs are no forty independent ones"
    assert psnr.name.startswith(f"PSNR, {OURS} ") and ssim.name.startswith(f"SSIM, {PLAIN} ")
    assert evidence.ours.startswith("on 40 of 40 pairs")


def test_the_classical_methods_have_a_table_of_all_their_pairs():
    whole = made_up(1.0)
    some = [r for r in whole if r.job.settings["method"] != OURS or r.job.settings["pair"] in LAI[:7]]
    titles = [table.title for table in STUDY.tables(some)]
    assert titles[1].startswith("Classical methods") and len(STUDY.tables(whole)) == len(titles) - 1
    first, second = STUDY.tables(some)[:2]
    assert {row[0] for row in first.rows[-5:]} == {"this code, 7 pairs"}
    assert {row[0] for row in second.rows} == {"this code, 40 pairs"}
    assert [row[1] for row in second.rows] == [BLURRY, *RIVALS, KNOWN]
    evidence = STUDY.evidence(some)["C1.11"]
    assert evidence.ours.startswith("on 7 of 40 pairs") and f"SSIM is tested with {OURS}" in evidence.ours


def test_no_ceiling_where_light_is_clipped(smoke):
    (table,) = [table for table in STUDY.tables(smoke) if table.title.startswith("Does convolution")]
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert rows["astronaut"]["ceiling (dB)"] and rows["rocket"]["ceiling (dB)"] is None
    assert float(rows["rocket"]["misfit (grey levels)"]) > 1


def test_the_table_has_the_papers_rows_and_ours_by_category():
    table = STUDY.tables(made_up(1.0))[0]
    rows = {(row[0].partition(",")[0], row[1]): row[2:] for row in table.rows}
    assert {name for source, name in rows if source == "paper"} == set(TABLE_4)
    xu_jia = TABLE_4["Xu & Jia, Δ"]
    assert rows["paper", "Xu & Jia, Δ"][1] == "23.03 / 0.7542"
    without = np.mean(
        [value for value, category in zip(xu_jia[0], CATEGORIES, strict=False) if category != "saturated"]
    )
    assert rows["paper", "Xu & Jia, Δ"][-1].startswith(f"{without:.2f}")
    ours = [float(cell.split(" / ")[0]) for cell in rows["this code", OURS]]
    assert ours[5] == pytest.approx(np.mean(ours[:5]), abs=0.01)
    assert ours[6] == pytest.approx(np.mean([*ours[:3], ours[4]]), abs=0.01)
    assert ("this code", PLAIN) not in rows, "SelfDeblur has not drawn the whole"


def test_selfdeblurs_own_picture_is_compared_where_it_was_drawn():
    overnight, paper = made_up(1.0), made_up(1.0, "paper")
    assert PLAIN in lai_benchmark.methods(overnight, "window")
    assert PLAIN not in lai_benchmark.methods(overnight)
    assert PLAIN in lai_benchmark.methods(paper)


def test_a_pair_that_a_method_lacks_is_left_out():
    found = made_up(1.0)
    alone = found.pop(2)
    kept = lai_benchmark.methods(found)
    assert {len(scores) for scores in kept.values()} == {39}
    assert alone.job.settings["method"] in RIVALS


def test_nothing_run_are_the_papers_rows_alone():
    (table,) = STUDY.tables([])
    assert {row[0] for row in table.rows} == {"paper"}
    recorded = [figure.name for figure in STUDY.figures(made_up(1.0))]
    assert recorded == ["gains"], "numbers have no pictures"


# It runs


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("home"))
    return [run_job_in(store, job) for job in jobs(STUDY, "smoke")]


def run_job_in(store, job):
    from deblur_core.runs import run_jobs

    (result,) = run_jobs([job], store)
    return result


def test_a_smoke_run_scores_what_has_a_truth(smoke):
    values = {(r.job.settings["pair"], r.job.settings["method"]): r.values for r in smoke}
    known = values["astronaut_kernel_31", KNOWN]
    assert known["found"]["whole"]["psnr"] > known["blurry"]["whole"]["psnr"] + 5
    assert known["kernel_similarity"] == pytest.approx(1)
    assert known["found"]["whole"]["psnr"] > values["astronaut_kernel_31", OURS]["found"]["whole"]["psnr"]
    assert values["rocket_kernel_31", KNOWN]["brightness"]["misfit"] > 5 * known["brightness"]["misfit"]
    assert "found" not in values["chelsea_kernel_25", OURS]
    assert BLURRY in lai_benchmark.methods(smoke)


def test_what_is_left_out_of_a_photograph_is_told():
    """The task is silent of saturation, so the table has to tell."""
    table = STUDY.tables(made_up(1.0))[-1]
    told = {row[0]: row[table.columns.index("left out as saturated")] for row in table.rows}
    assert told == {pair: "1.0%" for _, pair in PROFILES["overnight"].photographs}


def test_a_method_that_finds_no_kernel_is_scored_as_if_there_were_no_blur(monkeypatch):
    def gives_up(y, size):
        raise DeblurError("No kernel can be found.")

    monkeypatch.setitem(RIVALS, "L0 edges", gives_up)
    job = next(job for job in jobs(STUDY, "smoke") if job.settings["method"] == "L0 edges")
    result = run_job(job)
    assert result.values["delta_fraction"] == 1
    psnr = {name: result.values[name]["whole"]["psnr"] for name in ("found", "blurry")}
    assert psnr["found"] == pytest.approx(psnr["blurry"], abs=0.5)


def test_only_saturation_is_not_warned_of(monkeypatch):
    y = torch.rand(1, 3, 480, 640, generator=torch.Generator().manual_seed(0))
    y[..., :100] = 1
    pair = replace(data.load("builtin_colour", "chelsea_kernel_25"), blurry=y)
    monkeypatch.setattr(data, "load", lambda *place: pair)
    job = next(job for job in jobs(STUDY, "smoke") if job.settings["pair"] == pair.name
               and job.settings["method"] == "Perrone & Favaro")  # fmt: skip
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with contextlib.suppress(DeblurError):  # there is no kernel to be found
            run_job(job)
    words = {str(warning.message).partition(" (")[0] for warning in said}
    assert words == {"This picture is noisy"}


def test_a_smoke_run_draws_what_may_be_passed_on_and_nothing_else(smoke):
    names = [figure.name for figure in STUDY.figures(smoke)]
    assert names == ["gains", "pictures", "photograph_chelsea"]
    elsewhere = []
    for result in smoke:
        fields = result.job.to_json()
        fields["settings"]["dataset"] = "photos"
        elsewhere.append(Result(Job.from_json(fields), result.values, result.arrays, {}))
    assert [figure.name for figure in STUDY.figures(elsewhere)] == ["gains"]


def test_pictures_are_kept_as_bytes_and_kernels_as_floats(smoke):
    for result in smoke:
        assert result.arrays["x"].dtype == np.uint8 and result.arrays["k"].dtype == np.float32
        assert result.arrays["k"].sum() == pytest.approx(1, abs=1e-3)


def test_the_recorded_overnight_run_is_of_lais_pairs():
    found = [r for r in collect(get("lai_benchmark"), "overnight") if "found" in r.values]
    assert all(r.job.settings["pair"] in LAI and not r.arrays for r in found)


@needs_data
def test_one_of_lais_saturated_pictures_was_stretched_before_it_was_blurred():
    values = {}
    for image in ("people_01", "saturated_01"):
        job = next(j for j in jobs(STUDY, "overnight") if j.settings["pair"] == f"{image}_kernel_01"
                   and j.settings["method"] == KNOWN)  # fmt: skip
        values[image] = run_job(job).values
    people, saturated = (values[image]["brightness"] for image in ("people_01", "saturated_01"))
    assert people["gain"] == pytest.approx(1, abs=0.002) and people["misfit"] < 0.0035
    assert saturated["gain"] == pytest.approx(1.9, abs=0.01) and saturated["misfit"] < 0.0035
    assert saturated["ceiling"] < 21 < values["people_01"]["found"]["whole"]["psnr"]
