"""The catalogue is whole, and a verdict follows from intervals alone."""

import math

import pytest

from deblur_core.studies.claims import (
    CHECKS,
    CLAIMS,
    PAPERS,
    VERDICTS,
    Comparison,
    Evidence,
    crossed,
    paired,
    paired_by_name,
    verdict,
)

CLEAR = Comparison("PSNR", 2.0, 1.0, 3.0, 8, "dB")
OPEN = Comparison("SSIM", 0.1, -0.1, 0.3, 8)
OPPOSED = Comparison("SSIM", -0.2, -0.3, -0.1, 8)
TOUCHING = Comparison("SSIM", 0.1, 0.0, 0.2, 8)
ONE_RUN = Comparison("PSNR", 5.0, -math.inf, math.inf, 1, "dB")
ALL_FAILED = Comparison("PSNR", math.nan, -math.inf, math.inf, 0, "dB")


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (Evidence((CLEAR,)), "reproduced"),
        (Evidence((CLEAR, CLEAR)), "reproduced"),
        (Evidence((CLEAR, OPEN)), "inconclusive"),
        (Evidence((TOUCHING,)), "inconclusive"),
        (Evidence((ONE_RUN,)), "inconclusive"),
        (Evidence((ALL_FAILED,)), "inconclusive"),
        (Evidence((CLEAR,), reduced="not the method of the paper"), "inconclusive"),
        (Evidence((CLEAR, OPPOSED)), "contradicted"),
        (Evidence((OPEN, OPPOSED)), "contradicted"),
        (Evidence(holds=True), "exact"),
        (Evidence(holds=False), "contradicted"),
        (Evidence(holds=True, reduced="not the numbers of the paper"), "inconclusive"),
        (None, "not run"),
    ],
)
def test_verdict_follows_from_the_evidence(evidence, expected):
    assert verdict(evidence) == expected


def test_every_verdict_can_be_reached():
    given = (Evidence((CLEAR,)), Evidence(holds=True), Evidence((OPPOSED,)), Evidence((OPEN,)), None)
    assert tuple(map(verdict, given)) == VERDICTS


@pytest.mark.parametrize("arguments", [{}, {"comparisons": (CLEAR,), "holds": True}])
def test_evidence_is_either_measured_or_exact(arguments):
    with pytest.raises(ValueError, match="either"):
        Evidence(**arguments)


def test_what_keeps_evidence_from_deciding_is_told_beside_it():
    assert Evidence((CLEAR,), ours="+2 dB", reduced="a toy").in_words == "+2 dB; undecided here: a toy"
    assert Evidence((CLEAR,), ours="+2 dB").in_words == "+2 dB" and Evidence((CLEAR,)).in_words == ""


def test_seeds_of_one_pair_do_not_narrow_the_interval():
    """Eight seeds of two pairs are two independent observations."""
    first, second = [31.0] * 8 + [33.0] * 8, [30.0] * 16
    groups = ["a"] * 8 + ["b"] * 8
    found = paired("PSNR", first, second, groups, "dB")
    assert (found.effect, found.n, found.unit) == (2.0, 2, "dB")
    assert verdict(Evidence((found,))) == "inconclusive"


def test_catalogue_holds_every_claim_once_in_order():
    expected = [f"C{paper}.{i}" for paper, count in ((1, 12), (2, 6), (3, 11), (4, 6)) for i in range(1, count + 1)]
    assert [claim.id for claim in CLAIMS] == expected


def test_claims_are_filled_in_and_belong_to_their_paper():
    assert len({claim.id for claim in (*CLAIMS, *CHECKS)}) == len(CLAIMS) + len(CHECKS)
    assert all(check.kind == "exact" and check.id.startswith("A") for check in CHECKS)
    for claim in (*CLAIMS, *CHECKS):
        assert claim.kind in ("measured", "exact")
        assert claim.where and claim.paper_values and claim.not_run
        assert claim.statement.endswith(".")
        assert list(PAPERS).index(claim.paper) + 1 == int(claim.id[1])


def test_one_of_many_comparisons_needs_a_clearer_interval_to_contradict():
    def comparison(high):
        return Comparison("a", -1.0, -2 - high, high, n=8)

    assert verdict(Evidence((comparison(-0.02),))) == "contradicted"
    others = (Comparison("b", 1.0, 0.5, 1.5, n=8),) * 5
    assert verdict(Evidence((comparison(-0.02), *others))) == "inconclusive"
    assert verdict(Evidence((comparison(-0.7), *others))) == "contradicted"
    # by hand: 1 - 0.05 / 6 of Student's distribution with 7 degrees of freedom is 3.6358, 0.95 of it 2.3646
    wide = 2.3646 / 3.6358
    assert comparison(-1 + wide * 0.999).contradicts(6) and not comparison(-1 + wide * 1.001).contradicts(6)


def test_pairs_that_share_pictures_and_kernels_are_no_independent_ones():
    pictures, kernels = zip(*((i, j) for i in range(4) for j in range(8)), strict=True)
    effects = [3.0 * (i == 3) + 0.1 * (j % 2) for i, j in zip(pictures, kernels, strict=True)]
    naive = paired("a", effects, [0.0] * 32, list(zip(pictures, kernels, strict=True)))
    honest = crossed("a", effects, {"pictures": pictures, "kernels": kernels}, "dB")
    assert naive.n == 32 and naive.low > 0
    assert (honest.n, honest.of, honest.unit) == (4, "pictures", "dB") and honest.low < 0
    assert honest.effect == pytest.approx(naive.effect)


def test_the_widest_interval_counts_and_not_the_highest():
    """Means by picture are 0, 2 and 6.5; those by kernel, 1, 7 and 6, scatter less around a higher mean."""
    found = crossed("a", [0.0, 2.0, 7.0, 6.0], {"pictures": "acbb", "kernels": [1, 1, 0, 2]})
    assert found.of == "pictures" and found.effect == pytest.approx(8.5 / 3)


def test_scores_are_paired_by_name_and_a_picture_that_was_blurred_twice_counts_once():
    ours = {"a, x": 3.0, "a, y": 5.0, "b, x": 6.0, "c, x": 100.0}
    theirs = {"b, x": 4.0, "a, y": 2.0, "a, x": 2.0, "d, x": -100.0}
    found = paired_by_name("PSNR", ours, theirs, lambda name: name[0], "dB")
    assert found == paired("PSNR", [3.0, 5.0, 6.0], [2.0, 2.0, 4.0], "aab", "dB", "pictures")
    assert (found.effect, found.n) == (2.0, 2)
