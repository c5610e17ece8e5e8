"""The `deblur` command. It parses and prints; the work is done elsewhere, imported only when asked for."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import sys
import textwrap
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from deblur_core import __version__
from deblur_core.errors import DeblurError, UsageError

COUNTED = (
    "models.selfdeblur",
    "models.kernel_space",
    "models.refinement",
    "models.srn",
    "models.xydeblur",
    "models.backbones",
)
"""Modules whose `variants` are the networks that `deblur models` counts."""
BENCHMARKS = (
    "blur.benchmark",
    "models.xydeblur_benchmark",
    "solvers.benchmark",
    "solvers.selfdeblur_benchmark",
    "solvers.kernel_space_benchmark",
    "solvers.refinement_benchmark",
    "training_benchmark",
)
"""Modules whose `rows` are those of `deblur bench`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 fine, 1 failed, 2 wrong usage, 130 interrupted."""
    usual, warnings.formatwarning = warnings.formatwarning, _warning
    try:
        chosen = _parser().parse_args(arguments)
        chosen.run(chosen)
        print(end="", flush=True)  # a full disk shows here
        return 0
    except UsageError as error:
        return _fail(str(error), 2)
    except DeblurError as error:
        return _fail(str(error), 1)
    except KeyboardInterrupt:
        return _fail("Interrupted: what was finished is kept, and figures, train and data fetch go on from there.", 130)
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        return 0
    except Exception as error:
        if os.environ.get("DEBLUR_DEBUG"):
            raise
        return _fail(f"{_cause(error)}. With DEBLUR_DEBUG=1 the command shows where.", 1)
    finally:
        warnings.formatwarning = usual
        try:
            print(end="", flush=True)
        except OSError:  # of which Python would complain at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _warning(message: Warning | str, *_: Any) -> str:
    return f"deblur: warning: {message}\n"


def _cause(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    said = str(error).strip().partition("\n")[0].rstrip(".")
    return f"Unexpected {type(error).__name__}" + (f": {said}" if said else "")


def _fail(sentence: str, code: int) -> int:
    print(f"deblur: {sentence}", file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="deblur", description="An executable companion to four image-deblurring papers.")
    parser.add_argument("--version", action="version", version=f"deblur {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    figures = commands.add_parser("figures", help="run the studies and write every table, figure and notebook page")
    figures.set_defaults(run=_figures)
    figures.add_argument("--profile", default="laptop", help="smoke, laptop (default), overnight or paper")
    figures.add_argument("--only", action="append", default=[], metavar="STUDY", help="this study alone, by its name "
                         "in `deblur results list`; repeatable")  # fmt: skip
    figures.add_argument("--workers", type=int, help="jobs at a time (default: one per core; 8 on a GPU, at most 31)")
    figures.add_argument("--scheduler", metavar="ADDRESS", help="run on a Dask cluster, such as tcp://host:8786")
    figures.add_argument("-o", "--output", type=Path, help="folder of the report (default: reports/ for "
                         "a whole laptop run, else a folder in DEBLUR_HOME)")  # fmt: skip
    _add_device(figures)

    claims = commands.add_parser("claims", help="what the papers state, what was measured here, and the verdicts")
    claims.set_defaults(run=_claims)
    claims.add_argument("ids", nargs="*", metavar="ID", help="such as C1.1, or C1 for a whole paper (default: all)")
    _add_json(claims)

    photo = commands.add_parser("photo", help="deblur a picture of your own", epilog="Writes IMAGE_deblurred.png, "
                                "IMAGE_kernel.png and IMAGE_before_after.png.")  # fmt: skip
    photo.set_defaults(run=_photo)
    photo.add_argument("image", type=Path, help="JPEG, PNG or TIFF, in grey or colour")
    wanted = "odd, at least the extent of the blur in pixels; if unknown, rather large (for selfdeblur)"
    photo.add_argument("--kernel-size", type=int, metavar="K", help=wanted)
    photo.add_argument("--method", default="selfdeblur", help="selfdeblur (default), one kernel for the whole picture; "
                       "or kernel_space, blur that differs from place to place, of unknown size")  # fmt: skip
    photo.add_argument("-o", "--output", type=Path, default=Path(), metavar="DIR", help="default: the current folder")
    photo.add_argument("--recipe", default="quick", help="quick (default), paper, or for selfdeblur also released")
    photo.add_argument("--iterations", type=int, metavar="N", help="default: the recipe's")
    _add_seed(photo)
    photo.add_argument(
        "--whole", action="store_true", help="let SelfDeblur draw all of a large picture, as the paper does"
    )
    _add_device(photo)

    data = commands.add_parser("data", help="the datasets: list, fetch, verify")
    data.set_defaults(run=_data)
    data.add_argument("action", choices=("list", "fetch", "verify"))
    data.add_argument("dataset", nargs="?", help="such as levin, or folder:PATH for your own pictures (default: all)")
    _add_json(data)

    train = commands.add_parser("train", help="train a model again")
    train.set_defaults(run=_train)
    train.add_argument("model", help="a wrong name is answered with the list of models")
    train.add_argument("--profile", default="laptop", help="smoke, laptop (default), overnight or paper")
    steps = _number(int, 1, math.inf, "a whole number of at least 1")
    train.add_argument("--steps", type=steps, metavar="N", help="default: the profile's")
    train.add_argument("--data", action="append", metavar="SOURCE", help="sharp pictures to blur: builtin, CBSD68, "
                       "Kodak24 or a folder; filmed pairs: gopro, gopro_averaged, gopro:PATH, reds:PATH, or sharp "
                       "frames to average, frames:PATH; repeatable (default: the model's)")  # fmt: skip
    _add_seed(train)
    train.add_argument("-o", "--output", type=Path, metavar="DIR", help="default: weights/ in DEBLUR_HOME")
    _add_device(train)

    models = commands.add_parser("models", help="parameters and multiply-adds of every network")
    models.set_defaults(run=_models)
    models.add_argument("--size", type=int, nargs=2, default=(255, 255), metavar=("H", "W"),
                        help="of the picture (default: 255 255)")  # fmt: skip
    _add_json(models)

    bench = commands.add_parser("bench", help="speed of each operation, beside the usual way to do the same")
    bench.set_defaults(run=_bench)
    _add_json(bench)
    _add_device(bench)

    results = commands.add_parser("results", help="finished jobs: list, pack, unpack, clean, record")
    results.set_defaults(run=_results)
    actions = results.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_json(actions.add_parser("list", help="how much of each study is done"))
    pack = actions.add_parser("pack", help="write finished jobs to one file")
    pack.add_argument("file", type=Path, help="to be written")
    pack.add_argument("--only", metavar="STUDY", help="the jobs of one study, at every profile")
    actions.add_parser("unpack", help="add the jobs of such a file").add_argument(
        "file", type=Path, help="written by pack, on any machine"
    )
    clean = actions.add_parser("clean", help="delete jobs, checkpoints or damaged entries")
    clean.add_argument("part", nargs="+", choices=("store", "checkpoints", "damaged"))
    days = _number(float, 0, math.inf, "a number of days, 0 or more")
    clean.add_argument("--older-than", type=days, default=0.0, metavar="DAYS", help="default: of any age")
    record = actions.add_parser("record", help="write a study's numbers to reports/recorded/")
    record.add_argument("study", help="a wrong name is answered with the list of studies")
    record.add_argument("profile", help="most often overnight or paper")

    doctor = commands.add_parser("doctor", help="what this machine can do")
    doctor.set_defaults(run=_doctor)
    _add_json(doctor)
    return parser


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for a machine to read")


def _add_seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=_number(int, 0, 2**63 - 1, "a whole number from 0 to 2^63 - 1"),
                        default=0, metavar="N", help="another number is another run (default: 0)")  # fmt: skip


def _number(kind: type, least: int, most: float, wanted: str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            if least <= (value := kind(text)) <= most:
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"'{text}' is not {wanted}")

    return parse


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")


def _figures(arguments: argparse.Namespace) -> None:
    from deblur_core.report.figures import regenerate

    regenerate(
        arguments.profile,
        only=arguments.only,
        workers=arguments.workers,
        scheduler=arguments.scheduler,
        device=_device(arguments.device),
        output=arguments.output,
    )


def _claims(arguments: argparse.Namespace) -> None:
    from deblur_core import studies
    from deblur_core.report import board

    every = studies.discover().values()
    rows = board.board(every, board.gather(every, studies.default_store()))
    for name in arguments.ids:
        if not any(_is_or_in(row.claim.id, name) for row in rows):
            raise UsageError(f"There is no claim '{name}': give an id such as {rows[0].claim.id}, or C1 for a paper.")
    rows = [row for row in rows if not arguments.ids or any(_is_or_in(row.claim.id, name) for name in arguments.ids)]
    if arguments.json:
        _print_json([row.to_json() for row in rows])
        return
    for row in rows:
        claim = row.claim
        head = f"{claim.id:6} {row.verdict:13} {row.profile:10} {claim.paper}, {claim.where}"
        measured = board.descriptions(row.evidence)
        said = (claim.statement, f"paper: {claim.paper_values}", f"ours:  {row.ours}", *measured)
        print(_wrapped(head, 0, 32), *map(_wrapped, said), sep="\n", end="\n\n")
    print(_wrapped(board.summary({row.claim.id: row.verdict for row in rows}), 0, 0))


def _is_or_in(claim: str, name: str) -> bool:
    return claim == name or claim.startswith(f"{name}.")


def _wrapped(text: str, first: int = 7, others: int = 14) -> str:
    """In the terminal's width or less, the first line and the others indented by so many columns."""
    width = min(110, shutil.get_terminal_size((110, 24)).columns)
    indents = {"initial_indent": " " * first, "subsequent_indent": " " * others}
    return textwrap.fill(text, width, **indents, break_on_hyphens=False)


