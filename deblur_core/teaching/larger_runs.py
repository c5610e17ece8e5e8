"""What the profiles that no student waits for found: the recorded runs of a study, shown in its notebook."""

from __future__ import annotations

from IPython.display import Markdown, display

from deblur_core import studies
from deblur_core.report import board
from deblur_core.report.build import conditions
from deblur_core.runs import Result
from deblur_core.studies import claims
from deblur_core.studies.study import DECIDING, Study

HOW_TO_READ = """For each claim: a verdict, what the paper says, and what was found.
In parentheses what our own, smaller setting says: as stated, otherwise, or open (zero lies in an interval).
Differences are taken so that positive supports the paper."""


def show(study: Study, figures: bool = True) -> None:
    """Tables, with `figures` also figures, and verdicts with 95 % intervals, of the recorded runs that the board
    counts; a line for the others."""
    counted = board.gather([study], None)
    for profile in DECIDING:
        results, wanted = counted[study.name, profile], len(studies.jobs(study, profile))
        if not results:
            recorded = len(studies.collect(study, profile))
            print(f"{profile}: {f'so far {recorded} of {wanted} jobs are' if recorded else 'nothing is'} recorded.")
            continue
        print(f"{profile}: {conditions(results, wanted)}")
        tables = [table for table in study.tables(results) if table.rows]  # an unfinished run may leave some empty
        display(*tables, *(study.figures(results) if figures else ()))
        verdicts(study, results, profile)


def verdicts(study: Study, results: list[Result], profile: str) -> None:
    """For each claim that these results speak of what the paper states, what was found, and the verdict, judged as the
    board judges it. First how to read that."""
    print(HOW_TO_READ)
    for claim, evidence in study.evidence(results).items():
        row = board.Row(claims.get(claim), evidence, profile)
        setting = f" ({row.setting} in our setting)" if row.setting else ""
        print(
            f"{claim} {row.verdict}{setting}",
            f"the paper: {row.claim.statement} {row.claim.paper_values}",
            f"here: {row.ours}",
            *board.descriptions(evidence),
            sep="\n     ",
        )


def answer(*sentences: str) -> None:
    """The sentences as one paragraph, Markdown in them rendered; an empty one says nothing."""
    display(Markdown(" ".join(filter(None, sentences))))
