"""What bfloat16 rounds away, beside the noise that SelfDeblur adds by itself."""

from dataclasses import replace

import pytest

from deblur_core.solvers.rounding import gradient_errors
from deblur_core.studies import pairs


@pytest.fixture(scope="module")
def pair():
    return pairs.load("builtin", "im1_kernel5", 64)


def errors(pair, **changes):
    recipe = replace(pairs.SMOKE, **changes)
    return gradient_errors(pair.blurry, pair.kernel_size, recipe, at=(1, 10))


def test_rounding_is_small_and_noise_is_what_the_recipe_says(pair):
    rows = errors(pair)
    assert [row["iteration"] for row in rows] == [1, 10]
    for row in rows:
        assert 1e-4 < row["rounding"] < 0.5 and row["rounding_cosine"] > 0.9
        # Two unit vectors at this cosine are this far apart, so the two measures must tell one story.
        assert row["noise"] >= (1 - row["noise_cosine"] ** 2) ** 0.5 - 1e-6
    silent, loud = errors(pair, input_noise=0.0), errors(pair, input_noise=0.1)
    assert all(row["noise"] == 0 and row["noise_cosine"] == pytest.approx(1) for row in silent)
    assert loud[0]["noise"] > 3 * rows[0]["noise"]
    assert silent[0]["rounding"] > 0


def test_rows_are_of_the_iterations_that_they_name(pair):
    upwards, downwards = (gradient_errors(pair.blurry, pair.kernel_size, pairs.SMOKE, at) for at in ((1, 3), (3, 1)))
    assert upwards == downwards and [row["iteration"] for row in downwards] == [1, 3]


def test_the_same_twice(pair):
    assert errors(pair) == errors(pair)