def _photo(arguments: argparse.Namespace) -> None:
    from deblur_core.photo import deblur_photo

    written = deblur_photo(
        arguments.image,
        arguments.kernel_size,
        arguments.output,
        method=arguments.method,
        recipe=arguments.recipe,
        iterations=arguments.iterations,
        seed=arguments.seed,
        whole=arguments.whole,
        device=_device(arguments.device),
    )
    print("Wrote", *written)


def _data(arguments: argparse.Namespace) -> None:
    from deblur_core import data

    datasets = [arguments.dataset] if arguments.dataset else list(data.DATASETS)
    if arguments.dataset:
        data.names(arguments.dataset)  # raises for an unknown one
    if arguments.action in ("list", "fetch"):
        failed = []
        for dataset in datasets if arguments.action == "fetch" else ():
            try:
                data.fetch_dataset(dataset, progress=sys.stderr.isatty())
            except DeblurError as error:
                failed.append(str(error))
        rows = data.describe(datasets)
        if not arguments.json:  # what a terminal has room for
            rows = [{name: row[name] for name in ("dataset", "pairs", "where", "licence")} for row in rows]
        _print_rows(rows, arguments.json)
        if failed:
            raise DeblurError(" ".join(failed))
    else:
        found = {dataset: data.verify(dataset) for dataset in datasets}
        states = ("good", "damaged", "missing")
        rows = [{"dataset": name} | {state: list(files.values()).count(state) for state in states}
                for name, files in found.items() if files]  # fmt: skip
        if made := [name for name, files in found.items() if not files]:
            print(f"Without checksums, so that there is nothing to verify: {', '.join(made)}.", file=sys.stderr)
        _print_rows(rows, arguments.json)
        if damaged := [path for files in found.values() for path, state in files.items() if state == "damaged"]:
            raise DeblurError(
                f"{len(damaged)} files are damaged, the first is {damaged[0]}: delete and fetch them again."
            )


