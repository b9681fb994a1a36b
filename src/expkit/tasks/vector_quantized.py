"""Reconstruction through discrete codes."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from expkit.data.base import Split
from expkit.tasks.supervised import Reconstruction


class VectorQuantizedReconstruction(Reconstruction):
    """Squared error of the reconstruction, and the quantizer's own loss (arXiv 1711.00937, eq. 3).

    Its model has `reconstruct(input)`, which gives the reconstruction and what it was made from (see `VQVAE`).
    Metrics: `loss`, `mse` (mean over values), `quantization` (the quantizer's loss).
    """

    def objective(self, batch: Split) -> dict[str, Tensor]:
        model: Any = self.model
        output, quantized = model.reconstruct(batch["input"])
        error = F.mse_loss(output, batch["input"].flatten(1))
        return {"loss": error + quantized.loss, "mse": error, "quantization": quantized.loss}
