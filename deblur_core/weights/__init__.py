"""Trained weights that come with the project: NAME.safetensors, and NAME.json, the card that says what made them.

`deblur train NAME` makes them again. In a folder that DEBLUR_WEIGHTS names, they take the place of those of the same
name here. Nothing is unpickled, and nothing is loaded that is not what its card says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
import torch
from torch import Tensor, nn

from deblur_core.data.folders import named_folder
from deblur_core.errors import DeblurError, UsageError
from deblur_core.files import sha256, write_atomically

FOLDER = Path(__file__).parent
Network = TypeVar("Network", bound=nn.Module)


def own() -> Path | None:
    """The folder that DEBLUR_WEIGHTS names; None where it is not set."""
    return named_folder("DEBLUR_WEIGHTS")


def names(folder: Path | None = None) -> list[str]:
    """The weights that are there with their cards: in this folder, or in any that weights are read from."""
    folders = [folder] if folder else [FOLDER, *filter(None, [own()])]
    found = (path for there in folders for path in there.glob("*.safetensors"))
    return sorted({path.stem for path in found if path.with_suffix(".json").exists()})


def save(name: str, weights: Mapping[str, Tensor], card: Mapping[str, Any], folder: Path = FOLDER) -> Path:
    """Write weights, such as a state_dict, and their card (JSON-able), to which the checksum is added.

    Returns the file of the weights. The card is written last: a kill in between is found out by `load`.
    """
    content = safetensors.torch.save({key: tensor.detach().cpu().contiguous() for key, tensor in weights.items()})
    path = folder / f"{name}.safetensors"
    write_atomically(path, content)
    full = {**card, "name": name, "bytes": len(content), "sha256": sha256(content)}
    write_atomically(path.with_suffix(".json"), (json.dumps(full, indent=1) + "\n").encode())
    return path


def _source(name: str) -> Path:
    """Where these weights are. Half of a set of one's own counts, to be refused rather than passed over."""
    folder = own()
    if folder and any((folder / f"{name}{part}").exists() for part in (".json", ".safetensors")):
        return folder
    return FOLDER


def card(name: str, folder: Path | None = None) -> dict[str, Any]:
    """What made these weights: recipe, data, seed, hardware, date, scores, sha256.

    Raises UsageError where there are no such weights, DeblurError where their card is damaged.
    """
    folder = folder or _source(name)
    path = folder / f"{name}.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or "sha256" not in found:
            raise ValueError("no checksum")
        return found
    except FileNotFoundError as error:
        there = ", ".join(names(folder)) or "none"
        raise UsageError(
            f"There are no weights '{name}' in {folder} (there: {there}): make them with deblur train {name}."
        ) from error
    except (OSError, ValueError) as error:
        raise DeblurError(f"The card {path} is damaged: make it again with deblur train {name}.") from error


def load(name: str, network: Network, folder: Path | None = None) -> Network:
    """Put the weights into `network`, which must be of their architecture; returns it, in evaluation mode.

    Raises UsageError where there are no such weights, DeblurError where they are damaged or of another architecture.
    """
    folder = folder or _source(name)
    path, expected = folder / f"{name}.safetensors", card(name, folder)["sha256"]
    content = path.read_bytes() if path.is_file() else b""
    if sha256(content) != expected:
        raise DeblurError(f"{path} is not the file that its card describes: restore it, or run deblur train {name}.")
    weights, own = safetensors.torch.load(content), network.state_dict()
    different = weights.keys() ^ own.keys() or {key for key in own if own[key].shape != weights[key].shape}
    if different:
        raise DeblurError(
            f"The weights '{name}' belong to another architecture (first difference: {min(different)}): "
            f"load them with trainings.load, or run deblur train {name}."
        )
    with torch.no_grad():
        network.load_state_dict(weights)
    return network.eval()
