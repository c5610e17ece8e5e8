"""The claims board as it is read: counts first, a short line a claim, and each claim in full beside its study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from deblur_core.report.board import SETTINGS, Row, descriptions
from deblur_core.studies import Table
from deblur_core.studies.claims import CHECKS, PAPERS, VERDICTS

HOW_TO_READ = """A measured claim is an effect with a 95 % interval, positive on the paper's side. Where several things
are chance, as the 4 pictures and 8 kernels of 32 pairs, the widest of the intervals over each of them counts, and n is
the number of these.

- *reproduced*: every interval is clear of zero on the paper's side; *contradicted*: one is clear on the other side, by
  more where there are several of which each could be so by chance (Bonferroni).
- *exact*: a count, an identity or arithmetic on the paper's own numbers, and it holds.
- *inconclusive*: zero lies within an interval, or the run cannot decide, whatever it finds: it is the reduced `laptop`
  run, or its method, data or machine are others than the paper's where the claim depends on them.
- **in our setting** says of an inconclusive claim what our intervals show by themselves, though they decide nothing
  about the paper's setting: *as stated*, *otherwise*, or *open* where zero lies within one.
"""

SHORT = 90
"""Characters of a cell on the board; all of it stands beside the study."""


def overview(rows: Sequence[Row]) -> Table:
    """Verdicts counted, a line a paper."""
    lines = []
    for paper, title in PAPERS.items():
        of_paper = [row for row in rows if row.claim.paper == paper]
        claims = [row for row in of_paper if not is_check(row)]
        checks = [row.verdict for row in of_paper if is_check(row)]
        verdicts = Counter(row.verdict for row in claims)
        settings = Counter(row.setting for row in claims if row.setting)
        leaning = ", ".join(f"{settings[name]} {name}" for name in SETTINGS if settings[name])
        inconclusive = f"{verdicts['inconclusive']}: {leaning}" if leaning else None
        counts = (inconclusive if name == "inconclusive" else verdicts[name] or None for name in VERDICTS)
        held = f"{checks.count('exact')} of {len(checks)}" if checks else None
        lines.append((title, len(claims), *counts, held))
    return Table("Verdicts by paper", ("paper", "claims", *VERDICTS, "checks that hold"), lines)


def decided(rows: Iterable[Row], told: Collection[str]) -> str:
    """As a list the claims that a run has decided, and the checks that do not hold."""
    found = [row for row in rows if row.verdict not in ("inconclusive", "not run")]
    chosen = [row for row in found if not is_check(row) or row.verdict == "contradicted"]
    lines = [f"- {link(row, told)} **{row.verdict}**: {row.claim.statement}" for row in chosen]
    return "\n".join(["**Decided so far**", "", *(lines or ["- nothing yet"])]) + "\n"


def is_check(row: Row) -> bool:
    return row.claim in CHECKS


def tables(rows: Iterable[Row], told: Collection[str] = ()) -> list[Table]:
    """The board, one table a paper, in short cells. The ids in `told` lead to what `full` says of them."""
    rows = list(rows)
    columns = ("claim", "the paper states", "paper", "ours", "in our setting", "verdict")
    return [
        Table(title, columns, [
            (link(row, told), row.claim.statement, short(row.claim.paper_values),
             short(row.evidence.ours if row.evidence else row.reason) or None, row.setting or None, row.verdict)
            for row in rows if row.claim.paper == paper])
        for paper, title in PAPERS.items()
    ]  # fmt: skip


def full(row: Row, anchored: bool) -> str:
    """A claim in full, as an item of a list: statement, the paper's values, ours, intervals, what stays undecided.

    Not `anchored`, it was told before, and only what these results say is repeated.
    """
    claim, evidence = row.claim, row.evidence
    assert evidence is not None
    head = f"**{claim.id} {row.verdict}**" + (f" ({row.setting} in our setting)" if row.setting else "")
    said = [f"paper: {claim.paper_values}"] if anchored else []
    said += [f"ours: {evidence.ours}"] if evidence.ours else []
    said += descriptions(evidence)
    said += [f"undecided here: {evidence.reduced}"] if evidence.reduced else []
    first = f'- <a id="{anchor(row)}"></a>{head}: {claim.statement} ({claim.where})' if anchored else f"- {head}"
    return "\n".join([first, *(f"  - {line}" for line in said)])


def link(row: Row, told: Collection[str]) -> str:
    return f"[{row.claim.id}](#{anchor(row)})" if row.claim.id in told else row.claim.id


def anchor(row: Row) -> str:
    return row.claim.id.lower().replace(".", "-")


def short(text: str, limit: int = SHORT) -> str:
    """`text` up to the last clause that fits, else the last comma, else the last word."""
    if len(text) <= limit:
        return text
    for mark, least in (("; ", limit // 3), (", ", limit // 3), (" ", 0)):
        if (end := text.rfind(mark, 0, limit)) > least:
            break
    return f"{text[:end]} …"
