import torch

from deblur_core.models import xydeblur_benchmark as benchmark
from deblur_core.models.xydeblur import XYDeblur


def test_rows_compare_every_variant_in_every_number_format():
    table = benchmark.rows("cpu", repeats=1, crops=1, pixels=8)
    assert len(table) == 10
    assert {row["one decoder"] for row in table if row["variant"] == "one decoder"} == {"1.00"}
    assert all(row["milliseconds"] > 0 for row in table)


def test_every_variant_computes_the_same():
    network = XYDeblur(2, width=4, blocks=1).double()
    y = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)).double()
    expected = network.residuals(y)
    for residuals in (benchmark.in_one_batch, benchmark.in_the_default_layout):
        assert torch.allclose(residuals(network, y), expected, atol=1e-12)
