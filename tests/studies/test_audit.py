"""The audit: arithmetic on the paper's numbers, and protocol effects of known size."""

from dataclasses import replace
from itertools import product
from math import log10

import numpy as np
import pytest
import torch

from deblur_core import data, metrics, studies
from deblur_core.models.counting import count_macs, count_parameters
from deblur_core.models.selfdeblur import ImageNetwork
from deblur_core.report import board
from deblur_core.runs import Store
from deblur_core.studies import audit, claims
from deblur_core.studies.claims import verdict

STUDY = studies.get("audit")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    return studies.collect(STUDY, "smoke", Store(tmp_path_factory.mktemp("home")), compute=True)


@pytest.fixture(scope="module")
def recorded():
    return studies.collect(STUDY, "overnight")


# The paper's numbers


def test_numbers_here_are_those_of_the_catalogue():
    quoted = {claim.id: claim.paper_values for claim in claims.CLAIMS}
    psnr, ssim, *_ = audit.TABLE_3["SelfDeblur"]
    assert quoted["C1.1"].startswith(f"{psnr} dB / {ssim} against")
    assert quoted["C1.3"].startswith(f"{psnr} /") and f"; {ssim} /" in quoted["C1.3"]
    assert quoted["C1.9"] == f"{audit.TABLE_3['SRN'][0]} dB"
    assert quoted["C1.5"] == "{} dB / {}".format(*audit.DOUBLE_DIP)
    assert quoted["C1.7"].startswith(
        f"{audit.TABLE_3['SelfDeblur'][1]} against {audit.TABLE_3['Sun et al., Δ'][1]:.4f}"
    )
    ratios = {method: ratio for method, (_, _, ratio, _) in audit.TABLE_3.items()}
    for method in ("SelfDeblur", "Zuo et al., Δ"):
        assert f"{ratios[method]:.4f}" in quoted["C1.6"]
    natural = audit.CATEGORIES.index("natural")
    for method in ("SelfDeblur, Δ", "Xu & Jia, Δ"):
        assert "{:.2f} dB / {:.4f}".format(*(row[natural] for row in audit.TABLE_4[method])) in quoted["C1.12"]


def test_mean_psnr_fixes_the_geometric_mean_of_ssd_ratios():
    """The identity behind the audit of Table 3, on pictures whose errors are known."""
    random = np.random.default_rng(0)
    sharp = random.random((5, 1, 1, 60, 60))
    scales = random.uniform(0.01, 0.2, (2, 5))
    found, known = (
        [
            metrics.aligned(x + s * random.standard_normal(x.shape), x, max_shift=0)
            for x, s in zip(sharp, scale, strict=True)
        ]
        for scale in scales
    )
    ratios = [metrics.error_ratio(a, b) for a, b in zip(found, known, strict=True)]
    gap = np.mean([b.psnr for b in known]) - np.mean([a.psnr for a in found])
    assert np.exp(np.log(ratios).mean()) == pytest.approx(10 ** (gap / 10))
    assert np.mean(ratios) > 10 ** (gap / 10)


def test_no_printed_error_ratio_is_a_mean_ssd_ratio_but_each_may_be_of_norms():
    rows = {row.method: row for row in audit.ratios()}
    assert len(rows) == 10
    assert not any(row.possible for row in rows.values())
    assert all(row.reported > row.root for row in rows.values())
    assert rows["SelfDeblur"].geometric == pytest.approx(1.400, abs=5e-4)
    assert rows["Krishnan et al., Δ"].geometric == pytest.approx(2.917, abs=5e-4)
    assert rows["SRN"].geometric == pytest.approx(12.88, abs=5e-3)


def test_a_true_mean_ssd_ratio_would_pass(monkeypatch):
    """The check can say yes: equal errors on all pictures, rounded as in the paper."""
    honest = {audit.KNOWN: (34.53, 0.9, 1.0), "equal": (32.50, 0.9, round(10 ** ((34.534 - 32.496) / 10), 4)),
              "rounded down": (32.50, 0.9, round(10 ** ((34.526 - 32.504) / 10), 4))}  # fmt: skip
    monkeypatch.setattr(audit, "TABLE_3", honest)
    assert all(row.possible for row in audit.ratios())


def test_every_category_but_one(monkeypatch):
    assert {c.name: c.won for c in audit.categories()} == dict.fromkeys(audit.CATEGORIES, True) | {"natural": False}
    lost = audit.categories()[1]
    assert lost.psnr == ((23.03, "Xu & Jia, Δ"), (22.50, "SelfDeblur, Δ"))
    best = {"SelfDeblur": ((40.0,) * 6, (0.99,) * 6)}
    monkeypatch.setattr(audit, "TABLE_4", audit.TABLE_4 | best)
    assert all(category.won for category in audit.categories()), "a table that agrees with its text passes"


