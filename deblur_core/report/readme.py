"""Numbers in the project's README.md: each stands between markers and is read from a results file."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from deblur_core.files import write_atomically
from deblur_core.report.board import SETTINGS, summary

_MARKED = re.compile(r"(<!-- (?P<name>[\w.-]+) -->)(.*?)(<!-- / -->)", re.DOTALL)


def facts(reports: Path) -> dict[str, str]:
    """What README.md may say: the board in one line, where what is inconclusive leans, the interval of each claim that
    has one, minutes."""
    rows = json.loads((reports / "claims.json").read_text(encoding="utf-8"))
    found = {"claims": summary({row["id"]: row["verdict"] for row in rows}), "leaning": _leaning(rows)}
    for row in rows:
        if row["interval"] and row["interval"][0]["effect"] is not None:
            first = row["interval"][0]
            effect = f"{first['effect']:+.1f} {first['unit']}".strip()
            found[row["id"]] = f"{effect}, {row['verdict']} at {row['profile']}"
    minutes = reports / "recorded" / "minutes.json"
    if minutes.exists():
        measured = json.loads(minutes.read_text(encoding="utf-8"))
        found |= {f"minutes.{name}": str(value) for name, value in measured.items()}
    return found


def _leaning(rows: list[dict]) -> str:
    """Of inconclusive claims in the setting that ran. For example: 3 as stated, 1 otherwise, 8 open."""
    counts = Counter(row["setting"] for row in rows)
    return ", ".join(f"{counts[name]} {name}" for name in SETTINGS if counts[name]) or "none"


def fill(text: str, found: dict[str, str]) -> str:
    """Put every fact between its markers `<!-- name --><!-- / -->`; what is not known yet stays as it is."""
    return _MARKED.sub(lambda match: f"{match[1]}{found.get(match['name'], match[3])}{match[4]}", text)


def update(path: Path, reports: Path) -> None:
    write_atomically(path, fill(path.read_text(encoding="utf-8"), facts(reports)).encode())
