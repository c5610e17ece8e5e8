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

from deblur_core.errors import DeblurError
from deblur_core.files import write_atomically
from deblur_core.report import board, claims_page
from deblur_core.report.page import page
from deblur_core.runs import Job, Result, Store
from deblur_core.studies import PROFILES, REPOSITORY, Figure, Study, claims, jobs, recorded
from deblur_core.studies.claims import PAPERS, VERDICTS
from deblur_core.studies.study import DECIDING

INTRODUCTION = """# Report

What four deblurring papers state, what this code measured, and whether it holds. `deblur figures` writes this page
from stored results, nothing by hand. Pages (`.html`) are for a browser: open `index.html` in a copy of this folder.
"""

PROFILES_IN_WORDS = """`laptop` is a reduced run on built-in pictures that every machine repeats. `overnight` and
`paper` are recorded runs, on the papers' own benchmarks where these can be had, else on photographs that are blurred
here.
"""

DECIDES_NOTHING = ", a reduced run, which decides nothing"


def build(output: Path, profile: str, store: Store, studies: Sequence[Study]) -> list[board.Row]:
    """Write the report on the store's results at `profile` and the recorded ones; returns its board."""
    found = board.gather(studies, store, only=profile)
    rows = board.board(studies, found)
    sections, told = [], set[str]()
    for study in studies:
        intro = f"{PAPERS[study.paper]}.{_notebook_links(study, output)} · [claims](#board)\n"
        not_run = f"Not run yet: `deblur figures --only {study.name}` does.\n"
        shown = _sections(study, found, rows, told, output) or [not_run]
        sections += [f'<a id="{study.name}"></a>\n', f"## {study.title}\n", intro, *shown]
    parts = [
        INTRODUCTION,
        f"{board.summary({row.claim.id: row.verdict for row in rows})}.\n",
        claims_page.overview(rows).to_markdown(),
        claims_page.decided(rows, told),
        _contents(studies),
        '<a id="board"></a>\n',
        "## Claims\n",
        claims_page.HOW_TO_READ,
        PROFILES_IN_WORDS,
        *(table.to_markdown() for table in claims_page.tables(rows, told)),
        *sections,
    ]
    text = "\n".join(parts)
    as_json = json.dumps([row.to_json() for row in rows], indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(output / "README.md", text.encode())
    write_atomically(output / "index.html", _html(text).encode())
    write_atomically(output / "claims.json", f"{as_json}\n".encode())
    check_links(output)
    return rows


def _contents(studies: Sequence[Study]) -> str:
    """Links to the studies, by paper."""
    lines = ["**In this report**\n", "- [The claims, one by one](#board)"]
    for paper, title in PAPERS.items():
        links = [f"  - [{study.title}](#{study.name})" for study in studies if study.paper == paper]
        lines += [f"- {title}", *links] if links else []
    return "\n".join(lines) + "\n"


def _sections(study: Study, found: board.Found, rows: Sequence[board.Row], told: set[str], output: Path) -> list[str]:
    """The largest run first, for it decides the claims. Of smaller ones only what is new stands open; the rest, which
    says the same of less, is folded away. Claims get into `told` as they are told in full."""
    shutil.rmtree(output / "figures" / study.name, ignore_errors=True)
    judged = {row.claim.id: row for row in rows}
    parts: list[str] = []
    seen = {"claims again"}
    for profile, results in _runs_to_tell(study, found):
        evidence = board.evidence_of(study, results)
        first = [claims_page.full(judged[name], anchored=True) for name in evidence if name not in told]
        again = [board.Row(claims.get(name), found, profile) for name, found in evidence.items() if name in told]
        told.update(evidence)
        blocks = {f"table {table.title}": table.to_markdown() for table in study.tables(results)}
        blocks[f"claims at {profile}"] = _listed("Claims", first)
        blocks["claims again"] = _listed("Claims", [claims_page.full(row, anchored=False) for row in again])
        for figure in study.figures(results):
            blocks[f"figure {figure.name}"] = _figure(figure, study, profile, output)
        if not any(blocks.values()):  # what there is of it shows nothing yet
            continue
        repeated = [block for name, block in blocks.items() if block and name in seen]
        parts += [f"### Profile {profile}\n", f"{conditions(results, len(jobs(study, profile)))}\n"]
        parts += [block for name, block in blocks.items() if block and name not in seen]
        parts += _folded(f"As above, at {profile}{'' if profile in DECIDING else DECIDES_NOTHING}", repeated)
        seen.update(blocks)
    return parts


def _runs_to_tell(study: Study, found: board.Found) -> list[tuple[str, list[Result]]]:
    """Profiles and results, the largest first. A study may be the same at several sizes, or what is there of one size
    a part of another: told once."""
    ran = {profile: found.get((study.name, profile), []) for profile in PROFILES}
    keys = {profile: frozenset(result.job.key for result in results) for profile, results in ran.items()}
    chosen = []
    for i, profile in reversed(list(enumerate(PROFILES))):
        complete = len(ran[profile]) >= len(jobs(study, profile))
        others = PROFILES[:i] if complete else (*PROFILES[:i], *PROFILES[i + 1 :])
        if ran[profile] and not any(keys[profile] <= keys[other] for other in others):
            chosen.append((profile, ran[profile]))
    return chosen


def _figure(figure: Figure, study: Study, profile: str, output: Path) -> str:
    path = output / "figures" / study.name / f"{figure.name}.{profile}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.save(path)
    return f"![{figure.name}]({path.relative_to(output).as_posix()})\n\n*{figure.caption}*\n"


def _folded(title: str, blocks: Sequence[str]) -> list[str]:
    return [f"<details><summary>{title}</summary>\n", *blocks, "</details>\n"] if blocks else []


def _listed(title: str, items: Sequence[str]) -> str:
    return "\n".join([f"**{title}**", "", *items, ""]) if items else ""


def conditions(results: Sequence[Result], wanted: int) -> str:
    """Under what conditions results were made: data, seeds, hardware, and how much of the run is there."""
    settings = [result.job.settings for result in results]
    complete = len(results) == wanted
    parts = [f"{wanted} jobs" if complete else f"unfinished: {len(results)} of {wanted} jobs"]
    for dataset in sorted({s["dataset"] for s in settings if "dataset" in s}):
        pairs = {s.get("pair") for s in settings if s.get("dataset") == dataset}
        parts.append(f"{len(pairs)} pairs of {dataset}")
    runs = [s for s in settings if "recipe" in s or "settings" in s] or settings  # where a seed is another run
    pairs_of: dict[int, set[Any]] = {}
    for s in runs:
        if "seed" in s:
            pairs_of.setdefault(s["seed"], set()).add((s.get("dataset"), s.get("pair")))
    if pairs_of:
        uneven = len({len(pairs) for pairs in pairs_of.values()}) > 1
        said = (f"{seed} ({len(pairs)} pairs)" if uneven else str(seed) for seed, pairs in sorted(pairs_of.items()))
        parts.append(f"seeds {', '.join(said)}")
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
        spoken = rf'<strong>\g<1><span class="{name.replace(" ", "-")}">{name}</span></strong>'
        body = re.sub(rf"<strong>([\w.]+ )?{name}</strong>", spoken, body)
    return page("Deblurring papers: report", body)


def check_links(output: Path) -> None:
    """Raises DeblurError for a link in README.md, index.html or a notebook's page to a file that is not there."""
    pages = sorted((output / "notebooks").glob("*.html"))
    if len(pages) < len(list((REPOSITORY / "notebooks").glob("*.ipynb"))):
        pages = []  # a report on some studies: its notebooks lead to others that were not asked for
    for page_path in (output / "README.md", output / "index.html", *pages):
        pattern = r"\]\(([^)#]+)\)" if page_path.suffix == ".md" else r'(?:href|src)="([^"#]+)"'
        text = page_path.read_text(encoding="utf-8")
        if lost := set(re.findall(r"\]\(#([^)]+)\)", text)) - set(re.findall(r'<a id="([^"]+)"></a>', text)):
            raise DeblurError(f"{page_path} links to #{min(lost)}, which is not there: deblur figures mends it.")
        for link in re.findall(pattern, text):
            if "://" not in link and not link.startswith("data:") and not (page_path.parent / link).exists():
                raise DeblurError(f"{page_path} links to {link}, which is not there: deblur figures mends it.")