def test_one_method_s_average_is_not_that_of_its_categories(monkeypatch):
    assert [method for method, *_ in audit.wrong_averages()] == ["Pan-DCP, Δ"] * 2
    monkeypatch.setattr(audit, "TABLE_4", {"sums up": ((1.0, 2.0, 3.0, 4.0, 5.02, 3.0), (0.1,) * 6)})
    assert audit.wrong_averages() == []


# What is measured


def test_a_shift_costs_nothing_within_the_search_range_and_everything_beyond(smoke):
    curves = audit.shift_curves(smoke)
    assert list(curves) == list(range(9))
    noise = -20 * log10(2 / 255)
    for shift, by_range in curves.items():
        for reach, psnr in zip(audit.RANGES, by_range, strict=True):
            if shift <= reach:
                assert psnr == pytest.approx(noise, abs=0.1)
            else:
                assert psnr < 26
    unaligned = [psnr[0] for psnr in curves.values()]
    assert unaligned == sorted(unaligned, reverse=True)


def test_downsampling_sets_in_at_384_px(smoke):
    for size in audit.WINDOW_KERNELS:
        ssim = audit.ssim_by_side(smoke, size)
        assert ssim[256][0] == ssim[256][1] and ssim[383][0] == ssim[383][1]
        assert ssim[384][0] == pytest.approx(ssim[383][0], abs=0.001)
    assert ssim[384][1] < ssim[384][0], "a large blur outlasts the reduction"
    small = audit.ssim_by_side(smoke, 11)
    assert small[384][1] > small[384][0] + 0.05, "a small blur does not"
    assert [audit.factor(side) for side in (225, 383, 384, 639, 640)] == [1, 1, 2, 2, 3]


def test_limited_range_luma_gains_a_constant(smoke, recorded):
    assert round(audit.LIMITED_RANGE, 2) == 1.32
    for run in audit.of_task(smoke, audit.score_window):
        psnr = run.values["psnr"]
        assert psnr["limited range"] - psnr["full range"] == pytest.approx(audit.LIMITED_RANGE, abs=1e-3)
    lai = audit.of_task(recorded, audit.score_blurry, dataset="lai")
    assert len(lai) == 40
    for run in lai:
        gain = run.values["psnr"]["10"] - run.values["full_range"]["psnr"]["10"]
        assert gain == pytest.approx(audit.LIMITED_RANGE, abs=0.01)


def test_a_wider_search_never_scores_less(smoke, recorded):
    for run in audit.of_task([*smoke, *recorded], audit.score_blurry):
        psnr = [run.values["psnr"][str(reach)] for reach in audit.RANGES]
        assert psnr == sorted(psnr)


def test_kernels_of_both_sets_are_the_right_way_round(smoke, recorded):
    fits = [run.values["fit"] for run in audit.of_task([*smoke, *recorded], audit.score_blurry) if "fit" in run.values]
    assert len(fits) == 4 + 32
    assert all(fit["k"] > fit["rotated"] + 2 for fit in fits)
    assert all(0.3 < fit["similarity"] < 0.9 for fit in fits)


def test_orientation_notices_a_kernel_that_was_turned():
    pair = data.load("builtin", "im1_kernel4")
    turned = type(pair)(**{**vars(pair), "kernel": pair.kernel.flip(1, 2)})
    right, wrong = audit.orientation(pair), audit.orientation(turned)
    assert (right["k"], right["rotated"]) == pytest.approx((wrong["rotated"], wrong["k"]))
    assert right["similarity"] == pytest.approx(wrong["similarity"])


def test_two_counts_agree(smoke):
    (run,) = audit.of_task(smoke, audit.count_networks)
    rows = {row["name"]: row for row in run.values["networks"]}
    for row in rows.values():
        assert [row["parameters"], row["macs"]] == row["by_hand"], row["name"]
    sizes = {f"image, {width} channels": n for width, n in ((128, 2_365_521), (64, 596_521), (32, 151_701))}
    sizes |= {f"kernel, {size} px": n for size, n in
              ((11, 322_121), (19, 562_361), (27, 930_729), (51, 2_804_601), (75, 5_831_625))}  # fmt: skip
    assert {name: row["parameters"] for name, row in rows.items()} == sizes
    assert rows["image, 128 channels"]["macs"] / 1e9 == pytest.approx(24.5, abs=0.05)


