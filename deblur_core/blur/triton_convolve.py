"""The blur operator on the GPU: one Triton kernel that computes the value and both gradients.

Each of the three is the valid correlation of an image with taps,

    out[i, j] = sum_{p, q} image[i + p, j + q] taps[p, q]

    value           image = x                taps = k reversed
    gradient in x   image = g, zero-padded   taps = k
    gradient in k   image = x                taps = g, out reversed and summed over channels

computed as a matrix product: with u = q + j, a tile of ROWS x COLS outputs is a sum over the rows p of the
taps of image windows (i, u) times Toeplitz matrices (u, j),

    out[i, j] = sum_p sum_u image[i + p, u] taps[p, u - j],    u < width of the taps + COLS - 1.

So tensor cores do the arithmetic, in float32 accuracy. Where there are too few tiles to fill the GPU, the sum
is split among programs whose partial sums are added in a fixed order: no atomics, always the same numbers.

This module imports Triton; `operator.py` imports it only to dispatch here. It needs an NVIDIA GPU of compute
capability 8.0 (Ampere) or newer, or TRITON_INTERPRET=1 anywhere.
"""

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

# At or near the best of 36 launch shapes on an H200 for images of 255 px, kernels of 17-27, batch 1 to 32.
# Fixed, not tuned at run time: after a first call nothing compiles or is timed inside a CUDA-graph capture.
COLS, DEPTH = 32, 32
# Split the sum, down to STEPS steps, until there are so many programs: four on each of 132 multiprocessors.
PROGRAMS, STEPS = 528, 4


@triton.jit(do_not_specialize=["height", "width", "taps_height", "taps_width", "share", "steps"])
def _correlate(
    image, taps, out, height, width, taps_height, taps_width, share, steps,
    FLIP_TAPS: tl.constexpr, FLIP_OUT: tl.constexpr,
    ROWS: tl.constexpr, COLS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    tile, n, split = tl.program_id(0), tl.program_id(1).to(tl.int64), tl.program_id(2)
    out_height, out_width = height - taps_height + 1, width - taps_width + 1
    tiles_across = (out_width + COLS - 1) // COLS
    left = tile % tiles_across * COLS
    i = tile // tiles_across * ROWS + tl.arange(0, ROWS)
    j = left + tl.arange(0, COLS)
    image += n * height * width
    taps += n // share * taps_height * taps_width
    out += (n * tl.num_programs(2) + split) * out_height * out_width

    # Windows are read without masks: where they leave the image they meet zeros of the Toeplitz matrix, or
    # rows and columns that are not stored, so any finite pixel will do.
    row = tl.minimum(i, out_height - 1) * width
    total = tl.full((ROWS, COLS), 0, out.dtype.element_ty)
    for step in range(split * steps, (split + 1) * steps):
        p = step % taps_height
        u = left + step // taps_height * DEPTH + tl.arange(0, DEPTH)
        window = tl.load(image + p * width + (row[:, None] + tl.minimum(u, width - 1)[None, :]))
        q = u[:, None] - j[None, :]
        tap = (taps_height - p) * taps_width - 1 - q if FLIP_TAPS else p * taps_width + q
        toeplitz = tl.load(taps + tap, mask=(q >= 0) & (q < taps_width), other=0)
        total += _product(window, toeplitz)

    pixel = i[:, None] * out_width + j[None, :]
    if FLIP_OUT:
        pixel = out_height * out_width - 1 - pixel
    tl.store(out + pixel, total, mask=(i < out_height)[:, None] & (j < out_width)[None, :])


@triton.jit
def _product(a, b):
    """a @ b as accurate as float32, from three TF32 products: each factor is the sum of two TF32 numbers.

    The caller adds it to a running sum itself, because tensor cores truncate where they accumulate. Written
    out because it needs a third less time than Triton's own "tf32x3", which also takes care of infinities.
    """
    if a.dtype == tl.float64:
        product = tl.dot(a, b, out_dtype=tl.float64)
    else:
        a_high, b_high = _round_to_tf32(a), _round_to_tf32(b)
        product = tl.dot(a - a_high, b_high, input_precision="tf32")
        product = tl.dot(a_high, b - b_high, product, input_precision="tf32")
        product = tl.dot(a_high, b_high, product, input_precision="tf32")
    return product


@triton.jit
def _round_to_tf32(a):
    return ((a.to(tl.int32, bitcast=True) + 0x1000) & -0x2000).to(tl.float32, bitcast=True)


def correlate(image: Tensor, taps: Tensor, *, flip_taps: bool = False, flip_out: bool = False) -> Tensor:
    """Launch the kernel: image (n, h, w), taps (m, th, tw), each shared by n / m consecutive images.

    Returns partial sums (n, splits, h - th + 1, w - tw + 1), to be added over `splits`.
    """
    image, taps = image.contiguous(), taps.contiguous()
    (n, height, width), (m, taps_height, taps_width) = image.shape, taps.shape
    out_height, out_width = height - taps_height + 1, width - taps_width + 1
    rows = 32 if out_height <= 32 else 64
    tiles = triton.cdiv(out_height, rows) * triton.cdiv(out_width, COLS)
    all_steps = taps_height * triton.cdiv(taps_width + COLS - 1, DEPTH)
    steps = triton.cdiv(all_steps, max(1, min(PROGRAMS // (tiles * n), all_steps // STEPS)))
    splits = triton.cdiv(all_steps, steps)
    out = image.new_empty(n, splits, out_height, out_width)
    with torch.cuda.device_of(image):
        _correlate[(tiles, n, splits)](
            image, taps, out, height, width, taps_height, taps_width, n // m, steps, flip_taps, flip_out,
            ROWS=rows, COLS=COLS, DEPTH=DEPTH, num_warps=4, num_stages=1,
        )  # fmt: skip
    return out


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, k: Tensor) -> Tensor:
        ctx.save_for_backward(x, k)
        return correlate(x.flatten(0, 1), k, flip_taps=True).sum(1).unflatten(0, x.shape[:2])

    @staticmethod
    @once_differentiable
    def backward(ctx, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, k = ctx.saved_tensors
        kernels, kh, kw = k.shape
        g = g.flatten(0, 1)
        grad_x = grad_k = None
        if ctx.needs_input_grad[0]:
            grad_x = correlate(F.pad(g, (kw - 1, kw - 1, kh - 1, kh - 1)), k).sum(1).reshape(x.shape)
        if ctx.needs_input_grad[1]:
            grad_k = correlate(x.flatten(0, 1), g, flip_out=True).reshape(kernels, -1, kh, kw).sum(1)
        return grad_x, grad_k


convolve = _Convolution.apply
