"""Answers to exercises, right and wrong, as students write them: large pictures."""

import numpy as np
import torch
from scipy.signal import convolve2d


def blurred(x, k):
    return torch.from_numpy(convolve2d(x, k, mode="valid"))


def reduced(side):
    return max(1, int(np.floor(side / 256 + 0.5)))


RIGHT = {
    "camera": [
        lambda x, k: blurred(x, k).clamp(max=1),
        lambda x, k: np.minimum(blurred(x, k).numpy(), 1),
    ],
    "ssim_reduction": [
        lambda height, width: reduced(min(height, width) - 30),
        lambda height, width: 1 + (min(height, width) - 30 >= 384) + (min(height, width) - 30 >= 640),
    ],
}
WRONG = {
    "camera": {
        "Blur first": lambda x, k: blurred(x.clamp(0, 1), k).clamp(0, 1),
        "Nothing is clipped": blurred,
        "scale the picture": lambda x, k: blurred(x, k) / blurred(x, k).max(),
        "this is correlation": lambda x, k: blurred(x, k.flip(0, 1)).clamp(0, 1),
    },
    "ssim_reduction": {
        "forget the border": lambda height, width: reduced(min(height, width)),
        "two sides": lambda height, width: reduced(min(height, width) - 15),
        "shorter side": lambda height, width: reduced(max(height, width) - 30),
        "at least 1": lambda height, width: int((min(height, width) - 30) / 256 + 0.5),
        "half to even": lambda height, width: max(1, round((min(height, width) - 30) / 256)),
        "You cut off": lambda height, width: max(1, (min(height, width) - 30) // 256),
        "whole number": lambda height, width: max(1, (min(height, width) - 30) / 256),
    },
}