@pytest.mark.parametrize(("width", "skip", "side"), list(product((8, 16), (2, 4), (64, 101))))
def test_layer_list_holds_for_other_sizes(width, skip, side):
    network = ImageNetwork(width, skip)
    counted = count_parameters(network), count_macs(network, torch.empty(1, 8, side, side))
    assert audit.image_by_hand(width, skip, side) == counted


# What is said


def test_blurry_pictures_of_levin_score_what_the_audit_says(recorded):
    levin = audit.of_task(recorded, audit.score_blurry, dataset="levin")
    assert len(levin) == 32
    assert audit.mean(levin, "psnr", "5") == pytest.approx(23.25, abs=0.01)
    assert audit.mean(levin, "ssim", "plain") == pytest.approx(0.699, abs=0.001)
    assert audit.DOUBLE_DIP[0] < audit.mean(levin, "psnr", "10"), "Double-DIP is below doing nothing"


def test_evidence_is_exact_and_needs_all_of_levin(smoke, recorded):
    evidence = board.evidence_of(STUDY, recorded)
    verdicts = {claim: verdict(found) for claim, found in evidence.items()}
    assert verdicts == {"C1.12": "contradicted", "A1.1": "contradicted"} | dict.fromkeys(
        ("C1.9", "A1.2", "A1.5", "A1.6"), "exact"
    )
    small = {claim: verdict(found) for claim, found in board.evidence_of(STUDY, smoke).items()}
    assert "C1.9" not in small and "A1.2" not in small, "rows of the paper say nothing about other pictures"
    assert small["A1.3"] == small["A1.4"] == small["A1.6"] == "exact"
    assert "C1.9" not in board.evidence_of(STUDY, recorded[:31])
    assert STUDY.tables([]) == []


def test_verdicts_follow_from_the_numbers(recorded, monkeypatch):
    monkeypatch.setattr(audit, "TABLE_3", audit.TABLE_3 | {"SRN": (27.0, 0.8, 3.0)})
    monkeypatch.setattr(audit, "TABLE_4", audit.TABLE_4 | {"SelfDeblur": ((40.0,) * 6, (0.99,) * 6)})
    verdicts = {claim: verdict(found) for claim, found in STUDY.evidence(recorded).items()}
    assert (verdicts["C1.12"], verdicts["C1.9"], verdicts["A1.2"]) == ("exact", "contradicted", "exact")
    poor = {name: (psnr, ssim, 10.0) for name, (psnr, ssim, *_) in audit.TABLE_3.items()}
    monkeypatch.setattr(audit, "TABLE_3", poor)
    monkeypatch.setattr(audit, "DOUBLE_DIP", (24.0, 0.5))
    verdicts = {claim: verdict(found) for claim, found in STUDY.evidence(recorded).items()}
    assert (verdicts["A1.1"], verdicts["A1.2"]) == ("exact", "contradicted")


def test_tables_and_figures_of_any_part_of_the_results(smoke, recorded):
    for results in (smoke, recorded, smoke[:1], smoke[-1:], recorded[:5], recorded[-5:]):
        tables, figures = STUDY.tables(results), STUDY.figures(results)
        assert len({table.title for table in tables}) == len(tables) >= 2
        assert len({figure.name for figure in figures}) == len(figures) >= 1
        assert all(shown.caption for shown in (*tables, *figures))
    assert len(STUDY.tables(smoke)) == 8 and len(STUDY.figures(smoke)) == 3


def test_tables_are_of_the_results_at_hand(smoke, tmp_path, monkeypatch):
    shown = STUDY.tables(smoke)
    monkeypatch.setattr(studies, "REPOSITORY", tmp_path)  # where nothing is recorded
    assert STUDY.tables(smoke) == shown


def test_the_pictures_of_a_kernel_have_to_agree_which_way_round_it_is(recorded):
    def turned(*names):
        found = []
        for run in audit.of_task(recorded, audit.score_blurry, dataset="levin"):
            fit = run.values["fit"]
            swapped = run.values | {"fit": {**fit, "k": fit["rotated"], "rotated": fit["k"]}}
            found.append(replace(run, values=swapped if run.job.settings["pair"] in names else run.values))
        return found

    one = STUDY.evidence(turned("im2_kernel3"))["A1.5"]
    assert verdict(one) == "contradicted" and one.ours.startswith("for 7 of 8 kernels")
    all_four = STUDY.evidence(turned(*(f"im{i}_kernel3" for i in range(1, 5))))["A1.5"]
    assert verdict(all_four) == "exact", "our reader may turn it as they say"
