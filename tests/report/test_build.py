"""The report on synthetic results: complete, linked, the same bytes every time."""

import json
import re
from dataclasses import replace

import pytest
from toy_study import Size, toy

from deblur_core import studies
from deblur_core.errors import DeblurError
from deblur_core.report.build import build, check_links, conditions
from deblur_core.runs import Job, Result, Store
from deblur_core.runs.job import canonical


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "REPOSITORY", tmp_path / "tree")
    return Store(tmp_path / "home")


@pytest.fixture
def study(store):
    """Run at laptop, recorded at overnight."""
    study = toy(overnight=Size(4))
    studies.collect(study, "laptop", store, compute=True)
    elsewhere = Store(store.root.parent / "elsewhere")
    studies.record(study, "overnight", studies.collect(study, "overnight", elsewhere, compute=True))
    return study


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_report_shows_tables_figures_and_verdicts_of_each_run(study, store, tmp_path):
    output = tmp_path / "reports"
    build(output, "laptop", store, [study])
    text = (output / "README.md").read_text()
    assert "35 claims: 1 reproduced, 34 not run; 8 checks besides: 8 not run." in text
    overnight, laptop = text.index("### Profile overnight"), text.index("### Profile laptop")
    assert overnight < laptop, "the run that decides comes first"
    for section, jobs in ((text[overnight:laptop], 4), (text[laptop:], 3)):
        assert f"{jobs} jobs; {jobs} pairs of toys; seeds 0; " in section and "PyTorch" in section
        assert "**Toys**" in section and "PSNR \\| dB" in section and "Look at the height." in section
        assert re.search(rf"  - ours: toys\n  - PSNR: \+\d.*n = {jobs} pairs\n", section)
    assert "**C1.1 reproduced**: On Levin's set" in text[overnight:laptop]
    assert "**C1.1 inconclusive** (as stated in our setting)\n" in text[laptop:], "a reduced run decides nothing"
    assert "Look at the grey." not in text[overnight:laptop], "recorded results carry no pictures"
    assert {
        "figures/toy/curve.laptop.png",
        "figures/toy/picture.laptop.png",
        "figures/toy/curve.overnight.png",
    } == {name for name in tree(output) if name.endswith(".png")}


def test_a_smaller_run_shows_what_is_new_and_folds_the_rest_away(study, store, tmp_path):
    build(tmp_path, "laptop", store, [study])
    overnight, laptop = (tmp_path / "README.md").read_text().split("### Profile laptop")
    assert "<details>" not in overnight
    open_, folded = laptop.split("<details>")
    assert "Look at the grey." in open_ and "**Toys**" not in open_
    assert "**Toys**" in folded and "Look at the height." in folded and folded.endswith("</details>\n")


def test_the_board_leads_to_each_claim_that_a_study_speaks_for(study, store, tmp_path):
    build(tmp_path, "laptop", store, [study])
    text = (tmp_path / "README.md").read_text()
    assert "| [C1.1](#c1-1) | On Levin" in text and text.count('<a id="c1-1"></a>') == 1
    assert "| C1.2 | " in text, "no study speaks for it, so there is nowhere to lead"
    assert "- [A toy](#toy)" in text
    text = text.replace('<a id="c1-1"></a>', "")
    (tmp_path / "README.md").write_text(text)
    with pytest.raises(DeblurError, match="#c1-1"):
        check_links(tmp_path)


def test_html_says_the_same_as_the_markdown(study, store, tmp_path):
    build(tmp_path, "laptop", store, [study])
    text, page = (tmp_path / "README.md").read_text(), (tmp_path / "index.html").read_text()
    assert page.count("<table>") == text.count("\n|---")
    assert page.count("<img ") == text.count("![")
    assert page.count('class="verdict reproduced"') == 1  # on the board
    assert page.count('<span class="reproduced">') == 2  # among the decided ones and at overnight
    assert page.count('<span class="inconclusive">') == 1  # at laptop
    assert "<script" not in page and "http" not in page


def test_same_results_give_the_same_bytes(study, store, tmp_path):
    build(tmp_path / "a", "laptop", store, [study])
    first = tree(tmp_path / "a")
    build(tmp_path / "a", "laptop", store, [study])
    build(tmp_path / "b", "laptop", store, [study])
    assert tree(tmp_path / "a") == first == tree(tmp_path / "b")


