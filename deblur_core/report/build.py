"""The report: what every study found, as README.md for a code host and index.html for a browser.

<output>/README.md, index.html, claims.json     figures/<study>/<figure>.png     notebooks/<notebook>.html

Everything here is drawn from stored results. The same results give the same bytes: a diff shows what moved.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deblur_core.data import write_atomically
from deblur_core.errors import DeblurError
from deblur_core.report import board
from deblur_core.report.page import page
from deblur_core.runs import Job, Result, Store
from deblur_core.studies import PROFILES, REPOSITORY, Study, Table, claims, jobs, recorded
from deblur_core.studies.claims import PAPERS, VERDICTS
from deblur_core.studies.study import DECIDING

INTRODUCTION = """# Report

What four deblurring papers state, what this code measured, and whether it holds. `deblur figures` writes this
page from stored results, nothing by hand. `laptop` is a reduced run on built-in pictures that every machine
repeats; `overnight` and `paper` are recorded runs, on the papers' own benchmarks where these can be had, else on
photographs that are blurred here. A verdict is *reproduced* when every 95 % interval is clear of zero on the
paper's side, *contradicted* when one is clear on the other side and *inconclusive* otherwise. Inconclusive is
also what only a `laptop` run has measured, and what a run cannot decide whatever it finds, because its method,
data or machine are others than the paper's where the claim depends on them: then "undecided here" says why.
*Exact* claims are counts and identities that hold.
"""


def build(output: Path, profile: str, store: Store, studies: Sequence[Study]) -> list[board.Row]:
    """Write the report on the store's results at `profile` and the recorded ones; returns its board."""
    found = board.gather(studies, store, only=profile)
    rows = board.board(studies, found)
    parts = [
        INTRODUCTION,
        "## Claims\n",
        f"{board.summary({row.claim.id: row.verdict for row in rows})}.\n",
        *map(Table.to_markdown, board.tables(rows)),
    ]
    for study in studies:
        parts += [f"## {study.title}\n", f"{PAPERS[study.paper]}.{_notebook_links(study, output)}\n"]
        not_run = f"Not run yet: `deblur figures --only {study.name}` does.\n"
        parts += _sections(study, found, output) or [not_run]
    text = "\n".join(parts)
    as_json = json.dumps([row.to_json() for row in rows], indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(output / "README.md", text.encode())
    write_atomically(output / "index.html", _html(text).encode())
    write_atomically(output / "claims.json", f"{as_json}\n".encode())
    check_links(output)
    return rows


def _sections(study: Study, found: board.Found, output: Path) -> list[str]:
    """The largest run first, for it decides the claims."""
    figures = output / "figures" / study.name
    shutil.rmtree(figures, ignore_errors=True)
    parts = []
    ran = {profile: found.get((study.name, profile), []) for profile in PROFILES}
    keys = {profile: frozenset(result.job.key for result in results) for profile, results in ran.items()}
    for i, profile in reversed(list(enumerate(PROFILES))):
        results = ran[profile]
        # A study may be the same at several sizes, or what is there of one size a part of another: told once.
        wanted = len(jobs(study, profile))
        others = PROFILES[:i] + (PROFILES[i + 1 :] if len(results) < wanted else ())
        if not results or any(keys[profile] <= keys[other] for other in others):
            continue
        parts += [f"### Profile {profile}\n", f"{conditions(results, wanted)}\n"]
        parts += [table.to_markdown() for table in study.tables(results)]
        if evidence := board.evidence_of(study, results):
            parts.append(_evidence_table(evidence, profile).to_markdown())
        for figure in study.figures(results):
            figures.mkdir(parents=True, exist_ok=True)
            path = figures / f"{figure.name}.{profile}.png"
            figure.save(path)
            parts.append(f"![{figure.name}]({path.relative_to(output).as_posix()})\n\n*{figure.caption}*\n")
    return parts


def conditions(results: Sequence[Result], wanted: int) -> str:
    """Under what conditions results were made: data, seeds, hardware, and how much of the run is there."""
    settings = [result.job.settings for result in results]
    complete = len(results) == wanted
    parts = [f"{wanted} jobs" if complete else f"unfinished: {len(results)} of {wanted} jobs"]
    for dataset in sorted({s["dataset"] for s in settings if "dataset" in s}):
        pairs = {s.get("pair") for s in settings if s.get("dataset") == dataset}
        parts.append(f"{len(pairs)} pairs of {dataset}")
    runs = [s for s in settings if "recipe" in s or "settings" in s] or settings  # where a seed is another run
    if seeds := sorted({s["seed"] for s in runs if "seed" in s}):
        parts.append(f"seeds {', '.join(map(str, seeds))}")
    made = [result.provenance for result in (*results, *_built_on(results))]
    parts += sorted(set(map(_hardware, made)))
    parts.append("PyTorch " + ", ".join(sorted({provenance["torch"] for provenance in made})))
    return "; ".join(parts) + "."


def _built_on(results: Sequence[Result]) -> list[Result]:
    """Recorded results of other jobs that these ones started from."""
    bases = [of for result in results for of in _as_list(result.job.settings.get("of"))]
    known = recorded() if bases else {}
    return [known[key] for key in {Job.from_json(of).key for of in bases} if key in known]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _hardware(provenance: dict) -> str:
    return provenance["gpu"] or f"{provenance['cores']} cores of {provenance['cpu']}"


def _evidence_table(evidence: dict, profile: str) -> Table:
    judged = [board.Row(claims.get(claim_id), found, profile) for claim_id, found in evidence.items()]
    rows = [(row.claim.id, row.ours or None, row.interval or None, row.verdict) for row in judged]
    title = f"Claims at {profile}" + ("" if profile in DECIDING else ", a reduced run, which decides nothing")
    return Table(title, ("claim", "ours", "95 % interval", "verdict"), rows)


def _notebook_links(study: Study, output: Path) -> str:
    source = REPOSITORY / "notebooks" / f"{study.notebook}.ipynb"
    shown = output / "notebooks" / f"{study.notebook}.html"
    links = {source: source.name, shown: "as a page"}
    return "".join(
        f" · [{name}]({Path(os.path.relpath(path, output)).as_posix()})"
        for path, name in links.items()
        if path.exists()
    )


def _html(text: str) -> str:
    from nbconvert.filters import markdown2html

    body = markdown2html(text)
    for name in VERDICTS:
        cell = f'<td class="verdict {name.replace(" ", "-")}">{name}</td>'
        body = body.replace(f"<td>{name}</td>", cell)
    return page("Deblurring papers: report", body)


def check_links(output: Path) -> None:
    """Raises DeblurError for a link in README.md, index.html or a notebook's page to a file that is not there."""
    pages = sorted((output / "notebooks").glob("*.html"))
    if len(pages) < len(list((REPOSITORY / "notebooks").glob("*.ipynb"))):
        pages = []  # a report on some studies: its notebooks lead to others that were not asked for
    for page_path in (output / "README.md", output / "index.html", *pages):
        pattern = r"\]\(([^)#]+)\)" if page_path.suffix == ".md" else r'(?:href|src)="([^"#]+)"'
        for link in re.findall(pattern, page_path.read_text(encoding="utf-8")):
            if "://" not in link and not link.startswith("data:") and not (page_path.parent / link).exists():
                raise DeblurError(f"{page_path} links to {link}, which is not there: deblur figures mends it.")
