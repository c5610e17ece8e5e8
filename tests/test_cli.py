"""The `deblur` command: what it prints, what it returns, and one sentence for everything that goes wrong."""

import errno
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import requests
import torch
from PIL import Image
from toy_study import Size, toy

from deblur_core import cli, files, studies
from deblur_core.blur import add_gaussian
from deblur_core.data import home, load, read_image, to_luma_chroma, write_image
from deblur_core.errors import DeblurError
from deblur_core.runs import Store
from deblur_core.solvers.large_picture import place


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """A working tree, a results folder and studies of the test's own."""
    monkeypatch.setenv("DEBLUR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DEBLUR_DATA", raising=False)
    monkeypatch.delenv("DEBLUR_DEBUG", raising=False)
    monkeypatch.setattr(studies, "REPOSITORY", tmp_path / "tree")
    monkeypatch.chdir(tmp_path)
    use(monkeypatch, toy())
    return tmp_path


def use(monkeypatch, *chosen):
    monkeypatch.setattr(studies, "discover", lambda: {study.name: study for study in chosen})


@pytest.fixture
def deblur(capsys):
    """Run the command in this process: exit code, standard output, standard error."""

    def run(*arguments):
        code = cli.main([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def refused(deblur):
    """Run a command that must fail with this exit code and one sentence, and return that."""

    def run(code, *arguments):
        found, _, said = deblur(*arguments)
        assert found == code, said
        assert said.startswith("deblur: ") and len(said.strip().splitlines()) == 1 and "Traceback" not in said
        return said

    return run


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "flower.png"
    pixels = np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_help_is_fast_because_it_imports_nothing_heavy():
    program = "import sys, deblur_core.cli as cli; cli._parser(); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=Path(cli.__file__).parents[1]).returncode == 0


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as leaving:
        cli.main(["--help"])
    assert leaving.value.code == 0
    shown = capsys.readouterr().out
    for command in ("figures", "claims", "photo", "data", "train", "models", "bench", "results", "doctor"):
        assert f"\n    {command} " in shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "COMMAND"),
        (("nonsense",), "invalid choice: 'nonsense'"),
        (("figures", "--profile", "weekend"), "no profile 'weekend'"),
        (("figures", "--only", "nonsense"), "no study 'nonsense'"),
        (("figures", "--workers", "0"), "At least one worker"),
        (("data", "fetch", "imagenet"), "no dataset 'imagenet'"),
        (("data", "verify", "imagenet"), "no dataset 'imagenet'"),
        (("data", "list", "imagenet"), "no dataset 'imagenet'"),
        (("train", "selfdeblur"), "cannot be trained"),
        (("models", "--size", "0", "30"), "30 x 0 pixels is too small"),
        (("bench", "--device", "tpu"), "no device 'tpu'"),
        (("results", "record", "nonsense", "smoke"), "no study 'nonsense'"),
        (("results", "record", "toy", "weekend"), "no profile 'weekend'"),
        (("results", "clean", "everything"), "invalid choice"),
        (("photo", "x.png"), "--kernel-size"),
        (("photo", "x.png", "--kernel-size", "5", "--seed", "-1"), "'-1' is not a whole number from 0"),
        (("photo", "x.png", "--kernel-size", "5", "--seed", str(2**63)), "is not a whole number from 0"),
        (("photo", "x.png", "--method", "kernel_space", "--kernel-size", "5"), "for selfdeblur alone"),
        (("photo", "x.png", "--method", "kernel_space", "--whole"), "for selfdeblur alone"),
        (("photo", "x.png", "--kernel-size", "5", "--device", "cudaz"), "no device 'cudaz'"),
        (("train", "srn", "--steps", "0"), "'0' is not a whole number of at least 1"),
        (("claims", "C9.9"), "no claim 'C9.9'"),
        (("results", "clean", "store", "--older-than", "-3"), "0 or more"),
        (("results", "clean", "store", "--older-than", "nan"), "0 or more"),
    ],
)
def test_wrong_usage_is_one_sentence_and_2(refused, arguments, sentence):
    assert sentence in refused(2, *arguments)


