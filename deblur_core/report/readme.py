"""Numbers in the project's README.md: each stands between markers and is read from a results file."""

from __future__ import annotations

import json
import re
from pathlib import Path

from deblur_core.data import write_atomically
from deblur_core.errors import DeblurError
from deblur_core.report.board import summary

_MARKED = re.compile(r"(<!-- (?P<name>[\w.-]+) -->)(.*?)(<!-- / -->)", re.DOTALL)


def facts(reports: Path) -> dict[str, str]:
    """What README.md may say: the board in one line, the interval of each claim that has one, minutes."""
    rows = json.loads((reports / "claims.json").read_text(encoding="utf-8"))
    found = {"claims": summary(row["verdict"] for row in rows)}
    for row in rows:
        for comparison in row["interval"][:1]:
            effect = f"{comparison['effect']:+.1f} {comparison['unit']}".strip()
            found[row["id"]] = f"{effect}, {row['verdict']} at {row['profile']}"
    minutes = reports / "recorded" / "minutes.json"
    if minutes.exists():
        measured = json.loads(minutes.read_text(encoding="utf-8"))
        found |= {f"minutes.{name}": str(value) for name, value in measured.items()}
    return found


def fill(text: str, found: dict[str, str]) -> str:
    """Put every fact between its markers `<!-- name --><!-- / -->`. Raises DeblurError for an unknown one."""

    def replace(match: re.Match) -> str:
        if match["name"] not in found:
            raise DeblurError(f"README.md asks for '{match['name']}', which no results file gives.")
        return f"{match[1]}{found[match['name']]}{match[4]}"

    return _MARKED.sub(replace, text)


def update(path: Path, reports: Path) -> None:
    write_atomically(path, fill(path.read_text(encoding="utf-8"), facts(reports)).encode())
