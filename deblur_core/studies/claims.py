"""Every claim of the four papers as data, and the one rule that turns measurements into a verdict.

A claim says what the paper states, where, and with which numbers. A study answers with Evidence; `verdict`
judges it. No verdict is written by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass

from deblur_core.metrics.statistics import paired_difference, t_quantile

PAPERS = {
    "selfdeblur": "Ren et al., Neural Blind Deconvolution Using Deep Priors, CVPR 2020",
    "kernel_space": "Tran et al., Explore Image Deblurring via Encoded Blur Kernel Space, CVPR 2021",
    "refinement": "Whang et al., Deblurring via Stochastic Refinement, CVPR 2022",
    "xydeblur": "Ji et al., XYDeblur: Divide and Conquer for Single Image Deblurring, CVPR 2022",
}
VERDICTS = ("reproduced", "exact", "contradicted", "inconclusive", "not run")


@dataclass(frozen=True)
class Claim:
    """kind is "measured" (by intervals) or "exact" (a count, an identity, arithmetic on the paper's numbers).

    not_run is the reason shown as long as no study speaks for the claim.
    """

    id: str
    paper: str
    where: str
    statement: str
    paper_values: str
    kind: str = "measured"
    not_run: str = "no study yet"


@dataclass(frozen=True)
class Comparison:
    """One measured effect with its 95 % interval, positive on the paper's side, from n independent units, such as
    n pictures."""

    name: str
    effect: float
    low: float
    high: float
    n: int
    unit: str = ""
    of: str = "pairs"

    def contradicts(self, among: int = 1) -> bool:
        """Whether the interval lies below zero, also where it is one of several of which each may contradict:
        then it is widened to 1 - 0.05 / among (Bonferroni), lest one of many do so by chance."""
        wider = t_quantile(1 - 0.025 / among, self.n) / t_quantile(0.975, self.n)
        return self.high < 0 and self.effect + (self.high - self.effect) * wider < 0


def paired(
    name: str, a: Sequence[float], b: Sequence[float], groups: Sequence[Hashable], unit: str = "", of: str = "pairs"
) -> Comparison:
    """a - b over runs, a on the paper's side; groups[i], one of the `of`, is the pair of run i, whose seeds are
    averaged."""
    return Comparison(name, **asdict(paired_difference(a, b, groups)), unit=unit, of=of)


def paired_by_name(
    name: str,
    a: Mapping[str, float],
    b: Mapping[str, float],
    group_of: Callable[[str], Hashable],
    unit: str = "",
    of: str = "pictures",
) -> Comparison:
    """As `paired`, for scores by the name of what was scored: of the names that both have. group_of(name) is the
    picture, for example, that was blurred several times."""
    names = [name for name in a if name in b]
    scores = ([values[name] for name in names] for values in (a, b))
    return paired(name, *scores, list(map(group_of, names)), unit, of)


def crossed(
    name: str, effects: Sequence[float], chance: Mapping[str, Sequence[Hashable]], unit: str = ""
) -> Comparison:
    """The mean of effects, positive on the paper's side, where several things are chance at once.

    chance names them, and says of each effect which one it has, as {"pictures": [...], "kernels": [...]}: 32 pairs of
    4 pictures and 8 kernels are no 32 independent ones. Of the intervals over each of them, all others averaged, the
    widest counts; so one seed, for example, decides nothing.
    """
    zero = [0.0] * len(effects)
    intervals = [paired(name, effects, zero, groups, unit, of) for of, groups in chance.items()]
    return max(intervals, key=lambda interval: interval.high - interval.low)


@dataclass(frozen=True)
class Evidence:
    """What a study found for one claim: comparisons for a measured claim, holds for an exact one, never both.

    ours puts our values in words, beside the paper's. reduced says why these runs cannot decide the claim, whatever
    they found, where method, data or machine are others than the paper's in what the claim is about.
    """

    comparisons: tuple[Comparison, ...] = ()
    holds: bool | None = None
    ours: str = ""
    reduced: str = ""

    def __post_init__(self) -> None:
        if bool(self.comparisons) == (self.holds is not None):
            raise ValueError("Evidence needs either comparisons or a check that holds or not.")

    @property
    def in_words(self) -> str:
        """Our values, and why they decide nothing where they do not."""
        return "; ".join(filter(None, (self.ours, self.reduced and f"undecided here: {self.reduced}")))


def verdict(evidence: Evidence | None) -> str:
    """The paper's statement is the conjunction of its comparisons: it needs them all, and one that fails contradicts
    it, by an interval that allows for their number."""
    if evidence is None:
        return "not run"
    if evidence.reduced:
        return "inconclusive"
    if evidence.holds is not None:
        return "exact" if evidence.holds else "contradicted"
    if any(comparison.contradicts(len(evidence.comparisons)) for comparison in evidence.comparisons):
        return "contradicted"
    if all(comparison.low > 0 for comparison in evidence.comparisons):
        return "reproduced"
    return "inconclusive"


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "C1.1",
        "selfdeblur",
        "Table 1",
        "On Levin's set, joint optimisation of image and kernel network beats alternating optimisation in"
        " PSNR and SSIM.",
        "33.07 dB / 0.9313 against 30.53 dB / 0.8748",
    ),
    Claim(
        "C1.2",
        "selfdeblur",
        "Supplement",
        "Alternating optimisation sometimes collapses to a delta kernel where joint optimisation does not.",
        "shown in pictures",
    ),
    Claim(
        "C1.3",
        "selfdeblur",
        "Table 2",
        "A kernel network with one hidden layer beats one with two, that one beats none, and all beat "
        "Double-DIP's "
        "convolutional one.",
        "33.07 / 30.92 / 28.37 / 21.51 dB; 0.9313 / 0.8889 / 0.8396 / 0.5256",
    ),
    Claim(
        "C1.4",
        "selfdeblur",
        "Figure 4",
        "Without a hidden layer the estimated kernel is still plausible; Double-DIP's is not.",
        "shown in pictures",
    ),
    Claim(
        "C1.5",
        "selfdeblur",
        "Table 2, held against the blurry pictures",
        "Against the blurry input, for which the paper has no row, Double-DIP leaves the picture worse.",
        "21.51 dB / 0.5256",
    ),
    Claim(
        "C1.6",
        "selfdeblur",
        "Table 3",
        "On Levin's set SelfDeblur has the best PSNR and the best error ratio of all blind methods.",
        "33.07 dB (33.32 dB with a non-blind step) against 32.99 dB (Sun et al.); "
        "error ratio 1.1968 against 1.2500 (Zuo et al.)",
    ),
    Claim(
        "C1.7",
        "selfdeblur",
        "Table 3",
        "SelfDeblur's SSIM is below that of Sun et al. and Zuo et al.; with a non-blind step it is the best.",
        "0.9313 against 0.9330 and 0.9332; 0.9438 with a non-blind step",
    ),
    Claim(
        "C1.8",
        "selfdeblur",
        "Table 3",
        "A non-blind step after SelfDeblur adds little and is not compulsory.",
        "+0.25 dB, +0.0125 SSIM",
    ),
    Claim(
        "C1.9",
        "selfdeblur",
        "Table 3, held against the blurry pictures",
        "Against the blurry input, for which the paper has no row, a network trained end to end on these kernels (SRN) "
        "barely improves the picture.",
        "23.43 dB",
        kind="exact",
    ),
    Claim(
        "C1.10",
        "selfdeblur",
        "Table 3",
        "SelfDeblur's run time is of the order of the slow classical methods, about 200 times that of Xu & Jia.",
        "224.01 s; Sun et al. 191.03 s, Pan-DCP 295.23 s, Xu & Jia 1.184 s",
    ),
    Claim(
        "C1.11",
        "selfdeblur",
        "Table 4",
        "On Lai's uniform set SelfDeblur has the best average PSNR and SSIM.",
        "21.13 dB with a non-blind step, SSIM 0.7524 without; next 20.18 dB / 0.7080 (Xu & Jia)",
    ),
    Claim(
        "C1.12",
        "selfdeblur",
        "Text on Table 4",
        "On Lai's set SelfDeblur is best in every category.",
        "Natural: 22.50 dB / 0.7183, Xu & Jia 23.03 dB / 0.7542",
        kind="exact",
    ),
    Claim(
        "C2.1",
        "kernel_space",
        "Table 1",
        "Blur by each of the eight Levin kernels, re-synthesised from an extracted kernel, matches the "
        "true blurry "
        "picture to at least 49 dB.",
        "49.48, 51.93, 52.06, 53.74, 49.91, 49.49, 51.43, 50.38 dB",
    ),
    Claim(
        "C2.2",
        "kernel_space",
        "Blur-swap table",
        "SRN trained on synthesised blur (REDS, GoPro) performs comparably to SRN trained on the original blur.",
        "numbers not available",
    ),
    Claim(
        "C2.3",
        "kernel_space",
        "Data-augmentation table",
        "Adding synthesised blur to ordinary augmentation improves SRN.",
        "numbers not available",
    ),
    Claim(
        "C2.4",
        "kernel_space",
        "General deblurring figure",
        "Blind deblurring in the learned kernel space has the lowest LPIPS of all methods compared.",
        "0.348, 0.601, 0.664; the best rival 0.442, 0.633, 0.694",
    ),
    Claim(
        "C2.5",
        "kernel_space",
        "General deblurring figure",
        "On non-uniform blur SelfDeblur is worse than the blurry input in LPIPS.",
        "0.630, 0.857, 0.780 against 0.489, 0.630, 0.717",
    ),
    Claim(
        "C2.6",
        "kernel_space",
        "General deblurring figure",
        "On one of the three pictures DeblurGAN-v2 is worse than the blurry input in LPIPS.",
        "0.663 against 0.630",
        not_run="neither DeblurGAN-v2's weights nor the three pictures are available from a stable source",
    ),
    Claim(
        "C3.1",
        "refinement",
        "Table 1",
        "On GoPro, single samples beat every rival in LPIPS, NIQE, FID and KID.",
        "0.059, 3.39, 4.04, 0.98; the best rival 0.088, 3.68, 13.40, 4.41",
    ),
    Claim(
        "C3.2",
        "refinement",
        "Table 1",
        "On GoPro, averaged samples have the best PSNR and SSIM and the second-best LPIPS, but ordinary "
        "NIQE, FID and KID.",
        "33.23 dB / 0.963, LPIPS 0.078; NIQE 4.07, FID 17.46, KID 8.03",
    ),
    Claim(
        "C3.3",
        "refinement",
        "Table 1",
        "Perceptual quality costs distortion: single samples lose PSNR against averaged ones.",
        "31.66 dB against 33.23 dB",
    ),
    Claim(
        "C3.4",
        "refinement",
        "Table 2",
        "Trained on GoPro and tested on HIDE, single and averaged samples beat every rival on all four "
        "perceptual metrics.",
        "LPIPS 0.089 and 0.092 against 0.114; NIQE 2.69 and 2.93 against 2.96; FID 5.43 and 6.37 against "
        "15.17; "
        "KID 1.61 and 2.40 against 6.97",
    ),
    Claim(
        "C3.5",
        "refinement",
        "Table 3",
        "Human raters prefer both variants over regression networks, and single samples over averages.",
        "69.0 to 74.7 % over HINet and MPRNet; 58.8 % for single samples",
        kind="exact",
    ),
    Claim(
        "C3.6",
        "refinement",
        "Table 4",
        "EMA, a large batch and a larger network each help a regression U-Net, which then exceeds HINet; averaged "
        "samples exceed it in turn.",
        "33.07 dB; HINet 32.77 dB, averaged samples 33.23 dB",
    ),
    Claim(
        "C3.7",
        "refinement",
        "Figure 5",
        "The blurrier the input, the larger the standard deviation over samples.",
        "shown in pictures",
    ),
    Claim(
        "C3.8",
        "refinement",
        "Figure 6",
        "With the initial predictor, sampling is faster at equal quality, although the model has more parameters.",
        "up to 7 times; 33 M against 28 M parameters",
    ),
    Claim(
        "C3.9",
        "refinement",
        "Text",
        "Pixel values of residuals have a lower entropy than those of pictures.",
        "3.91 against 7.42 bits per dimension",
    ),
    Claim(
        "C3.10",
        "refinement",
        "Figure 3",
        "The initial prediction is a reasonable restoration although it has no loss of its own.",
        "shown in pictures",
    ),
    Claim(
        "C3.11",
        "refinement",
        "Text",
        "Trained on crops of 128 px, the fully convolutional networks apply to 1280x720 with little or no loss.",
        "no numbers",
    ),
    Claim(
        "C4.1",
        "xydeblur",
        "Table 2",
        "Rotated shared decoders improve PSS-NSC, DMPHN and MSCNN on GoPro and RealBlur at unchanged parameters.",
        "GoPro +0.33, +0.35, +0.76 dB; RealBlur +0.10, +1.05, +0.28 dB",
    ),
    Claim(
        "C4.2",
        "xydeblur",
        "Table 2",
        "Rotated shared decoders cost about half as much again in multiply-adds and in memory.",
        "GMACs x1.53, x1.59, x1.47; memory x1.50, x1.49, x1.49",
        kind="exact",
    ),
    Claim(
        "C4.3",
        "xydeblur",
        "Table 2",
        "At comparable cost, widening or deepening the baseline helps less than rotated shared decoders.",
        "GoPro, wider +0.12, -0.05, +0.12 dB; deeper +0.24, +0.20, -0.25 dB",
    ),
    Claim(
        "C4.4",
        "xydeblur",
        "Figure 3",
        "Separate decoders shift colours in their partial results; rotated shared decoders do not.",
        "shown in pictures",
    ),
    Claim(
        "C4.5",
        "xydeblur",
        "Signal-power figure",
        "Each decoder responds to its own direction: one to blur along x, the other to blur along y.",
        "plotted, no numbers",
    ),
    Claim("C4.6", "xydeblur", "Figure 5", "Two decoders are enough.", "plotted, no numbers"),
)

CHECKS: tuple[Claim, ...] = (
    Claim(
        "A1.1",
        "selfdeblur",
        "Table 3",
        "Every error ratio can be what it is defined as, a mean of ratios of summed squared differences.",
        "from 1.1968 to 6.0864; such a mean is never below the ratio that the mean PSNR gives",
        kind="exact",
    ),
    Claim(
        "A1.2",
        "selfdeblur",
        "Tables 2 and 3",
        "Levin's blurry pictures score above Double-DIP's row and below SRN's.",
        "21.51 dB and 23.43 dB",
        kind="exact",
    ),
    Claim(
        "A1.3",
        "selfdeblur",
        "Evaluation scripts",
        "A search within 10 px finds a picture that was moved by 8 px; one within 5 px, as before 2020, does not.",
        "the range of the search is not stated",
        kind="exact",
    ),
    Claim(
        "A1.4",
        "selfdeblur",
        "Evaluation scripts",
        "Up to 383 px SSIM is one score; from 384 px on it is two, with and without automatic downsampling.",
        "which one is not stated",
        kind="exact",
    ),
    Claim(
        "A1.5",
        "selfdeblur",
        "Released code",
        "The blurry pictures of a kernel agree on which way round it is; the code writes it rotated by half a turn.",
        "not stated",
        kind="exact",
    ),
    Claim(
        "A1.6",
        "selfdeblur",
        "Released code",
        "Parameters and multiply-adds of the modules are those of a sum by hand over the code's layers.",
        "not stated",
        kind="exact",
    ),
    Claim(
        "A3.1",
        "refinement",
        "Section 3",
        "The mean of n samples of the posterior has 1 + 1/n times the least squared error.",
        "not stated; single samples have 1.57 dB more error than averages",
        kind="exact",
    ),
    Claim(
        "A4.1",
        "xydeblur",
        "Section 3",
        "The restored picture is the blurry one plus all residuals; rotating weights is rotating features; the second "
        "decoder has no parameters of its own.",
        "4.92 million parameters with one decoder and with two",
        kind="exact",
    ),
)
"""No claims of the papers: identities, and what the papers' numbers and scripts say when they are held together."""


def get(claim_id: str) -> Claim:
    """The claim or the check with this id; KeyError otherwise."""
    return {claim.id: claim for claim in (*CLAIMS, *CHECKS)}[claim_id]