@pytest.mark.parametrize("size", [4, 0, -3, 1, 41, 999])
def test_photo_wants_an_odd_kernel_smaller_than_the_picture(refused, picture, size):
    assert "kernel" in refused(2, "photo", picture, "--kernel-size", size)


def test_photo_wants_at_least_one_iteration_and_a_known_recipe(refused, picture):
    assert "iteration" in refused(2, "photo", picture, "--kernel-size", 5, "--iterations", 0)
    assert "recipe 'slow'" in refused(2, "photo", picture, "--kernel-size", 5, "--recipe", "slow")


def test_photo_checks_where_it_will_write_before_it_works(refused, picture):
    assert "choose another folder" in refused(1, "photo", picture, "--kernel-size", 5, "-o", picture / "below")


def test_photo_finds_out_beforehand_that_a_folder_takes_no_files(refused, picture, tmp_path, monkeypatch):
    def read_only(dir):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("deblur_core.photo.TemporaryFile", read_only)
    assert "Read-only" in refused(1, "photo", picture, "--kernel-size", 5, "-o", tmp_path)


def unreadable(path):
    path.write_bytes(b"not a picture")


def empty(path):
    path.touch()


def one_pixel(path):
    Image.new("L", (1, 1)).save(path, "TIFF")


def not_a_number(path):
    Image.fromarray(np.full((40, 40), np.nan, np.float32), "F").save(path, "TIFF")


def absent(path):
    pass


@pytest.mark.parametrize("spoil", [unreadable, empty, one_pixel, not_a_number, absent])
def test_a_picture_that_cannot_be_used_is_named(refused, tmp_path, spoil):
    path = tmp_path / "bad.tif"
    spoil(path)
    assert "bad.tif" in refused(1, "photo", path, "--kernel-size", 5)


def test_photo_keeps_the_colours_and_writes_three_pictures(deblur, picture, tmp_path):
    code, said, _ = deblur("photo", picture, "--kernel-size", 3, "--iterations", 6, "-o", tmp_path / "out",
                           "--device", "cpu")  # fmt: skip
    assert code == 0 and "48 x 40 pixels on cpu: about" in said
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"flower_deblurred.png", "flower_kernel.png", "flower_before_after.png"}
    after = read_image(tmp_path / "out" / "flower_deblurred.png")
    assert after.shape == (1, 3, 40, 48)
    # Noise is the hardest picture to keep the colour of; where nothing was clipped chroma is as it was.
    before, unclipped = (
        read_image(picture),
        ((after > 0) & (after < 1)).all(1, keepdim=True).expand(-1, 2, -1, -1),
    )
    difference = (to_luma_chroma(after)[1] - to_luma_chroma(before)[1])[unclipped].abs()
    assert difference.numel() > 100 and difference.max() < 0.01


def test_a_large_photo_is_deconvolved_whole_with_the_kernel_of_its_strongest_window(deblur, tmp_path):
    generator = torch.Generator().manual_seed(0)
    picture = torch.full((1, 1, 280, 500), 0.5)
    picture[..., 10:270, 230:490] = torch.rand(260, 260, generator=generator)
    rows, columns = place(picture, 255)
    assert picture[..., rows, columns].shape == (1, 1, 255, 255)
    assert picture[..., rows, columns].std() > 0.2
    write_image(tmp_path / "large.png", picture)
    code, said, _ = deblur("photo", tmp_path / "large.png", "--kernel-size", 3, "--iterations", 5, "-o", tmp_path)
    assert code == 0 and "255 x 255 pixels" in said
    assert read_image(tmp_path / "large_deblurred.png").shape[-2:] == (280, 500)


@pytest.mark.parametrize("whole", [(), ("--whole",)])
def test_a_photo_of_highlights_and_noise_is_warned_of_each_once(deblur, tmp_path, whole):
    y = load("builtin", "im1_kernel3").blurry[..., 100:148, 100:148]
    picture = add_gaussian(y, 0.05, torch.Generator().manual_seed(0)).clamp(0, 1)
    picture[..., :3, :] = 1
    write_image(tmp_path / "night.png", picture)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        deblur("photo", tmp_path / "night.png", "--kernel-size", 3, "--iterations", 2, "-o", tmp_path, *whole)
    words = [str(warning.message) for warning in said if warning.category is UserWarning]
    assert sum("saturated" in sentence for sentence in words) == 1, words
    assert sum("noisy" in sentence for sentence in words) == 1, words