def _train(arguments: argparse.Namespace) -> None:
    from tqdm import tqdm

    from deblur_core.trainings import train_and_save

    shown: dict[str, float] = {}

    with tqdm(unit="step", disable=None) as bar:  # no bar in a log, but a line for every validation

        def progress(step: int, total: int, loss: float, **scores: float) -> None:
            said = {name: f"{value:.4g}" for name, value in {"loss": loss, **scores}.items()}
            if bar.disable and scores != shown:
                shown.update(scores)
                print(f"step {step} of {total}:", *(f"{name} {value}" for name, value in said.items()), flush=True)
            bar.total = total
            bar.set_postfix(said, refresh=False)
            bar.update(step - bar.n)

        path, values = train_and_save(
            arguments.model,
            arguments.profile,
            steps=arguments.steps,
            sources=tuple(arguments.data) if arguments.data else None,
            seed=arguments.seed,
            device=_device(arguments.device),
            folder=arguments.output,
            progress=progress,
        )
    print(f"Wrote {path} and {path.with_suffix('.json').name}; DEBLUR_WEIGHTS={path.parent} makes everything use them.")
    for name, least in values["baseline"].items():
        print(f"Held-out {name}: {values['curve'][-1][name]:.4g}; without the network: {least:.4g}.")
    for doubt in values["doubts"]:
        print(doubt)


