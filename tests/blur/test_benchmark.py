import pytest
import torch

from deblur_core.blur import benchmark


def test_rows_compare_the_methods_on_the_cpu():
    table = benchmark.rows("cpu", cases=((1, 64, 27), (2, 20, 5)))
    assert [(row["batch"], row["size"], row["kernel"], row["method"]) for row in table] == [
        (1, 64, 27, "direct"),
        (1, 64, 27, "fft"),
        (2, 20, 5, "direct"),
        (2, 20, 5, "fft"),
    ]
    assert all(0 < row["p20"] <= row["p50"] <= row["p80"] for row in table)
    assert table[1]["p20"] < table[0]["p20"]  # FFT, at 27x27


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_rows_on_the_gpu_know_their_roofline():
    table = benchmark.rows("cuda", cases=((1, 255, 27),))
    assert [row["method"] for row in table] == ["direct", "fft", "triton"]
    assert all(row["floor"] > 0 and row["roofline"] > 0 and row["eager"] > 0 for row in table)