def test_a_photo_is_deblurred_in_the_kernel_space_too(deblur, refused, picture, tmp_path):
    options = ("--method", "kernel_space", "--iterations", 2, "--device", "cpu", "-o", tmp_path)
    code, said, _ = deblur("photo", picture, *options)
    assert code == 0 and "Deblurring in the kernel space on 48 x 40 pixels on cpu: about" in said
    assert read_image(tmp_path / "flower_deblurred.png").shape == (1, 3, 40, 48)
    kernels = read_image(tmp_path / "flower_kernel.png").shape[-2:]
    assert min(kernels) >= 2 * 27 and all(side % 27 == 0 for side in kernels), "a kernel of 27 px for each cell"
    assert "--kernel-size" in refused(2, "photo", picture)
    assert "no method 'magic'" in refused(2, "photo", picture, "--method", "magic")


def test_a_seed_changes_the_photo_and_its_repetition_does_not(deblur, picture, tmp_path):
    def restored(seed, folder):
        options = ("--kernel-size", 3, "--iterations", 6, "--device", "cpu")
        deblur("photo", picture, *options, "--seed", seed, "-o", tmp_path / folder)
        return (tmp_path / folder / "flower_deblurred.png").read_bytes()

    assert restored(1, "a") == restored(1, "b") != restored(2, "c")


def test_figures_runs_what_is_missing_and_writes_a_report(deblur, tmp_path):
    code, said, _ = deblur("figures", "--profile", "smoke", "--workers", 1)
    assert code == 0 and "3 jobs, 0 of them done before" in said and "1 inconclusive" in said
    assert (tmp_path / "home" / "reports" / "smoke" / "index.html").exists()
    assert not (tmp_path / "tree" / "reports").exists(), "only a whole laptop run rewrites the committed report"
    assert "3 jobs, 3 of them done before" in deblur("figures", "--profile", "smoke", "--workers", 1)[1]
    alone = deblur("figures", "--profile", "smoke", "--workers", 1, "--only", "toy")[1]
    assert "\n1 claim: 1 inconclusive. Open" in alone, "of a study alone, only the claims that it speaks for"


def test_a_whole_laptop_run_updates_the_committed_report_and_the_readme(deblur, tmp_path):
    (tmp_path / "tree").mkdir()
    readme = tmp_path / "tree" / "README.md"
    readme.write_text("<!-- claims --><!-- / -->")
    assert deblur("figures", "--workers", 1)[0] == 0
    assert (tmp_path / "tree" / "reports" / "index.html").exists()
    assert "1 inconclusive" in readme.read_text()


def test_the_committed_report_holds_nothing_but_the_whole_laptop_run_with_our_networks(
    deblur, refused, tmp_path, monkeypatch
):
    committed = tmp_path / "tree" / "reports"
    committed.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "tree")
    for part in (("--only", "toy"), ("--profile", "smoke")):
        assert "reports/ holds the whole laptop report" in refused(2, "figures", *part, "-o", "reports")
    (tmp_path / "own").mkdir()
    monkeypatch.setenv("DEBLUR_WEIGHTS", str(tmp_path / "own"))
    assert "reports/ holds" in refused(2, "figures", "-o", committed)
    assert deblur("figures", "--workers", 1)[0] == 0
    assert (tmp_path / "home" / "reports" / "laptop" / "index.html").exists() and not list(committed.iterdir())


def test_figures_checks_where_it_will_write_before_it_works(refused, tmp_path):
    (tmp_path / "file").touch()
    assert "choose another folder" in refused(1, "figures", "--profile", "smoke", "-o", tmp_path / "file")
    assert Store(home()).keys() == []


def test_a_job_that_fails_loses_nothing_that_was_finished(refused, monkeypatch):
    use(monkeypatch, toy(smoke=Size(4, fail_at=2)))
    assert "1 of 4 jobs failed" in refused(1, "figures", "--profile", "smoke", "--workers", 1)
    assert len(Store(home()).keys()) == 3


