"""Nearest-code quantizers of latent vectors, with gradients passed straight through."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DISTANCES_AT_ONCE = 2**21


class Quantized(NamedTuple):
    """What a quantizer makes of latents.

    Args:
        values: the nearest codes, (..., dim), with the gradient of the latents.
        codes: their numbers, (...).
        loss: what pulls codes and latents to each other, ().
    """

    values: Tensor
    codes: Tensor
    loss: Tensor


class VectorQuantizer(nn.Module):
    r"""z -> q(z) = e_k with k = argmin_j |z - e_j|, and d q / d z = 1 (arXiv 1711.00937).

    Its loss is E |sg(z) - q|^2 + commitment E |z - sg(q)|^2, means over latents and their entries; sg passes no
    gradient.
    Codes start Gaussian with variance 1 / dim. Kinds of codebook:

    =========  =======================================================================================================
    `plain`    codes are parameters, of which a step moves those that were chosen (arXiv 1711.00937)
    `ema`      codes are running means of the latents that chose them, without a loss (arXiv 1711.00937, appendix A.1)
    `low_dim`  latents are projected to `code_dim` numbers and, as codes, to the unit sphere before they are compared;
               the code is projected back (arXiv 2110.04627)
    `simvq`    code j is W b_j + c with a basis b that stays as it was drawn and a trained linear layer, so that each
               step moves all codes (arXiv 2411.02038)
    =========  =======================================================================================================

    Args:
        n_codes: K.
        dim: of a latent.
        kind: see above.
        commitment: weight of the second term.
        code_dim: of a code, for `low_dim`.
        decay: of the running means, for `ema`.
        train_basis: whether the basis of `simvq` is trained as well.

    Shapes: (..., dim) -> values (..., dim), codes (...).
    """

    basis: Tensor  # (n_codes, dim or code_dim), a buffer for `ema`
    counts: Tensor  # (n_codes,), running mean of how many latents of a batch chose a code, for `ema`
    sums: Tensor  # (n_codes, dim), and of their sum

    def __init__(
        self,
        n_codes: int,
        dim: int,
        kind: Literal["plain", "ema", "low_dim", "simvq"] = "plain",
        commitment: float = 0.25,
        code_dim: int = 4,
        decay: float = 0.99,
        train_basis: bool = False,
    ) -> None:
        super().__init__()
        self.kind, self.commitment, self.decay = kind, commitment, decay
        width = code_dim if kind == "low_dim" else dim
        start = torch.randn(n_codes, width) / dim**0.5
        self.down = nn.Linear(dim, code_dim) if kind == "low_dim" else nn.Identity()
        self.up = nn.Linear(code_dim, dim) if kind == "low_dim" else nn.Identity()
        self.layer = nn.Linear(dim, dim) if kind == "simvq" else nn.Identity()
        if kind == "ema":
            self.register_buffer("basis", start)
            self.register_buffer("counts", torch.ones(n_codes))
            self.register_buffer("sums", start.clone())
        else:
            self.basis = nn.Parameter(start, requires_grad=kind != "simvq" or train_basis)

    def codebook(self) -> Tensor:
        """The codes that latents are compared with, (n_codes, dim), or (n_codes, code_dim) for `low_dim`."""
        codes = self.layer(self.basis)
        return F.normalize(codes, dim=-1) if self.kind == "low_dim" else codes

    def forward(self, latents: Tensor) -> Quantized:
        z = self.down(latents)
        if self.kind == "low_dim":
            z = F.normalize(z, dim=-1)
        codebook = self.codebook()
        chosen = nearest(z.detach(), codebook.detach())
        code = F.embedding(chosen, codebook)
        if self.kind == "ema":
            if self.training:
                self._follow(z.detach(), chosen)
            loss = self.commitment * F.mse_loss(z, code)
        else:
            loss = F.mse_loss(code, z.detach()) + self.commitment * F.mse_loss(z, code.detach())
        return Quantized(self.up(z + (code - z).detach()), chosen, loss)

    @torch.no_grad()
    def _follow(self, z: Tensor, chosen: Tensor) -> None:
        """Moves the running means of the latents of each code."""
        codes = torch.arange(len(self.counts), device=z.device)
        picked = (chosen.flatten().unsqueeze(1) == codes).to(z.dtype)  # F.one_hot asks for the largest, unlike vmap
        self.counts.mul_(self.decay).add_((1 - self.decay) * picked.sum(0))
        self.sums.mul_(self.decay).add_((1 - self.decay) * picked.T @ z.flatten(0, -2))
        self.basis.copy_(self.sums / self.counts.clamp(min=1e-5).unsqueeze(1))


def nearest(latents: Tensor, codebook: Tensor) -> Tensor:
    """The number of the code that is nearest to each latent: (..., d) and (K, d) to (...)."""
    offset, directions = codebook.square().sum(-1), -2 * codebook.T
    # Some latents at a time: their distances to all codes, of which only the smallest counts, stay in the cache.
    parts = latents.flatten(0, -2).split(max(1, DISTANCES_AT_ONCE // len(codebook)))
    return torch.cat([(part @ directions + offset).argmin(-1) for part in parts]).view(latents.shape[:-1])