def _models(arguments: argparse.Namespace) -> None:
    import torch

    from deblur_core.models.counting import count_macs, count_parameters

    if min(arguments.size) < 16:  # which every network can halve as often as it does
        height, width = arguments.size
        raise UsageError(f"A picture of {width} x {height} pixels is too small for the networks: 16 x 16 is the least.")
    modules = _modules(COUNTED)  # outside, for they compute as they are imported
    with torch.device("meta"):  # weights that are only counted
        rows = [
            {"model": name, "parameters": count_parameters(network), "macs": count_macs(network, *inputs)}
            for module in modules
            for name, network, inputs in module.variants(*arguments.size)
        ]
    if not arguments.json:
        rows = [row | {"parameters": f"{row['parameters']:,}", "macs": f"{row['macs'] / 1e9:.4g} G"} for row in rows]
    _print_rows(rows, arguments.json)


def _bench(arguments: argparse.Namespace) -> None:
    device = _device(arguments.device)
    rows = [row for module in _modules(BENCHMARKS) for row in module.rows(device)]
    _print_rows(rows, arguments.json)


def _results(arguments: argparse.Namespace) -> None:
    from deblur_core import studies

    store = studies.default_store()
    if arguments.action == "list":
        kept = set(store.keys())
        rows = [
            {"study": study.name, "profile": profile, "jobs": len(wanted),
             "in the store": sum(job.key in kept for job in wanted),
             "recorded": len(studies.collect(study, profile))}
            for study in studies.discover().values() for profile in study.profiles
            for wanted in [studies.jobs(study, profile)]
        ]  # fmt: skip
        _print_rows(rows, arguments.json)
    elif arguments.action == "pack":
        keys = None
        if arguments.only:
            study = studies.get(arguments.only)
            wanted = {job.key for profile in study.profiles for job in studies.jobs(study, profile)}
            keys = wanted & set(store.keys())
        if not (store.keys() if keys is None else keys):
            raise DeblurError(f"Nothing to pack: {store.root} has no finished job of {arguments.only or 'any study'}.")
        print(f"Jobs packed: {store.pack(arguments.file, keys)}.")
    elif arguments.action == "unpack":
        print(f"{store.unpack(arguments.file)} jobs were new.")
    elif arguments.action == "clean":
        print(f"{store.clean(*arguments.part, older_than=arguments.older_than)} entries deleted.")
    else:
        study = studies.get(arguments.study)
        kept = set(store.keys())
        if not any(job.key in kept for job in studies.jobs(study, arguments.profile)):
            raise DeblurError(
                f"Nothing to record: run deblur figures --profile {arguments.profile} --only {study.name}."
            )
        found = studies.collect(study, arguments.profile, store)
        print(f"{len(found)} jobs in {studies.record(study, arguments.profile, found)}")


def _doctor(arguments: argparse.Namespace) -> None:
    from deblur_core.doctor import examine

    facts = examine()
    if arguments.json:
        _print_json(facts)
    else:
        for name, fact in facts.items():
            print(f"{name:20} {fact}")


def _modules(names: Sequence[str]) -> list[Any]:
    return [import_module(f"deblur_core.{name}") for name in names]


def _device(name: str | None) -> str:
    import torch

    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UsageError(f"There is no device '{name}': choose cpu or cuda.")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise DeblurError("PyTorch sees no CUDA device here: leave --device out to run on the CPU.")
    if name.startswith("cuda:") and int(name[5:]) >= torch.cuda.device_count():
        raise UsageError(f"There is no device '{name}': PyTorch sees {torch.cuda.device_count()} here, from cuda:0 on.")
    return name


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))


def _print_rows(rows: list[dict], as_json: bool) -> None:
    if as_json:
        _print_json(rows)
    elif rows:
        from deblur_core.studies import Table

        columns = list(dict.fromkeys(name for row in rows for name in row))
        print(Table("", columns, [[_shown(row.get(name)) for name in columns] for row in rows]))


def _shown(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())
