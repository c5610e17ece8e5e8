"""Checkers praise what is right, however it is written, and give every plausible mistake its own hint."""

import importlib
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import integrate, ndimage, optimize, signal, stats

from deblur_core.models.backbones import NETWORKS
from deblur_core.models.counting import count_macs, count_macs_as_ptflops
from deblur_core.teaching import checkers
from deblur_core.teaching.checkers import NOTHING_YET, Checker
from deblur_core.teaching.checkers.checker import NOTHING_THERE

CHECKERS = {name: value for name, value in vars(checkers).items() if isinstance(value, Checker)}


# Answers as students write them, with other tools than the checkers use.


def correlate(x, k):
    h, w = x.shape[0] - k.shape[0] + 1, x.shape[1] - k.shape[1] + 1
    return [[(x[i : i + k.shape[0], j : j + k.shape[1]] * k).sum() for j in range(w)] for i in range(h)]


def row_softmax(numbers):
    return torch.stack([row.exp() / row.exp().sum() for row in numbers])


def stable(numbers):
    weights = (numbers - numbers.max()).exp()
    return weights / weights.sum()


def mass_centre(k):
    return np.array(ndimage.center_of_mass(np.asarray(k)))


def centre(k):
    return np.array([k.shape[0] // 2, k.shape[1] // 2])


def flow(x, k, y, side=None):
    """Along the gradient, in time; `side` moves alone."""

    def slope(_, point):
        residual = point[0] * point[1] - y
        return [-(side != "k") * point[1] * residual, -(side != "x") * point[0] * residual]

    return integrate.solve_ivp(slope, (0, 400), (x, k), rtol=1e-9, atol=1e-12).y[:, -1]


def steps(x, k, y, rate, turns=False):
    for _ in range(int(200 / rate)):
        residual = k * x - y
        x, before = x - rate * k * residual, x
        k -= rate * (x if turns else before) * ((k * x - y) if turns else residual)
    return x, k


def solved(x, k, y, stays):
    """The end for another number that stays."""
    begun, at = stays(x, k), [y / k, k]
    return optimize.fsolve(lambda end: [end[0] * end[1] - y, stays(*end) - begun], at, xtol=1e-12)


def spread(d, t, ddof=1, power=0.5, sign=1):
    half = t * np.std(d, ddof=ddof) / len(d) ** power
    return np.array([sign * np.mean(d) - half, sign * np.mean(d) + half])


def unpaired(a, b, t):
    half = t * math.sqrt(np.var(a, ddof=1) / len(a) + np.var(b, ddof=1) / len(b))
    return a.mean() - b.mean() - half, a.mean() - b.mean() + half


def sums(k):
    return signal.convolve2d(np.asarray(k), np.ones((3, 3)), mode="same")


def shifted_psnr(estimate, sharp, reach, rows=None, columns=None, moving=True):
    """By sliding windows; rows and columns are the shifts that are tried."""
    every = range(-reach, reach + 1)
    h, w = (side - 2 * reach for side in sharp.shape)
    windows = np.lib.stride_tricks.sliding_window_view(estimate, (h, w))
    target = sharp[reach:-reach, reach:-reach]
    errors = [
        np.mean((windows[reach + i * moving, reach + j * moving] - target) ** 2)
        for i in rows or every
        for j in columns or every
    ]
    return 10 * math.log10(1 / min(errors))


def wrapped(estimate, sharp, reach):
    every = range(-reach, reach + 1)
    return max(-10 * np.log10(np.mean((np.roll(estimate, (i, j), (0, 1)) - sharp) ** 2)) for i in every for j in every)


RIGHT = {
    "convolution": [
        lambda x, k: signal.convolve2d(x, k, mode="valid"),
        lambda x, k: correlate(x, k.flip(0, 1)),
        lambda x, k: torch.nn.functional.conv2d(x[None, None], k.flip((0, 1))[None, None])[0, 0],
    ],
    "kernel_from_numbers": [stable, lambda numbers: torch.softmax(numbers.reshape(-1), 0).reshape(numbers.shape)],
    "centre_offset": [lambda k: mass_centre(k) - centre(k), lambda k: list(mass_centre(k) - centre(k))],
    "end_together": [
        flow,
        lambda *given: steps(*given, rate=2e-4),
        lambda x, k, y: solved(x, k, y, lambda x, k: k**2 - x**2),
    ],
    "paired_interval": [
        lambda a, b, t: spread(a - b, t),
        lambda a, b, t: list(stats.ttest_rel(a, b).confidence_interval()),  # with a t of its own
    ],
    "concentration": [lambda k: sums(k).max() / float(k.sum()), lambda k: torch.tensor(sums(k).max()) / k.sum()],
    "two_winners": [
        lambda n: ([49.9, *[11.0] * (n - 1)], [18.0] * n),
        lambda n: torch.stack([torch.linspace(10, 50, n), torch.full((n,), 29.9)]),
        lambda n: np.array([[40.0, 20.0] + [30.0] * (n - 2), [29.0] * n]),
    ],
    "best_psnr": [shifted_psnr, lambda *a: torch.tensor(shifted_psnr(*a))],
}
WRONG = {  # by a few words of the hint that should come
    "convolution": {
        "correlation": correlate,
        "upside down only": lambda x, k: correlate(x, k.flip(0)),
        "left to right only": lambda x, k: correlate(x, k.flip(1)),
        "mean of the products": lambda x, k: signal.convolve2d(x, k, mode="valid") / k.numel(),
        "divide by the sum": lambda x, k: signal.convolve2d(x, k / k.sum(), mode="valid"),
        "as large as x": lambda x, k: signal.convolve2d(x, k, mode="same"),
        "h - kh + 1": lambda x, k: np.array(correlate(x, k.flip(0, 1)))[:-1, :-1],
        "shape": lambda x, k: signal.convolve2d(x, k, mode="full"),
        "is expected": lambda x, k: np.roll(signal.convolve2d(x, k, mode="valid"), 1),
    },
    "kernel_from_numbers": {
        "*row*": row_softmax,
        "*column*": lambda numbers: row_softmax(numbers.T).T,
        "normalisation is missing": torch.exp,
        "*look*": lambda numbers: numbers.exp() / numbers.exp().max(),
        "negative numbers stay": lambda numbers: numbers / numbers.sum(),
        "Absolute": lambda numbers: abs(numbers) / abs(numbers).sum(),
        "overflows": lambda numbers: np.exp(numbers) / np.exp(numbers).sum(),
        "is expected": lambda numbers: numbers.relu() / numbers.relu().sum(),
    },
    "centre_offset": {
        "length kh / 2": lambda k: mass_centre(k) - np.array(k.shape) / 2,
        "odd sides": lambda k: mass_centre(k) - (np.array(k.shape) - 1) / 2,
        "count from 1": lambda k: mass_centre(k) + 1 - centre(k),
        "0.5, 1.5, 2.5": lambda k: mass_centre(k) + 0.5 - centre(k),
        "from the corner": mass_centre,
        "sign": lambda k: centre(k) - mass_centre(k),
        "swapped": lambda k: (mass_centre(k) - centre(k))[::-1],
        "mass is missing": lambda k: mass_centre(k) * float(k.sum()) - centre(k),
        "is expected": lambda k: mass_centre(k) - centre(k) + 0.25,
    },
    "end_together": {
        "x has its turn first": lambda *given: flow(*given, side="x"),
        "k has its turn first": lambda *given: flow(*given, side="k"),
        "knows nothing of the start": lambda x, k, y: (math.sqrt(y), math.sqrt(y)),
        "swapped": lambda *given: list(flow(*given))[::-1],
        "*sum*": lambda x, k, y: solved(x, k, y, lambda x, k: k**2 + x**2),
        "that of their *squares*": lambda x, k, y: solved(x, k, y, lambda x, k: k - x),
        "catches up": lambda x, k, y: solved(x, k, y, lambda x, k: k / x),
        "Nearly": lambda *given: steps(*given, rate=0.05),
        "You take turns": lambda *given: steps(*given, rate=0.05, turns=True),
        "Yours end at x = 0.5000, k = 2.0000": lambda x, k, y: (x, k),
    },
    "paired_interval": {
        "unpaired": unpaired,
        "single differences": lambda a, b, t: spread(a - b, t, power=0),
        "not by n": lambda a, b, t: spread(a - b, t, power=1),
        "1.96": lambda a, b, t: spread(a - b, 1.96),
        "ddof": lambda a, b, t: spread(a - b, t, ddof=0),
        "a - b": lambda a, b, t: spread(b - a, t),
        "half width": lambda a, b, t: spread(a - b, t) - np.mean(a - b),
        "shape": lambda a, b, t: np.mean(a - b),
    },
    "concentration": {
        "centre alone": lambda k: sums(k)[k.shape[0] // 2, k.shape[1] // 2] / float(k.sum()),
        "single pixel": lambda k: k.max() / k.sum(),
        "normalisation is missing": lambda k: sums(k).max(),
        "mean of the heaviest": lambda k: sums(k / k.sum()).max() / 9,
        "lightest": lambda k: signal.convolve2d(k, np.ones((3, 3)), mode="valid").min() / float(k.sum()),
        "brightest pixel": lambda k: sums(k).flatten()[int(k.argmax())] / float(k.sum()),
        "is expected": lambda k: 0.5,
    },
    "two_winners": {
        "*lower* mean error": lambda n: ([31.0] * n, [30.0] * n),
        "mean PSNR is not higher": lambda n: ([40.0] + [20.0] * (n - 1), [30.0] * n),
        "neither": lambda n: ([29.0] * n, [40.0, 20.0] + [30.0] * (n - 2)),
        "between 10 and 50": lambda n: ([math.inf] + [20.0] * (n - 1), [30.0] * n),
        "shape": lambda n: ([40.0, 20.0, 30.0], [29.0, 29.0, 29.0]),
    },
    "best_psnr": {
        "in place": lambda estimate, sharp, reach: -10 * np.log10(np.mean((estimate - sharp) ** 2)),
        "never used": lambda *a: shifted_psnr(*a, moving=False),
        "One step short": lambda e, s, reach: shifted_psnr(e, s, reach, *[range(-reach, reach)] * 2),
        "down and to the right only": lambda e, s, reach: shifted_psnr(e, s, reach, *[range(reach + 1)] * 2),
        "along rows only": lambda *a: shifted_psnr(*a, rows=[0]),
        "along columns only": lambda *a: shifted_psnr(*a, columns=[0]),
        "diagonal": lambda e, s, reach: max(shifted_psnr(e, s, reach, [i], [i]) for i in range(-reach, reach + 1)),
        "np.roll": wrapped,
        "sign": lambda *a: -shifted_psnr(*a),
        "half of it": lambda *a: shifted_psnr(*a) / 2,
        "is expected": lambda *a: shifted_psnr(*a) + 48.13,
    },
}


for path in sorted(Path(__file__).parent.glob("answers_*.py")):
    answers = importlib.import_module(path.stem)
    RIGHT, WRONG = RIGHT | answers.RIGHT, WRONG | answers.WRONG


def test_every_checker_is_tried():
    assert set(CHECKERS) == set(RIGHT) == set(WRONG)


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_are_praised_however_they_are_written(name, capsys):
    for answer in RIGHT[name]:
        CHECKERS[name](answer)
        assert capsys.readouterr().out == f"Right. {CHECKERS[name].praise}\n"


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize(("name", "words"), [(name, words) for name in WRONG for words in WRONG[name]])
def test_a_mistake_gets_its_own_hint(name, words):
    hint = CHECKERS[name].hint(WRONG[name][words])
    assert hint.startswith("Not yet. ") and words in hint
    others = {other: CHECKERS[name].hint(answer) for other, answer in WRONG[name].items() if other != words}
    assert hint not in others.values(), "two mistakes, one hint"


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("name", RIGHT)
def test_every_hint_is_given_to_some_mistake_here(name):
    given = {CHECKERS[name].hint(answer).removeprefix("Not yet. ") for answer in WRONG[name].values()}
    assert set(CHECKERS[name].mistakes) <= given


@pytest.mark.parametrize("name", CHECKERS)
def test_nothing_written_yet_or_a_crash_is_no_stack_trace(name):
    check = CHECKERS[name].hint
    assert check(lambda *_: None) == check(lambda *_: ...) == NOTHING_YET
    assert "ZeroDivisionError: division by zero" in check(lambda *_: 1 / 0)
    assert "TypeError" in check(lambda: 1)
    assert "does not get to its end" in check(lambda *_: "text")
    assert "does not get to its end" in check(None)


def test_an_answer_may_not_spoil_the_probes():
    def spoil(k):
        k.zero_()
        return k

    before = checkers.centre_offset.probes[0][0].clone()
    checkers.centre_offset.hint(spoil)
    assert torch.equal(checkers.centre_offset.probes[0][0], before)


def test_a_mistake_that_shows_in_one_case_only():
    """New cameras that gain exactly nothing are no yardstick, as those that do harm are none."""

    def share(ordinary, added, filmed):
        gain = (filmed - ordinary).mean()
        return (added - ordinary).mean() / gain if gain >= 0 else math.nan

    assert "means nothing" in checkers.share_of_ceiling.hint(share)


def test_a_case_that_is_left_out_is_not_a_blank():
    def share(ordinary, added, filmed):
        gain = (filmed - ordinary).mean()
        return (added - ordinary).mean() / gain if gain > 0 else None

    assert checkers.share_of_ceiling.hint(share) == NOTHING_THERE


def test_numbers_that_were_asked_for_are_named():
    assert " for (5, 7, 3, 2, 6, 3) is 1;" in checkers.upsampling_multiply_adds.hint(lambda *of: 1)
    assert " yet for (13, 0). IndexError" in checkers.kernel_network_parameters.hint(
        lambda side, hidden: 201_000 + (hidden - 1) * 1_001_000 + 1001 * side**2 if hidden else [][0]
    )


def test_two_numbers_that_differ_are_written_differently():
    almost = checkers.kernel_network_parameters.hint(lambda side, hidden: 1_426_500)
    given, expected = re.findall(r"[\d.e+]+(?=; | is exp)", almost)
    assert given != expected


def test_no_two_errors_are_further_apart_than_the_right_ones():
    """What `ratios_apart` asks for is the most: random errors, and ones that climb from them, stay below."""
    random = np.random.RandomState(0)
    for side in (2, 5):
        most = checkers.ratios_apart.measure(checkers.ratios_apart.right(side))
        assert most == pytest.approx((1, side**0.5))
        for _ in range(200):
            errors = random.standard_normal((2, side, side)) ** random.choice([1, 3, 9])
            errors /= np.linalg.norm(errors, axis=(1, 2), keepdims=True)
            assert checkers.ratios_apart.measure(errors)[1] < most[1]


def test_codes_are_drawn_as_wide_as_the_checker_says():
    mean, deviation = checkers.drawn_codes.probes[0]
    noise = torch.randn(200_000, *mean.shape, generator=torch.Generator().manual_seed(0))
    drawn = (mean + deviation * noise).flatten(0, 1)
    for found, expected in zip((drawn.mean(0), drawn.std(0)), checkers.drawn_codes.right(mean, deviation), strict=True):
        assert torch.allclose(found, expected, atol=2e-3)


def test_more_noise_ends_at_the_level_asked_for():
    clean, noise = 0.7, torch.randn(2, 400_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noisy = math.sqrt(0.9) * clean + math.sqrt(1 - 0.9) * noise[0]
    later = checkers.more_noise.right(noisy, 0.9, 0.36, noise[1])
    assert float(later.mean()) == pytest.approx(0.6 * clean, abs=5e-3)
    assert float(later.var()) == pytest.approx(1 - 0.36, abs=5e-3)


def test_noise_prefers_nothing_where_others_choose():
    """As the praise of `own_direction` says, and as the mistake of choosing by the picture itself does not."""
    powers = torch.randn(2, 2, 20_000, generator=torch.Generator().manual_seed(0)).exp2()
    pictures = [part.reshape(2, 2000, 10).unbind(1) for part in powers]
    fair = [float(checkers.own_direction.right(x, y)) for x, y in zip(*pictures, strict=True)]
    itself = next(mistake for hint, mistake in checkers.own_direction.mistakes.items() if "very picture" in hint)
    assert abs(np.mean(fair)) < 0.05
    assert np.mean([float(itself(x, y)) for x, y in zip(*pictures, strict=True)]) > 1


def test_what_praise_and_hints_say_of_xydeblur_is_so():
    """The paper's first upsampling at 1280 x 720 by our counter, and by the convention of ptflops; and 39 channels cost
    less than 1.53 times the 32 of PSS-NSC, and 41 more."""
    with torch.device("meta"):
        upsampling, features = torch.nn.ConvTranspose2d(128, 64, 4, 2, bias=False), torch.empty(1, 128, 180, 320)
        macs = {width: count_macs_as_ptflops(NETWORKS["PSS-NSC"](width=width), torch.empty(1, 3, 64, 64))
                for width in (32, 39, 41)}  # fmt: skip
    assert count_macs(upsampling, features) == pytest.approx(7.55e9, rel=1e-3)
    assert count_macs_as_ptflops(upsampling, features) == pytest.approx(30.2e9, rel=0.03)  # without padding
    assert macs[39] < 1.53 * macs[32] < macs[41]
