"""The blur operator on the GPU: one Triton kernel that computes the value and both gradients.

Each of the three is a correlation of an image with a filter,

    out[i, j] = sum_{p, q} image[i + p - pad_h, j + q - pad_w] filter[p, q]

    value           image = x   filter = k, reversed
    gradient in x   image = g   filter = k                pad = kernel size - 1
    gradient in k   image = x   filter = g                out reversed and summed over channels

computed as a matrix product: a tile of ROWS x COLS outputs is the product of the image windows (i, t) with the
Toeplitz matrix (t, j) of the filter, where t = (p, u) runs over the rows p of the filter and over the
u = q + j < fw + COLS - 1 columns that the tile sees,

    out[i, j] = sum_t image[i + p, u] filter[p, u - j].

So tensor cores do the arithmetic; each float32 product is three TF32 products ("tf32x3"), as accurate as float32.
Where there are too few tiles to fill the GPU, the sum over t is split among programs and their partial sums are
added in a fixed order: no atomics, the same numbers every time.

This module imports Triton; `operator.py` imports it only to dispatch here.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

PROGRAMS = 528  # about four per multiprocessor of a large GPU (132 on an H200)


@triton.jit(do_not_specialize=["height", "width", "fh", "fw", "oh", "ow", "pad_h", "pad_w", "share", "steps"])
def _correlate(
    image, taps, out, height, width, fh, fw, oh, ow, pad_h, pad_w, share, steps,
    FLIP_TAPS: tl.constexpr, FLIP_OUT: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    tiles_across = (ow + COLS - 1) // COLS
    tile, n, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    i = tile // tiles_across * ROWS + tl.arange(0, ROWS)
    first, j = tile % tiles_across * COLS, tl.arange(0, COLS)
    image += n.to(tl.int64) * height * width
    taps += (n // share).to(tl.int64) * fh * fw
    out += (n.to(tl.int64) * tl.num_programs(2) + split) * oh * ow

    span = fw + COLS - 1
    total = tl.full((ROWS, COLS), 0, out.dtype.element_ty)
    for step in range(split * steps, (split + 1) * steps):
        t = step * DEPTH + tl.arange(0, DEPTH)
        p, u = t // span, t % span

        row, col = i[:, None] + (p - pad_h)[None, :], (first + u - pad_w)[None, :]
        inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
        window = tl.load(image + row * width + col, mask=inside, other=0)

        q = u[:, None] - j[None, :]
        tap = p[:, None] * fw + q
        if FLIP_TAPS:
            tap = fh * fw - 1 - tap
        toeplitz = tl.load(taps + tap, mask=(p < fh)[:, None] & (q >= 0) & (q < fw), other=0)

        total = tl.dot(window, toeplitz, total, input_precision=PRECISION, out_dtype=out.dtype.element_ty)

    j += first
    pixel = i[:, None] * ow + j[None, :]
    if FLIP_OUT:
        pixel = oh * ow - 1 - pixel
    tl.store(out + pixel, total, mask=(i < oh)[:, None] & (j < ow)[None, :])


def correlate(
    image: Tensor, taps: Tensor, pad: tuple[int, int] = (0, 0), *, flip_taps: bool = False, flip_out: bool = False
) -> Tensor:
    """image (n, h, w), taps (m, fh, fw) where n is a multiple of m: image i uses taps i // (n / m).

    Returns the partial sums (n, splits, h + 2 pad - fh + 1, w + 2 pad - fw + 1).
    """
    image, taps = image.contiguous(), taps.contiguous()
    n, height, width = image.shape
    m, fh, fw = taps.shape
    oh, ow = height + 2 * pad[0] - fh + 1, width + 2 * pad[1] - fw + 1
    rows, cols, depth = 32, 16, 64
    tiles = triton.cdiv(oh, rows) * triton.cdiv(ow, cols)
    steps = triton.cdiv(fh * (fw + cols - 1), depth)
    splits = max(1, min(PROGRAMS // (tiles * n), steps // 4))
    steps = triton.cdiv(steps, splits)
    out = image.new_empty(n, splits, oh, ow)
    with torch.cuda.device_of(image):
        _correlate[(tiles, n, splits)](
            image, taps, out, height, width, fh, fw, oh, ow, *pad, n // m, steps,
            flip_taps, flip_out, "tf32x3" if image.dtype == torch.float32 else "ieee", rows, cols, depth,
        )  # fmt: skip
    return out


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, k: Tensor) -> Tensor:
        ctx.save_for_backward(x, k)
        y = correlate(x.flatten(0, 1), k, flip_taps=True).sum(1)
        return y.unflatten(0, x.shape[:2])

    @staticmethod
    @once_differentiable
    def backward(ctx, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, k = ctx.saved_tensors
        grad_x = grad_k = None
        if ctx.needs_input_grad[0]:
            pad = k.shape[1] - 1, k.shape[2] - 1
            grad_x = correlate(g.flatten(0, 1), k, pad).sum(1).reshape(x.shape)
        if ctx.needs_input_grad[1]:
            partial = correlate(x.flatten(0, 1), g.flatten(0, 1), flip_out=True)
            grad_k = partial.reshape(k.shape[0], -1, *k.shape[1:]).sum(1)
        return grad_x, grad_k


convolve = _Convolution.apply
