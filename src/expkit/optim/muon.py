"""Muon for the matrices inside a network, AdamW for everything else, as one optimizer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import Tensor, nn

NOT_HIDDEN = ("*embed*", "positions", "readout", "head", "lm_head", "classifier")
"""Names, as models commonly have them, of the layers that Muon's authors leave to AdamW."""


class Muon(torch.optim.Optimizer):
    r"""Momentum whose update of each matrix is orthogonalized, next to AdamW for what is not such a matrix.

    With gradient G_t of a matrix W (out, in), momentum B_0 = 0, mu = `momentum`, learning rate e and weight decay w:

        B_t = mu B_{t-1} + (1 - mu) G_t
        M_t = (1 - mu) G_t + mu B_t  if nesterov, else  B_t
        O_t = U V^T, approximately, of M_t = U S V^T, by `ns_steps` Newton-Schulz iterations (in bfloat16)
        W_t = (1 - e w) W_{t-1} - e s O_t

    where s is sqrt(max(1, out / in)) for adjust_lr_fn 'original' (Jordan et al. 2024,
    kellerjordan.github.io/posts/muon) and 0.2 sqrt(max(out, in)) for 'match_rms_adamw' (arXiv 2502.16982), under which
    learning rates and weight decays found for AdamW carry over. The updates are those of `torch.optim.Muon` and
    `torch.optim.AdamW`.

    Which parameter goes where: those with fewer than two dimensions (biases, gains) go to AdamW; those with a part of
    their dotted name that matches a pattern of `exclude` (embeddings, the readout) go to AdamW; all others go to Muon.
    A convolution kernel counts as the matrix (out, in * height * width), unless `kernels` is false.

    The parameter groups are named 'muon' and 'adamw' (key `name`); a schedule scales both learning rates.

    Args:
        params: pairs (name, parameter), such as `model.named_parameters()`.
        lr: e, of the matrices.
        weight_decay: w, of the matrices; decoupled, multiplied by lr at every step.
        momentum: mu, in [0, 1).
        nesterov: whether M_t looks ahead.
        ns_steps: Newton-Schulz iterations, below 100.
        adjust_lr_fn: how the step grows with the matrix, see above.
        kernels: whether parameters with more than two dimensions are flattened to matrices, or left to AdamW.
        exclude: shell patterns (`*`, `?`, `[...]`), each compared with every part of a name between dots.
        adamw_lr, adamw_betas, adamw_eps, adamw_weight_decay: of everything else.

    Raises:
        ValueError: no parameter is a matrix for Muon, or an argument is out of its range.
        TypeError: parameters came without names.
    """

    def __init__(
        self,
        params: Iterable[tuple[str, nn.Parameter]],
        lr: float = 0.02,
        weight_decay: float = 0.01,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        adjust_lr_fn: Literal["original", "match_rms_adamw"] = "original",
        kernels: bool = True,
        exclude: Sequence[str] = NOT_HIDDEN,
        adamw_lr: float = 3e-4,
        adamw_betas: Sequence[float] = (0.9, 0.95),
        adamw_eps: float = 1e-8,
        adamw_weight_decay: float = 0.01,
    ) -> None:
        named = _named(params)
        matrices = [pair for pair in named if is_hidden_matrix(*pair, kernels=kernels, exclude=exclude)]
        others = [pair for pair in named if not is_hidden_matrix(*pair, kernels=kernels, exclude=exclude)]
        if not matrices:
            raise ValueError(
                "Muon needs a parameter with two or more dimensions that `exclude` does not name; there are only "
                + ", ".join(name for name, _ in named)
            )
        # The two do the updates on whatever groups they are handed at a step; here they check the arguments and say
        # which keys a group of theirs has.
        self._muon = torch.optim.Muon(
            [torch.zeros(1, 1)],
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            nesterov=nesterov,
            ns_steps=ns_steps,
            adjust_lr_fn=adjust_lr_fn,
        )
        beta_1, beta_2 = adamw_betas
        self._adamw = torch.optim.AdamW(
            [torch.zeros(1)], lr=adamw_lr, betas=(beta_1, beta_2), eps=adamw_eps, weight_decay=adamw_weight_decay
        )
        groups = [{**self._muon.param_groups[0], "params": matrices, "name": "muon"}]
        if others:
            groups.append({**self._adamw.param_groups[0], "params": others, "name": "adamw"})
        super().__init__(groups, {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update; `closure`, if given, computes loss and gradients first, and its loss is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["name"] == "muon":
                self._step_matrices(group)
            else:
                self._adamw.param_groups, self._adamw.state = [group], self.state
                self._adamw.step()
        return loss

    def _step_matrices(self, group: dict[str, Any]) -> None:
        parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
        views = [_as_matrix(parameter) for parameter in parameters]
        self._muon.param_groups = [{**group, "params": views}]
        self._muon.state = defaultdict(
            dict, {view: self.state[parameter] for view, parameter in zip(views, parameters, strict=True)}
        )
        self._muon.step()
        self._muon.param_groups = []  # else the views would keep the gradients' memory until the next step

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_muon": self._muon, "_adamw": self._adamw}


def _named(params: Iterable[tuple[str, nn.Parameter]]) -> list[tuple[str, nn.Parameter]]:
    pairs = list(params)
    if not all(isinstance(pair, tuple) for pair in pairs):
        raise TypeError("Muon tells layers apart by name: give it model.named_parameters(), not model.parameters()")
    return pairs


def is_hidden_matrix(name: str, parameter: Tensor, *, kernels: bool, exclude: Sequence[str]) -> bool:
    """Whether a parameter is one for Muon, by the rule of its docstring."""
    if parameter.ndim < 2 or (parameter.ndim > 2 and not kernels):
        return False
    return not any(fnmatchcase(part, pattern) for part in name.split(".") for pattern in exclude)


def _as_matrix(parameter: Tensor) -> Tensor:
    """The parameter's own memory and gradient, seen as a matrix (out, everything else)."""
    assert parameter.grad is not None
    matrix = parameter.detach().view(len(parameter), -1)
    matrix.grad = parameter.grad.reshape(len(parameter), -1)
    return matrix
