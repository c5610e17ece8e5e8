"""Blur extracted, moved, sampled: what made-up results lead to, and a run in seconds."""

import numpy as np
import pytest
import torch

from deblur_core import blur, studies
from deblur_core.models.linear_kernel_space import LinearKernelSpace
from deblur_core.runs import Job, Result, Store, run_job
from deblur_core.studies import kernel_space as space
from deblur_core.studies import operators
from deblur_core.studies.claims import verdict
from deblur_core.studies.study import of_task

STUDY = studies.get("kernel_space")
PICTURES = [f"picture{i}" for i in range(10)]


def made_up(above=1.0, weakest=0.0, moved=40.0, average=30.0):
    """Results of `reblur` at overnight's kernels: dB above the floor, dB that kernel 4 lacks; PSNR after moving."""
    random = np.random.default_rng(0)
    found = []
    for name in operators.NAMES:
        for kernel in [f"levin {i}" for i in range(1, 9)] + [f"shake {i}" for i in range(1, 9)]:
            job = Job.create(space.reblur, operator=name, kernel=kernel, pictures=["Kodak24"], crop=256)
            same = space.FLOOR + above - (weakest if kernel == "levin 4" else 0) + 0.1 * random.normal(size=10)
            noise = 0.1 * random.normal(size=10)
            columns = {"same": same, "other": moved + noise, "average": average + noise, "copy": 22 + noise,
                       "observed": 54 + noise}  # fmt: skip
            values = {key: [[float(value), float(value) - 2] for value in column] for key, column in columns.items()}
            values |= {"true": [[None, 47.0]] * 10, "names": PICTURES, "misplaced": [0.2, 0.3], "power": [0.8, 0.1]}
            found.append(Result(job, values, {}, {}))
    return found


def judged(results):
    """As if these were the paper's operator and data, which `reduced` denies."""
    evidence = STUDY.evidence(results)["C2.1"]
    assert verdict(evidence) == "inconclusive" and evidence.reduced
    return verdict(type(evidence)(evidence.comparisons))


def test_words_and_table_have_the_same_means_and_intervals_one_unit_a_film():
    found = made_up()
    frames = [f"GOPR0384_11_00_00000{i}" for i in (1, 2, 3)]
    for run in found:
        run.values["names"] = frames + PICTURES[3:]
        run.values["same"][:3] = [[60.0, 55.0]] * 3
    evidence = STUDY.evidence(found)["C2.1"]
    rows = {row[0]: row for row in STUDY.tables(found)[0].rows}
    column = STUDY.tables(found)[0].columns.index("learned, same")
    assert evidence.ours.startswith(", ".join(rows[number][column] for number in range(1, 9)) + " dB")
    assert all(comparison.n == 8 for comparison in evidence.comparisons)
    assert evidence.comparisons[0].effect + space.FLOOR < float(rows[1][column]) - 1


def test_the_papers_numbers_stand_beside_levins_kernels_alone(results):
    for found, levin in ((made_up(), True), (results, False)):
        table = STUDY.tables(found)[0]
        shown = [row[-1] for row in table.rows if row[-1]]
        assert len(shown) == (9 if levin else 0)
        assert ("in their place" in STUDY.evidence(found)["C2.1"].reduced) != levin
        axes = next(figure for figure in STUDY.figures(found) if figure.name == "extraction").figure.axes[0]
        assert ("paper" in [text.get_text() for text in axes.get_legend().get_texts()]) == levin


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"above": 1.0}, "reproduced"),
        ({"above": -1.0}, "contradicted"),
        ({"above": 1.0, "weakest": 2.0}, "contradicted"),  # all eight have to
        ({"above": 0.0}, "inconclusive"),
    ],
)
def test_verdicts_follow_the_numbers(options, says):
    assert judged(made_up(**options)) == says


def test_each_known_kernel_is_a_comparison_over_pictures():
    comparisons = STUDY.evidence(made_up(above=2.0))["C2.1"].comparisons
    assert [comparison.name.split(",")[0] for comparison in comparisons] == [f"kernel {i}" for i in range(1, 9)]
    assert all((comparison.n, comparison.of) == (10, "pictures") for comparison in comparisons)
    assert [comparison.effect for comparison in comparisons] == pytest.approx([2] * 8, abs=0.2)


def test_transfer_is_compared_with_the_average_kernel_picture_by_picture():
    runs = [run for run in made_up(moved=41.0, average=33.0) if run.job.settings["operator"] == "learned"]
    found = space.gain("", runs)
    assert found.effect == pytest.approx(8) and found.high - found.low < 1e-6, "what pictures have in common cancels"
    assert space.gain("", made_up(moved=29.0)[:8]).high < 0
    alone = space.gain("", runs[:1])
    assert (alone.n, alone.of, alone.low) == (1, "kernels", -np.inf), "one kernel decides nothing"


def filmed(motions, scatter, ahead=0.5):
    """Results of `film`: the learned operator is ahead, by motions that differ in how much."""
    shift = dict(zip(motions, scatter * np.linspace(-1, 1, len(motions)), strict=True))
    for name in operators.NAMES:
        for motion in motions:
            job = Job.create(space.film, operator=name, motion=motion, pictures=["Kodak24"], crop=256)
            same = 40 + np.arange(10.0) + (ahead + shift[motion] if name == "learned" else 0)
            keys = ("copy", "average", "uniform", "other", "same")
            values = {key: [[float(psnr)] * 2 for psnr in same] for key in keys}
            yield Result(job, values | {"names": PICTURES, "misplaced": 0.2}, {}, {})


