"""What a study is: the jobs behind one table or figure of a paper, and how their results are shown."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import matplotlib.figure

    from deblur_core.metrics import Interval
    from deblur_core.runs import Job, Result
    from deblur_core.studies.claims import Comparison, Evidence

PROFILES = ("smoke", "laptop", "overnight", "paper")
"""From seconds to the paper's own size; of several runs that speak for a claim, the last one counts."""

DECIDING = ("overnight", "paper")
"""The profiles large enough to decide a measured claim; a smaller run is shown, and leaves it inconclusive."""


NOT_AVAILABLE = "not available"
"""What a cell says of a measure that needs the weights of others, where these are missing."""


@dataclass(frozen=True)
class Table:
    """Cells are shown with str(), None as a dash: the study decides on digits.

    A table must read the same wherever its jobs are repeated: no wall-clock seconds.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"Table '{self.title}': every row needs {len(self.columns)} cells.")

    def _cells(self) -> list[list[str]]:
        return [["–" if cell is None else str(cell) for cell in row] for row in (self.columns, *self.rows)]

    def to_markdown(self) -> str:
        cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in self._cells()]
        head, *body = (f"| {' | '.join(row)} |" for row in cells)
        lines = [f"**{self.title}**", "", head, "|---" * len(self.columns) + "|", *body]
        return "\n".join([*lines, "", self.caption] if self.caption else lines) + "\n"

    def to_html(self) -> str:
        head, *body = [[html.escape(cell) for cell in row] for row in self._cells()]
        lines = ["".join(f"<td>{cell}</td>" for cell in row) for row in body]
        stop = "" if self.title.endswith("?") else "."
        return "\n".join(
            [
                "<table>",
                f"<caption><b>{html.escape(self.title)}{stop}</b> {html.escape(self.caption)}</caption>",
                f"<thead><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr></thead>",
                "<tbody>",
                *(f"<tr>{line}</tr>" for line in lines),
                "</tbody>",
                "</table>",
            ]
        )

    _repr_html_ = to_html

    def __str__(self) -> str:
        """Aligned columns, for terminals and for notebook cells whose text is checked."""
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
        ]
        head = [self.title] if self.title else []
        return "\n".join([*head, lines[0], "-" * len(lines[0]), *lines[1:]])


@dataclass(frozen=True)
class Figure:
    """A matplotlib figure with a file name and a caption that says what to look at."""

    name: str
    figure: matplotlib.figure.Figure
    caption: str

    def save(self, path: Path) -> None:
        """Write a PNG whose bytes depend on the picture alone."""
        self.figure.savefig(path, format="png", metadata={"Software": None})

    def _repr_html_(self) -> str:
        png = io.BytesIO()
        self.figure.savefig(png, format="png", metadata={"Software": None})
        source = base64.b64encode(png.getvalue()).decode()
        caption = html.escape(self.caption)
        image = f'<img src="data:image/png;base64,{source}" alt="{caption}">'
        return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


@dataclass(frozen=True)
class Study:
    """One table or ablation of a paper.

    profiles maps every name of PROFILES to a frozen dataclass; jobs(profile) are independent work.
    tables, figures and evidence read results alone. They accept any subset of the jobs, for a run may be
    unfinished; figures leave out pictures where results carry no arrays, as recorded ones do.
    claims are the ids that evidence speaks for; notebook is the stem of the notebook that tells the story.
    """

    name: str
    title: str
    paper: str
    notebook: str
    profiles: Mapping[str, Any]
    jobs: Callable[[Any], list[Job]]
    tables: Callable[[list[Result]], list[Table]]
    figures: Callable[[list[Result]], list[Figure]]
    evidence: Callable[[list[Result]], dict[str, Evidence]] = lambda results: {}
    claims: Sequence[str] = ()

    def __post_init__(self) -> None:
        if set(self.profiles) != set(PROFILES):
            raise ValueError(f"Study '{self.name}' needs the profiles {', '.join(PROFILES)}.")


def with_interval(found: Comparison | Interval, digits: int = 2) -> str:
    """For example: +0.31 [+0.19, +0.43]; the effect alone where there is no interval."""
    shown = f" [{found.low:+.{digits}f}, {found.high:+.{digits}f}]" if math.isfinite(found.low) else ""
    return f"{found.effect:+.{digits}f}{shown}"


def rounded(value: float | None, digits: int) -> str:
    """A number as a cell; None is what could not be measured."""
    return NOT_AVAILABLE if value is None else f"{value:.{digits}f}"


def of_task(results: Sequence[Result], function: Callable, **settings: Any) -> list[Result]:
    """The results of one task with these settings."""
    name = f"{function.__module__}:{function.__qualname__}"
    return [
        result
        for result in results
        if result.job.task == name and settings.items() <= result.job.settings.items()
    ]


def grouped(results: Iterable[Result], key: Callable[[Result], Hashable]) -> dict[Any, list[Result]]:
    """The results by key(result), in their order and in that of the first of each group."""
    found: dict[Any, list[Result]] = {}
    for result in results:
        found.setdefault(key(result), []).append(result)
    return found
