"""The one registry of files that come from elsewhere: where from, which content, and how to get them.

`checksums.txt` lists the files, in the format of sha256sum, by their path below a data folder. A file is
read from DEBLUR_DATA where that folder holds it, else downloaded once to `home()/data`. Content is checked on
every use, so a damaged file is an error or a new download, never a silently different result.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import requests

from deblur_core.data.folders import data_folder, home
from deblur_core.errors import DeblurError
from deblur_core.files import sha256, write_atomically

_SOURCES = {  # local folder or file -> the same at a pinned commit, or under a name with its hash
    "levin2009/": "https://raw.githubusercontent.com/csdwren/SelfDeblur/"
    "e1c79ee528eb333416b032e4bc002337c2d5c0f3/datasets/levin/",
    "photos/": "https://raw.githubusercontent.com/csdwren/SelfDeblur/"
    "e1c79ee528eb333416b032e4bc002337c2d5c0f3/datasets/real/",
    "lai2016/ground_truth/": "https://raw.githubusercontent.com/SDUer-1/SelfDeblur/"
    "e550c266e05b543db67ecd20a008a53d4bca8c52/datasets/lai/ground_truth/",
    "lai2016/blurry_rgb/": "https://raw.githubusercontent.com/JuneFire/mySelfDeblur/"
    "10f828a1c93ccc8a40880a950ef03b2086c8d341/datasets/lai/",
    "gopro/official/": "https://raw.githubusercontent.com/Seowon-Ji/XYDeblur/"
    "6507a61a111616de96fd32020340b001453280dc/sample_data/",
    "gopro/averaged/": "https://raw.githubusercontent.com/jeffreywolberg/deblurring_dataset_generator/"
    "4e5734bc8415376869a503f29950fe5f4533d87d/data/level3/saved_images/",
    "sharp/": "https://raw.githubusercontent.com/cszn/FFDNet/e787f46df2f374ff3591186706229cb9a0591fea/testsets/",
    "weights/alexnet-owt-7be5be79.pth": "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "weights/niqe_pris_params.npz": "https://raw.githubusercontent.com/xinntao/BasicSR/"
    "d21eac885b6de90a7adef7cc59e937dbdbb200b1/basicsr/metrics/niqe_pris_params.npz",
    "weights/weights-inception-2015-12-05-6726825d.pth": "https://github.com/toshas/torch-fidelity/"
    "releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
}


@cache
def checksums() -> dict[str, str]:
    """SHA-256 of each known file, by its path below the data folder."""
    lines = Path(__file__).with_name("checksums.txt").read_text().splitlines()
    return {path: digest for digest, path in (line.split(maxsplit=1) for line in lines)}


def url(path: str) -> str | None:
    """Where `path` can be downloaded; None for a file that only a data folder can provide."""
    for folder, source in _SOURCES.items():
        if path.startswith(folder):
            return source + path.removeprefix(folder)
    return None


def find(path: str) -> Path | None:
    """The file on this machine, in DEBLUR_DATA or among the downloads; its content is not checked."""
    folders = (data_folder(), home() / "data")
    return next((folder / path for folder in folders if folder and (folder / path).is_file()), None)


def fetch(path: str) -> Path:
    """The file with the registered content: from DEBLUR_DATA, the downloads or its source, in this order.

    Raises DeblurError where there is no such file to be had; nothing partial is left behind.
    """
    local, target = find(path), home() / "data" / path
    if local and is_intact(path, local):
        return local
    if local and local != target:
        raise DeblurError(f"{local} does not match its checksum: restore it, or unset DEBLUR_DATA.")
    write_atomically(target, _download(path))
    return target


def is_intact(path: str, local: Path) -> bool:
    """Whether the file `local` has the content that is registered for `path`."""
    return sha256(local.read_bytes()) == checksums()[path]


def _download(path: str) -> bytes:
    """The registered content of `path` from its source. In memory, so a killed download leaves no file."""
    import pooch  # only to download

    source, content = url(path), io.BytesIO()
    if source is None:
        raise DeblurError(f"{path} cannot be downloaded: set DEBLUR_DATA to a folder that holds it.")
    advice = f"try again, or set DEBLUR_DATA to a folder that holds {path}."
    try:
        pooch.HTTPDownloader()(source, content, None)
    except requests.RequestException as error:
        raise DeblurError(f"Cannot download {source}: {_reason(error)}; {advice}") from None
    if sha256(content.getvalue()) != checksums()[path]:
        raise DeblurError(f"Cannot download {source}: its content does not match its checksum; {advice}")
    return content.getvalue()


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.HTTPError):
        return f"the server answered {str(error).partition(' for url')[0]}"  # 404 Client Error: Not Found
    if isinstance(error, (requests.ConnectionError, requests.Timeout)):
        return "the server cannot be reached"
    return "the transfer stopped half-way"