def test_a_results_folder_that_cannot_be_written_is_named(refused, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DEBLUR_HOME", str(tmp_path / "file"))
    said = refused(1, "figures", "--profile", "smoke", "--workers", 1)
    assert str(tmp_path / "file") in said and "DEBLUR_HOME" in said


def test_a_full_disk_is_said_and_keeps_what_was_finished(deblur, refused, monkeypatch):
    deblur("figures", "--profile", "smoke", "--workers", 1)

    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("deblur_core.runs.store.write", full)
    assert "No space left" in refused(1, "figures", "--profile", "laptop", "--workers", 1)
    assert len(Store(home()).keys()) == 3
    assert files.write is not full


def test_a_missing_dataset_offline_says_what_to_do(refused, monkeypatch):
    def offline(*arguments, **options):
        raise requests.ConnectionError("no network")

    monkeypatch.setattr(requests, "get", offline)
    said = refused(1, "data", "fetch", "levin")
    assert "DEBLUR_DATA" in said


def test_claims_lists_all_of_them(deblur, monkeypatch):
    deblur("figures", "--profile", "smoke", "--workers", 1)
    entries = json.loads(deblur("claims", "--json")[1])
    assert len(entries) == 35 + 8
    assert (entries[0]["id"], entries[0]["verdict"], entries[0]["profile"]) == ("C1.1", "inconclusive", "smoke")
    shown = deblur("claims")[1]
    assert "C1.1   inconclusive  smoke" in shown and "33.07 dB" in shown and "no study yet" in shown
    assert max(map(len, shown.splitlines())) <= 110
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, deblur("claims")[1].splitlines())) <= 80
    assert [entry["id"] for entry in json.loads(deblur("claims", "C1.1", "C4.2", "--json")[1])] == ["C1.1", "C4.2"]
    assert "\n6 claims: " in deblur("claims", "C4")[1]


def test_a_damaged_result_is_one_line_of_warning(deblur):
    deblur("figures", "--profile", "smoke", "--workers", 1)
    next((home() / "store").glob("*/*/result.json")).write_text("{")
    done = subprocess.run([sys.executable, "-m", "deblur_core.cli", "results", "pack", "jobs.zip"],
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0 and "Jobs packed: 2." in done.stdout
    assert done.stderr.startswith("deblur: warning: Stored result") and len(done.stderr.splitlines()) == 1


def test_results_travel_between_machines_and_are_recorded(deblur, refused, tmp_path, monkeypatch):
    assert "Nothing to record" in refused(1, "results", "record", "toy", "smoke")
    assert "Nothing to pack" in refused(1, "results", "pack", tmp_path / "jobs.zip")
    deblur("figures", "--profile", "smoke", "--workers", 1)
    assert "Jobs packed: 3." in deblur("results", "pack", tmp_path / "jobs.zip", "--only", "toy")[1]
    monkeypatch.setenv("DEBLUR_HOME", str(tmp_path / "elsewhere"))
    assert "3 jobs were new" in deblur("results", "unpack", tmp_path / "jobs.zip")[1]
    assert deblur("results", "record", "toy", "smoke")[0] == 0
    assert "3 entries deleted" in deblur("results", "clean", "store")[1]
    (smoke, *_) = json.loads(deblur("results", "list", "--json")[1])
    assert smoke == {"study": "toy", "profile": "smoke", "jobs": 3, "in the store": 0, "recorded": 3}
    assert "gone.zip" in refused(1, "results", "unpack", tmp_path / "gone.zip")
    assert "Nothing to record" in refused(1, "results", "record", "toy", "smoke"), "it is recorded, not here"


def test_fetching_everything_goes_on_after_a_failure(refused, monkeypatch):
    from deblur_core import data

    asked = []

    def fetch(dataset, progress):
        asked.append(dataset)
        if dataset in ("levin", "lai"):
            raise DeblurError(f"No way to {dataset}.")

    monkeypatch.setattr(data, "fetch_dataset", fetch)
    assert refused(1, "data", "fetch") == "deblur: No way to levin. No way to lai.\n"
    assert asked == list(data.DATASETS)


def test_doctor_says_what_is_wrong_with_a_setting_and_goes_on(deblur, monkeypatch):
    monkeypatch.setenv("DEBLUR_DATA", "nowhere")
    monkeypatch.setenv("DEBLUR_WEIGHTS", "nowhere")
    code, printed, _ = deblur("doctor", "--json")
    facts = json.loads(printed)
    assert code == 0 and all("which is not a folder" in facts[name] for name in ("DEBLUR_DATA", "DEBLUR_WEIGHTS"))
    assert "which is not a folder" in facts["data levin"] and "pairs" in facts["data builtin"]


def test_data_verify_fails_for_a_damaged_file(refused, tmp_path):
    from deblur_core.data.registry import checksums

    path = next(name for name in checksums() if name.startswith("levin2009/"))
    damaged = tmp_path / "home" / "data" / path
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"damaged")
    assert path in refused(1, "data", "verify", "levin")


