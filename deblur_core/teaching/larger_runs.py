"""What the profiles that no student waits for found: the recorded runs of a study, shown in its notebook."""

from __future__ import annotations

from IPython.display import display

from deblur_core import studies
from deblur_core.report.board import Row
from deblur_core.report.build import conditions
from deblur_core.runs import Result
from deblur_core.studies import claims
from deblur_core.studies.study import Study


def show(study: Study, figures: bool = True) -> None:
    """Tables, with `figures` also figures, and verdicts with 95 % intervals, of all recorded runs that are larger than
    `laptop`; a line where none are. An unfinished run, which the board may leave out, is called one."""
    for profile in ("overnight", "paper"):
        results = studies.collect(study, profile)
        if not results:
            print(f"{profile}: nothing is recorded yet.")
            continue
        print(f"{profile}: {conditions(results, len(studies.jobs(study, profile)))}")
        tables = [table for table in study.tables(results) if table.rows]  # an unfinished run may leave some empty
        display(*tables, *(study.figures(results) if figures else ()))
        verdicts(study, results, profile)


def verdicts(study: Study, results: list[Result], profile: str) -> None:
    """A line and its 95 % intervals for each claim that these results speak of, judged as the board judges them."""
    for claim, evidence in study.evidence(results).items():
        row = Row(claims.get(claim), evidence, profile)
        print(f"{claim} {row.verdict}. {row.ours}", *filter(None, [row.interval]), sep="\n     ")