def test_the_order_of_operators_is_told_with_its_interval_over_motions():
    for motions, scatter, clear in ((range(4), 0.01, True), (range(4), 1.0, False)):
        found = space.learned_over_linear(space.by_operator(list(filmed(motions, scatter)), space.film))
        assert found.effect == pytest.approx(0.5) and found.n == 4 and found.of == "motions"
        assert (found.low > 0) is clear
    (table,) = STUDY.tables(list(filmed([0], 0.0)))
    column = next(i for i, name in enumerate(table.columns) if "learned − linear" in name)
    assert [row[column] for row in table.rows] == ["+0.5", None]
    assert "One motion: the order of the operators is not decided." in table.caption
    assert "One motion" not in STUDY.tables(list(filmed(range(2), 0.1)))[0].caption
    assert space.learned_over_linear(space.by_operator(list(filmed([0], 0.0))[:1], space.film)) is None


def test_frames_of_one_film_are_one_picture_and_lend_each_other_nothing():
    assert space.picture_of("GOPR0384_11_00_000001") == space.picture_of("GOPR0384_11_00_000002")
    assert space.picture_of("kodim01") == "kodim01"
    for count in (2, 3, 30):
        sources = [space.other(i, count) for i in range(count)]
        assert sorted(sources) == list(range(count)) and all(i != source for i, source in enumerate(sources))


def test_new_shakes_are_as_large_as_the_known_kernels_and_others():
    for number in (1, 4):
        known, new = space.kernel_of(f"builtin {number}"), space.kernel_of(f"shake {number}")
        assert known.shape == new.shape and not torch.allclose(known, new, atol=0.05)
        assert new.sum().item() == pytest.approx(1)


class Exact:
    """An operator whose k is the kernel itself."""

    multiple = 64

    def blur(self, sharp, k):
        return blur.convolve(blur.pad_for_same(sharp, k.shape[-1]), k)


def test_the_response_to_a_point_is_the_kernel():
    k = space.kernel_of("shake 1")
    for response in space.responses(Exact(), k, [(40, 50), (64, 64)], 128):
        assert space.misplaced(response, k) < 1e-5
        assert space.misplaced(response.roll(5, 1), k) > 0.5


def test_sizes_and_likeness_of_blurs():
    points = blur.psf.delta(9).expand(3, -1, -1)
    assert space.describe(points) == pytest.approx({"size": 0, "negative": 0, "likeness": 1})
    apart = torch.zeros(1, 1, 9)
    apart[..., 0] = apart[..., 8] = 0.5
    assert space.describe(apart.expand(2, 9, -1) / 9)["size"] == pytest.approx((16 + 60 / 9) ** 0.5)
    assert space.describe(torch.stack([points[0] * 2 - 0.25 / 81] * 2))["negative"] > 0.05


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return studies.collect(STUDY, "smoke", Store(tmp_path_factory.mktemp("home")), compute=True)


def test_extracted_blur_beats_naive_ones_on_another_picture(results):
    for run in of_task(results, space.reblur):
        if run.job.settings["operator"] == "linear":
            other, copy, average = (np.mean(space.score(run, name)) for name in ("other", "copy", "average"))
            assert other > average + 5 > copy + 5


def test_in_a_linear_space_the_way_between_two_kernels_is_straight(results):
    (run,) = space.by_operator(results, space.walk)["linear"]
    assert run.values["bend"] < 1e-4
    assert np.allclose(run.arrays["responses"].sum((1, 2)), 1, atol=0.05)


def test_multiply_adds_are_those_of_convolutions(results):
    """One component of 27 x 27 costs 729 products for each of 3 x 256 x 256 values."""
    (run,) = of_task(results, space.count)
    linear, paper = run.values["linear"], run.values["paper"]
    assert linear["application"] == 25 * 27**2 * 3 * 256**2 and linear["parameters"] == 0
    assert paper["parameters"] == 49_205_187 and 9.7e9 < paper["extraction"] < 9.9e9
    assert paper["application"] == pytest.approx(16.0e9, rel=0.01)


def test_tables_and_figures_take_any_subset(results):
    bare = [Result(result.job, result.values, {}, {}) for result in results]  # as recorded ones
    for subset in ([], results[:1], results[2:3], results[4:], results[-1:], bare, made_up(), results):
        for table in STUDY.tables(subset):
            assert table.to_markdown() and "nan" not in table.to_markdown()
        assert all(figure.caption for figure in STUDY.figures(subset))
    assert len(STUDY.tables(results)) == 6
    assert {figure.name for figure in STUDY.figures(results)} == {
        "extraction", "transfer", "points", "filmed", "samples", "walk"
    }  # fmt: skip
    assert [figure.name for figure in STUDY.figures(bare)] == ["extraction"]
    assert set(STUDY.evidence(results)) == set(STUDY.claims)


def test_what_the_verdict_leaves_open_is_said_with_numbers(results):
    said = STUDY.evidence(results)["C2.1"].reduced
    (run,) = of_task(results, space.count)
    assert f"{run.values['learned']['parameters'] / 1e6:.2f} M" in said and "49.2 M" in said


def test_only_built_in_pictures_are_shown():
    assert [figure.name for figure in STUDY.figures(made_up())] == ["extraction"]


def test_profiles_run_what_they_say():
    first = run_job(studies.jobs(STUDY, "smoke")[0])
    assert len(first.values["same"]) == 3 and isinstance(operators.get("linear"), LinearKernelSpace)
