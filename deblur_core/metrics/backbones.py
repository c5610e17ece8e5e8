"""What the perceptual metrics take from others: optional packages, and weights, which are downloaded or read from
DEBLUR_DATA but never shipped. Nothing here is imported or read before a metric is called.
"""

from __future__ import annotations

import warnings
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from deblur_core.data import registry
from deblur_core.errors import DeblurError, UsageError
from deblur_core.randomness import own_randomness

ALEXNET = "weights/alexnet-owt-7be5be79.pth"  # torchvision's, whole: 233 MiB
ALEXNET_FEATURES = "weights/alexnet_features.safetensors"  # its convolutions only
INCEPTION = "weights/weights-inception-2015-12-05-6726825d.pth"  # the network of the FID paper, 91 MiB
NIQE = "weights/niqe_pris_params.npz"

_INCEPTION_PACKAGES = ("torchvision", "torchmetrics", "torch_fidelity")
_NEEDS = {  # metric -> its packages, and files of which one is enough
    "LPIPS (AlexNet)": (("torchvision", "lpips"), (ALEXNET_FEATURES, ALEXNET)),
    "NIQE": ((), (NIQE,)),
    "KID (AlexNet)": (("torchvision", "lpips", "torchmetrics"), (ALEXNET_FEATURES, ALEXNET)),
    "KID (Inception)": (_INCEPTION_PACKAGES, (INCEPTION,)),
    "FID (Inception)": (_INCEPTION_PACKAGES, (INCEPTION,)),
}
PERCEPTUAL = tuple(_NEEDS)
_INSTALL = "pip install 'deblur-core[perceptual]'"


def available(metric: str) -> tuple[bool, str]:
    """Whether one of `PERCEPTUAL` can be computed without a download, and where its weights are or how to get them."""
    if metric not in _NEEDS:
        raise UsageError(f"There is no perceptual metric '{metric}': choose from {', '.join(PERCEPTUAL)}.")
    packages, files = _NEEDS[metric]
    if missing := [name for name in packages if find_spec(name) is None]:
        return False, f"not available: {', '.join(missing)} missing: {_INSTALL}"
    if local := next(filter(None, map(registry.find, files)), None):
        return True, str(local)
    return False, f"not available: set DEBLUR_DATA to a folder with {files[0]}, or call it once to download the weights"


def import_optional(name: str) -> ModuleType:
    """Import one of the packages above, all of which stand on torchvision; DeblurError where that fails."""
    try:
        _import_torchvision()
        return import_module(name)
    except (ImportError, RuntimeError) as error:
        raise DeblurError(f"This metric needs {name}, which cannot be imported ({error}): {_INSTALL}") from error


@cache
def _import_torchvision() -> torch.library.Library | None:
    """Import torchvision beside any PyTorch.

    Its compiled operators do not load beside a PyTorch for the CPU only, and then its import stops where it
    describes two of them. They are never called here; declaring what they take and return is enough.
    """
    try:
        import_module("torchvision")
        return None
    except RuntimeError:
        operators = torch.library.Library("torchvision", "FRAGMENT")  # holds for as long as the cache keeps it
        for name in ("nms", "qnms"):
            operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import_module("torchvision")
        return operators


@cache
def lpips_network(device: torch.device) -> nn.Module:
    """The lpips package's network: AlexNet, its input scaling, and the linear heads of v0.1 that the package ships."""
    with warnings.catch_warnings(), own_randomness():  # weights are drawn, to be replaced below
        warnings.simplefilter("ignore", UserWarning)  # torchvision's, about how lpips calls it
        network = import_optional("lpips").LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    weights = _alexnet_weights()
    for key, values in network.net.state_dict().items():  # slice2.3.weight is features.3.weight
        values.copy_(weights["features." + key.partition(".")[2]])
    return network.requires_grad_(False).to(device)


def _alexnet_weights() -> dict[str, Tensor]:
    if registry.find(ALEXNET_FEATURES):
        return load_file(registry.fetch(ALEXNET_FEATURES))
    return torch.load(registry.fetch(ALEXNET), map_location="cpu", weights_only=True)


@cache
def inception_network(device: torch.device) -> nn.Module:
    """Inception-v3 with the weights of Heusel et al. 2017: uint8 (n, 3, h, w), resized inside -> (n, 2048)."""
    module = import_optional("torchmetrics.image.fid")
    import_optional("torch_fidelity")  # what torchmetrics builds it from
    path = str(registry.fetch(INCEPTION))
    torch.load(path, map_location="cpu", weights_only=True)  # torch-fidelity itself would read any pickle
    with own_randomness():  # weights are drawn, to be replaced
        network = module.NoTrainInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=path)
    return network.requires_grad_(False).to(device)