def test_a_folder_of_ones_own_is_listed_as_the_datasets_are(deblur, refused, picture, tmp_path):
    (tmp_path / "own" / "blurry").mkdir(parents=True)
    picture.rename(tmp_path / "own" / "blurry" / picture.name)
    (row,) = json.loads(deblur("data", "list", f"folder:{tmp_path / 'own'}", "--json")[1])
    assert (row["pairs"], row["available"], row["where"]) == (1, True, str(tmp_path / "own"))
    assert "holds no pictures" in refused(2, "data", "list", f"folder:{tmp_path}")


def test_data_fetch_ends_with_what_is_here(deblur):
    assert "bundled with scikit-image" in deblur("data", "fetch", "builtin")[1]


def test_data_verify_says_what_has_no_files(deblur):
    code, printed, said = deblur("data", "verify", "builtin", "--json")
    assert (code, json.loads(printed)) == (0, []) and "nothing to verify: builtin" in said


def test_models_counts_what_the_paper_states(deblur):
    command = [sys.executable, "-m", "deblur_core.cli", "models", "--json"]  # which has imported no network before
    rows = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert 2_365_521 in [row["parameters"] for row in rows]
    assert all(row["macs"] > 0 for row in rows)
    assert deblur("models", "--size", 16, 16)[0] == 0


def test_bench_prints_the_rows_of_every_benchmark(deblur, monkeypatch):
    class Benchmark:
        @staticmethod
        def rows(device):
            return [{"what": "blur", "ms": 12.34567}, {"what": "blur, plain", "ms": 1234.5, "device": device}]

    monkeypatch.setattr(cli, "_modules", lambda names: [Benchmark] * (names == cli.BENCHMARKS))
    assert json.loads(deblur("bench", "--json", "--device", "cpu")[1])[0] == {"what": "blur", "ms": 12.34567}
    assert "12.35" in deblur("bench", "--device", "cpu")[1]


def test_doctor_answers_without_results_or_data(deblur):
    facts = json.loads(deblur("doctor", "--json")[1])
    assert "not set" in facts["DEBLUR_DATA"] and facts["torch"]


@pytest.mark.parametrize(
    ("mistake", "said"), [(MemoryError(), "MemoryError. With"), (ValueError("\n\n  so.\n"), ": so. With")]
)
def test_a_mistake_of_few_or_many_lines_is_one_sentence_too(refused, monkeypatch, mistake, said):
    def fail():
        raise mistake

    monkeypatch.setattr(studies, "discover", fail)
    assert said in refused(1, "claims")


def test_a_mistake_of_ours_is_one_sentence_unless_asked_for_more(deblur, refused, monkeypatch):
    monkeypatch.setattr(studies, "discover", lambda: 1 / 0)
    assert "ZeroDivisionError" in refused(1, "claims")
    monkeypatch.setenv("DEBLUR_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main(["claims"])


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["data", "list"], 0), (["nonsense"], 2)])
def test_a_reader_that_leaves_is_no_failure(arguments, code):
    reading, writing = os.pipe()
    os.close(reading)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run([sys.executable, "-m", "deblur_core.cli", *arguments], stdout=writing, env=environment,
                          stderr=subprocess.PIPE, text=True)  # fmt: skip
    os.close(writing)
    assert done.returncode == code and "BrokenPipeError" not in done.stderr


def test_an_interrupt_is_one_line(deblur, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(studies, "discover", interrupt)
    code, _, said = deblur("claims")
    assert code == 130 and "finished is kept" in said