def test_what_else_is_in_the_store_changes_nothing(study, store, tmp_path):
    build(tmp_path / "a", "laptop", store, [study])
    studies.collect(study, "paper", store, compute=True)
    build(tmp_path / "b", "laptop", store, [study])
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_unfinished_and_missing_runs_say_so(store, tmp_path):
    study = toy(laptop=Size(3))
    build(tmp_path, "laptop", store, [study])
    assert "Not run yet: `deblur figures --only toy` does." in (tmp_path / "README.md").read_text()
    for count, shown in ((1, "Not run yet"), (2, "unfinished: 2 of 3 jobs; 2 pairs of toys")):
        studies.collect(toy(laptop=Size(count)), "laptop", store, compute=True)
        build(tmp_path, "laptop", store, [study])
        assert shown in (tmp_path / "README.md").read_text(), "a third of a run decides nothing, most of it does"


def test_conditions_name_the_hardware_of_what_a_run_was_built_on_and_the_seeds_of_what_was_trained(monkeypatch):
    base = Result(Job("toys:train", canonical({"seed": 3, "recipe": {}})), {}, {}, provenance(gpu="A GPU"))
    settings = canonical({"of": base.job.to_json(), "seed": 10000})
    judged = Result(Job("toys:judge", settings), {}, {}, provenance(gpu=None))
    assert "seeds 10000; 2 cores of a CPU; PyTorch 2." in conditions([judged], 1)
    monkeypatch.setattr("deblur_core.report.build.recorded", lambda: {base.job.key: base})
    assert "2 cores of a CPU; A GPU" in conditions([judged], 1)
    assert "seeds 3;" in conditions([base, judged], 2)


def provenance(gpu):
    return {"gpu": gpu, "cores": 2, "cpu": "a CPU", "torch": "2"}


def test_a_run_that_shows_nothing_yet_has_no_heading(study, store, tmp_path):
    empty = {"tables": lambda _: [], "figures": lambda _: [], "evidence": lambda _: {}}
    build(tmp_path, "laptop", store, [replace(study, **empty)])
    assert "### Profile" not in (tmp_path / "README.md").read_text()


def test_figures_of_a_former_run_do_not_stay(study, store, tmp_path):
    stale = tmp_path / "figures" / "toy" / "old.laptop.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    build(tmp_path, "laptop", store, [study])
    assert not stale.exists()


def test_claims_file_is_the_board(study, store, tmp_path):
    rows = build(tmp_path, "laptop", store, [study])
    written = json.loads((tmp_path / "claims.json").read_text())
    assert written == [row.to_json() for row in rows]
    assert written[0]["verdict"] == "reproduced" and written[0]["profile"] == "overnight"


@pytest.mark.parametrize(("name", "text"), [("README.md", "[x](gone.html)"), ("index.html", '<img src="gone.png">')])
def test_a_broken_link_is_found(study, store, tmp_path, name, text):
    build(tmp_path, "laptop", store, [study])
    with (tmp_path / name).open("a") as file:
        file.write(text)
    with pytest.raises(DeblurError, match="gone"):
        check_links(tmp_path)


def test_a_broken_link_in_a_notebook_page_is_found(study, store, tmp_path, monkeypatch):
    monkeypatch.setattr("deblur_core.report.build.REPOSITORY", tmp_path)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_here.ipynb").touch()
    build(tmp_path, "laptop", store, [study])
    (tmp_path / "notebooks" / "01_here.html").write_text('<a href="../index.html">x</a> <a href="01_here.ipynb">y</a>')
    check_links(tmp_path)
    (tmp_path / "notebooks" / "01_here.html").write_text('<a href="02_gone.html">x</a>')
    with pytest.raises(DeblurError, match="02_gone"):
        check_links(tmp_path)


def test_committed_report_has_no_broken_link():
    committed = studies.REPOSITORY / "reports"
    if not (committed / "index.html").exists():
        pytest.skip("no report yet: make figures writes it")
    check_links(committed)


def test_a_larger_run_that_only_repeats_a_smaller_one_is_not_told(store, tmp_path):
    shared = toy(laptop=Size(2, advantage=1.0), overnight=Size(4), paper=Size(6))
    studies.record(shared, "overnight", studies.collect(shared, "overnight", store, compute=True))
    build(tmp_path, "laptop", store, [shared])
    text = (tmp_path / "README.md").read_text()
    assert "### Profile overnight" in text and "### Profile paper" not in text
    studies.record(shared, "paper", studies.collect(shared, "paper", store, compute=True))
    build(tmp_path, "laptop", store, [shared])
    assert "### Profile paper" in (tmp_path / "README.md").read_text()


def test_a_part_of_a_smaller_run_that_came_with_a_larger_one_is_not_told(store, tmp_path):
    apart = toy(laptop=Size(3, fail_at=2), overnight=Size(4))  # two pairs in common
    studies.record(apart, "overnight", studies.collect(apart, "overnight", store, compute=True))
    build(tmp_path, "laptop", store, [apart])
    text = (tmp_path / "README.md").read_text()
    assert "### Profile overnight" in text and "### Profile laptop" not in text
