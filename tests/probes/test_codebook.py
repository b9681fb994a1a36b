"""How much of a codebook is used, for codes that are given."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from expkit.models.vector_quantizer import VectorQuantizer
from expkit.probes.codebook import Codebook


class Quantizing(nn.Module):
    """Puts out the nearest of four corners of a square."""

    def __init__(self) -> None:
        super().__init__()
        self.quantizer = VectorQuantizer(4, 2)
        self.quantizer.basis.data = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])

    def reconstruct(self, x):
        quantized = self.quantizer(x.unsqueeze(1))
        return quantized.values.flatten(1), quantized

    def forward(self, x):
        return self.reconstruct(x)[0]


def test_of_four_codes() -> None:
    inputs = torch.tensor([[0.1, 0.0], [0.0, -3.0], [0.2, 0.9], [0.1, 0.2]])
    data = SimpleNamespace(splits={"train": {"input": inputs}, "test": {"input": inputs}})
    task = SimpleNamespace(model=Quantizing())
    measured = Codebook().measure(task, data)
    assert measured["codebook/utilization"] == 0.5
    assert measured["codebook/perplexity"] == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))
    found = Codebook(pictures=3).conclude(task, data)
    assert found["codebook/counts"].tolist() == [3, 1, 0, 0]
    assert torch.allclose(found["codebook/reconstructions"], torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]]))
