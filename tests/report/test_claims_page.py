"""The board as it is read: short, counted, and nothing lost of a claim told in full."""

import pytest

from deblur_core.report.board import Row, board
from deblur_core.report.claims_page import decided, full, overview, short, tables
from deblur_core.studies.claims import CHECKS, CLAIMS, Comparison, Evidence, get


def measured(low, high, **evidence):
    return Evidence((Comparison("PSNR", (low + high) / 2, low, high, 8, "dB"),), **evidence)


def test_tables_show_every_claim_under_its_paper():
    papers = tables(board([], {}))
    assert len(papers) == 4
    shown = [row[0] for table in papers for row in table.rows]
    assert sorted(shown) == sorted(claim.id for claim in (*CLAIMS, *CHECKS))
    assert [claim for claim in shown if claim.startswith("C")] == [claim.id for claim in CLAIMS]


def test_the_overview_counts_each_claim_once_and_says_where_the_undecided_ones_lean():
    rows = {row.claim.id: row for row in board([], {})}
    rows["C1.1"] = Row(get("C1.1"), measured(1, 2), "overnight")
    rows["C1.2"] = Row(get("C1.2"), measured(1, 2, reduced="another camera"), "overnight")
    rows["C1.3"] = Row(get("C1.3"), measured(-1, 2), "overnight")
    rows["C1.4"] = Row(get("C1.4"), measured(-2, -1), "laptop")
    rows["A1.1"] = Row(get("A1.1"), Evidence(holds=True), "laptop")
    first, *others = overview(list(rows.values())).rows
    assert first[1:] == (12, 1, None, None, "3: 1 as stated, 1 otherwise, 1 open", 8, "1 of 6")
    assert [row[1] for row in (first, *others)] == [12, 6, 11, 6] and sum((12, 6, 11, 6)) == len(CLAIMS)


def test_the_decided_claims_are_listed_with_checks_that_fail():
    rows = [
        Row(get("C1.1"), measured(1, 2), "overnight"),
        Row(get("C1.2"), measured(-1, 2), "overnight"),
        Row(get("A1.1"), Evidence(holds=False), "laptop"),
        Row(get("A1.2"), Evidence(holds=True), "laptop"),
    ]
    said = decided(rows, told={"C1.1"})
    assert "- [C1.1](#c1-1) **reproduced**: On Levin" in said and "- A1.1 **contradicted**: Every" in said
    assert "C1.2" not in said and "A1.2" not in said
    assert "nothing yet" in decided(rows[1:2], told=())


def test_a_claim_in_full_names_its_values_its_interval_and_why_it_stays_undecided():
    row = Row(get("C1.1"), measured(1, 2, ours="31 against 30 dB", reduced="another camera"), "overnight")
    said = full(row, anchored=True)
    assert said.startswith('- <a id="c1-1"></a>**C1.1 inconclusive** (as stated in our setting): On Levin')
    for part in ("(Table 1)", "paper: 33.07 dB", "ours: 31 against 30 dB", "+1.50 dB [1.00, 2.00], n = 8 pairs"):
        assert part in said
    assert said.endswith("undecided here: another camera")
    assert get("C1.1").statement not in full(row, anchored=False), "told once"


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("as it is", 20, "as it is"),
        ("first clause; second clause", 20, "first clause …"),
        ("one, two, three, four, five", 20, "one, two, three …"),
        ("no comma in all of this text", 20, "no comma in all of …"),
    ],
)
def test_a_long_cell_ends_at_a_clause(text, limit, shown):
    assert short(text, limit) == shown and len(shown) <= limit + 2
