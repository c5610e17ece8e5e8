"""The claims board: for every claim of the four papers the best evidence at hand, and its verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from deblur_core.errors import DeblurError
from deblur_core.runs import Result, Store
from deblur_core.studies import PROFILES, Study, collect, jobs, recording
from deblur_core.studies.claims import CHECKS, CLAIMS, VERDICTS, Claim, Comparison, Evidence, verdict
from deblur_core.studies.study import DECIDING

Found = Mapping[tuple[str, str], list[Result]]
"""Results by (name of the study, profile); missing or empty where nothing has run."""

_IN_OUR_SETTING = {
    "reproduced": "as stated",
    "exact": "as stated",
    "contradicted": "otherwise",
    "inconclusive": "open",
}
SETTINGS = ("as stated", "otherwise", "open")


@dataclass(frozen=True)
class Row:
    """One line of the board. Without evidence, `reason` says why."""

    claim: Claim
    evidence: Evidence | None = None
    profile: str = ""
    reason: str = ""

    @property
    def verdict(self) -> str:
        if self.evidence and self.evidence.comparisons and self.profile not in DECIDING:
            return "inconclusive"
        return verdict(self.evidence)

    @property
    def setting(self) -> str:
        """Of an inconclusive claim: what its evidence shows in the setting that ran, though it decides nothing."""
        return setting(self.evidence) if self.evidence and self.verdict == "inconclusive" else ""

    @property
    def ours(self) -> str:
        return self.evidence.in_words if self.evidence else self.reason

    @property
    def interval(self) -> str:
        return intervals(self.evidence) if self.evidence else ""

    def to_json(self) -> dict:
        comparisons = self.evidence.comparisons if self.evidence else ()
        return {
            "id": self.claim.id,
            "paper": self.claim.paper,
            "where": self.claim.where,
            "kind": self.claim.kind,
            "statement": self.claim.statement,
            "paper_values": self.claim.paper_values,
            "ours": self.ours,
            "profile": self.profile or None,
            "verdict": self.verdict,
            "setting": self.setting or None,
            "interval": [
                {
                    "name": c.name,
                    "effect": _finite(c.effect),
                    "low": _finite(c.low),
                    "high": _finite(c.high),
                    "n": c.n,
                    "of": c.of,
                    "unit": c.unit,
                }
                for c in comparisons
            ],
        }


def gather(studies: Iterable[Study], store: Store | None, only: str | None = None) -> Found:
    """What has been run. With `only`, the store speaks for that profile and recorded results for the others.

    A report made so depends on nothing else that lies in the store. A run counts once half of its jobs are there: what
    little of it another run happened to share would decide nothing. Where no deciding run has come so far, what was
    recorded of one counts, however little.
    """
    found = {}
    for study in studies:
        there = {
            profile: collect(study, profile, store if only in (None, profile) else None) for profile in study.profiles
        }
        enough = {profile for profile, results in there.items() if 2 * len(results) >= len(jobs(study, profile))}
        if not enough & set(DECIDING):
            enough |= {profile for profile in DECIDING if recording(study, profile).exists()}
        found |= {(study.name, profile): results if profile in enough else [] for profile, results in there.items()}
    return found


def board(studies: Iterable[Study], found: Found) -> list[Row]:
    """A row for every claim, and after them one for every check. Of several profiles the largest that has results
    counts, never a mixture."""
    rows = {claim.id: Row(claim, reason=claim.not_run) for claim in (*CLAIMS, *CHECKS)}
    studies = list(studies)
    for study in studies:
        ran = found.get((study.name, "laptop"))  # and says nothing of what it leaves to larger runs
        command = f"deblur figures {'--profile overnight ' if ran else ''}--only {study.name}"
        for claim_id in study.claims:
            rows[claim_id] = Row(rows[claim_id].claim, reason=f"not run yet: {command}")
    for profile in PROFILES:
        judged: dict[str, str] = {}
        for study in studies:
            for claim_id, evidence in evidence_of(study, found.get((study.name, profile), [])).items():
                if claim_id in judged:
                    raise ValueError(f"{claim_id} is judged by two studies, {judged[claim_id]} and {study.name}.")
                judged[claim_id] = study.name
                rows[claim_id] = Row(rows[claim_id].claim, evidence, profile)
    return list(rows.values())


def evidence_of(study: Study, results: list[Result]) -> dict[str, Evidence]:
    """The study's evidence, checked against the catalogue: known claims, each answered in its own kind."""
    try:
        evidence = study.evidence(results) if results else {}
    except DeblurError as error:
        raise DeblurError(f"Study {study.name} finds no evidence in its results: {error}") from error
    kinds = {claim.id: claim.kind for claim in (*CLAIMS, *CHECKS)}
    for claim_id, found in evidence.items():
        kind = "measured" if found.holds is None else "exact"
        if kinds.get(claim_id) != kind:
            raise ValueError(
                f"Study {study.name} gives {kind} evidence for {claim_id}, "
                f"which is {kinds.get(claim_id, 'not in the catalogue')}."
            )
    return evidence


def setting(evidence: Evidence) -> str:
    """One of SETTINGS: on which side of zero the evidence lies, whether or not it decides the claim."""
    return _IN_OUR_SETTING[verdict(replace(evidence, reduced=""))]


def intervals(evidence: Evidence) -> str:
    return "; ".join(descriptions(evidence))


def descriptions(evidence: Evidence | None) -> list[str]:
    """`describe` of each comparison. One that is clear of zero on the other side, but not once it is widened for being
    one of several, says so, for it does not contradict the claim."""
    comparisons = evidence.comparisons if evidence else ()

    def told(comparison: Comparison) -> str:
        clear = comparison.high >= 0 or comparison.contradicts(len(comparisons))
        return describe(comparison) + ("" if clear else f", not clear of zero as one of {len(comparisons)}")

    return list(map(told, comparisons))


def describe(comparison: Comparison) -> str:
    """For example: PSNR: +2.31 dB [1.20, 3.42], n = 32 pairs."""
    effect, low, high = (_digits(value) for value in (comparison.effect, comparison.low, comparison.high))
    sign = "+" if comparison.effect > 0 else ""
    unit = f" {comparison.unit}" if comparison.unit else ""
    if math.isnan(comparison.effect):
        return f"{comparison.name}: not measured"
    if not math.isfinite(comparison.low):
        return f"{comparison.name}: {sign}{effect}{unit}, without an interval, n = {comparison.n} {comparison.of}"
    return f"{comparison.name}: {sign}{effect}{unit} [{low}, {high}], n = {comparison.n} {comparison.of}"


def summary(verdicts: Mapping[str, str]) -> str:
    """Of verdicts by claim. For example: 35 claims: 2 reproduced, 33 not run; 8 checks besides: 8 not run."""
    checks = {check.id for check in CHECKS}
    parts = []
    kinds = ("claim", "", verdicts.keys() - checks), ("check", " besides", verdicts.keys() & checks)
    for noun, rest, chosen in kinds:
        counts = Counter(verdicts[claim] for claim in chosen)
        said = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if counts[name])
        parts += [f"{len(chosen)} {noun}{'s' * (len(chosen) != 1)}{rest}: {said}"] if chosen else []
    return "; ".join(parts)


def _digits(value: float) -> str:
    """Two digits after the point, three significant ones where that says more."""
    return f"{value:.2f}" if abs(value) >= 0.1 or value == 0 or not math.isfinite(value) else f"{value:.3g}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
