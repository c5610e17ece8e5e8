"""Kernel scores against hand-made kernels and a plain loop over the shifts."""

from itertools import product

import numpy as np
import pytest
import torch

from deblur_core.errors import UsageError
from deblur_core.metrics import align_kernel, delta_fraction, kernel_error, kernel_similarity

DELTA = np.ones((1, 1))
BOX = np.full((3, 3), 1 / 9)


def trajectory(shape=(9, 7), seed=0):
    kernel = np.random.default_rng(seed).random(shape) ** 4
    return kernel / kernel.sum()


def framed(kernel, before, after):
    return np.pad(kernel, list(zip(before, after, strict=True)))


def similarity_by_shifts(k, k_true):
    (height, width), (rows, columns) = k.shape, k_true.shape
    frame = framed(k_true, (height, width), (height, width))
    corners = product(range(height + rows + 1), range(width + columns + 1))
    largest = max((frame[y : y + height, x : x + width] * k).sum() for y, x in corners)
    return largest / np.sqrt((k**2).sum() * (k_true**2).sum())


@pytest.mark.parametrize(("shape", "true_shape"), [((9, 7), (9, 7)), ((5, 11), (8, 4)), ((1, 1), (3, 5))])
def test_similarity_is_the_best_of_all_shifts(shape, true_shape):
    for seed in range(3):
        k, k_true = trajectory(shape, seed), trajectory(true_shape, seed + 10)
        assert kernel_similarity(k, k_true) == pytest.approx(similarity_by_shifts(k, k_true))
        assert kernel_similarity(k, k_true) == pytest.approx(kernel_similarity(k_true, k))


def test_similarity_of_known_kernels():
    assert kernel_similarity(trajectory(), trajectory()) == pytest.approx(1)
    assert kernel_similarity(DELTA, BOX) == pytest.approx(1 / 3)
    assert kernel_similarity(np.eye(3), np.eye(3)[::-1]) == pytest.approx(1 / 3)


def test_similarity_sees_neither_shift_nor_frame_nor_scale():
    k = trajectory()
    assert kernel_similarity(7 * framed(k, (6, 0), (1, 4)), framed(k, (0, 3), (2, 0))) == pytest.approx(1)


def test_similarity_sees_a_forgotten_flip():
    assert kernel_similarity(trajectory()[::-1, ::-1], trajectory()) < 0.9


@pytest.mark.parametrize(("before", "after"), [((2, 3), (4, 5)), ((0, 6), (6, 0)), ((0, 0), (0, 0))])
def test_alignment_recovers_the_kernel_in_its_own_frame(before, after):
    k = trajectory()
    np.testing.assert_array_equal(align_kernel(framed(k, before, after), k), k)
    np.testing.assert_array_equal(align_kernel(k, framed(k, before, after)), framed(k, before, after))
    assert kernel_error(framed(k, before, after), k) == pytest.approx(0, abs=1e-15)


def test_error_of_known_kernels():
    assert kernel_error(DELTA, BOX) == pytest.approx((1 + 1 / 9 - 2 / 9) / 9)
    assert kernel_error(BOX, DELTA) == pytest.approx(1 + 1 / 9 - 2 / 9)  # the eight outside the frame count


def test_error_is_that_of_the_aligned_kernel():
    k, k_true = trajectory((5, 5)), framed(trajectory((5, 5), 1), (5, 5), (5, 5))
    assert kernel_error(k, k_true) == pytest.approx(np.mean((align_kernel(k, k_true) - k_true) ** 2))


@pytest.mark.parametrize(
    ("kernel", "share"),
    [
        (DELTA, 1),
        (BOX, 1),
        (np.ones((2, 2)), 1),
        (np.full((5, 5), 0.04), 9 / 25),
        (np.ones((1, 7)), 3 / 7),
        (np.diag([1, 1, 1, 1, 6.0]), 8 / 10),
        (framed(BOX, (20, 0), (0, 20)), 1),
    ],
)
def test_delta_fraction_of_known_kernels(kernel, share):
    assert delta_fraction(kernel) == pytest.approx(share)


def test_takes_tensors_with_a_batch_of_one():
    k, k_true = (torch.from_numpy(trajectory(seed=seed))[None] for seed in (0, 1))
    expected = kernel_similarity(trajectory(), trajectory(seed=1))
    assert kernel_similarity(k.requires_grad_(), k_true) == expected
    assert kernel_similarity(k.float(), k_true) == pytest.approx(expected, abs=1e-6)
    assert align_kernel(k, k_true).shape == (9, 7)


@pytest.mark.parametrize("kernel", [np.zeros((3, 3)), -BOX, np.ones((2, 3, 3)), np.ones(3), np.ones((0, 3))])
def test_refuses_what_is_no_kernel(kernel):
    for refused in (delta_fraction, lambda k: kernel_similarity(BOX, k), lambda k: kernel_error(k, BOX)):
        with pytest.raises(UsageError, match="a kernel is"):
            refused(kernel)
