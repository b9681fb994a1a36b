"""How hard or how important each training example is: EL2N, GraNd and forgetting events, averaged over networks."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import asdict
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from expkit.analysis.vmap_ensemble import Ensemble, Recipe, train_ensemble
from expkit.data.base import Split
from expkit.seeding import generator

Kind = Literal["el2n", "grand", "forgetting", "random"]


def el2n(logits: Tensor, target: Tensor) -> Tensor:
    """Error L2 norm (arXiv 2107.07075): |softmax(f(x)) - onehot(y)|, from 0 to sqrt(2).

    Shapes: (..., n, classes), (n,) -> (..., n).
    """
    return (logits.softmax(-1) - F.one_hot(target, logits.shape[-1])).norm(dim=-1)


class ForgettingEvents:
    """How often each example is classified rightly, and wrongly the next time that it is seen (arXiv 1812.05159).

    Args:
        shape: of the counts, such as (n,) or (members, n).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.events = torch.zeros(shape)
        self.right = torch.zeros(shape, dtype=torch.bool)  # the last time
        self.learned = torch.zeros(shape, dtype=torch.bool)  # at any time

    def see(self, examples: Tensor, right: Tensor) -> None:
        """Some examples, (..., k), each at most once in a row, and whether each is classified rightly now."""
        self.events.scatter_add_(-1, examples, (self.right.gather(-1, examples) & ~right).float())
        self.right.scatter_(-1, examples, right)
        self.learned.scatter_(-1, examples, self.learned.gather(-1, examples) | right)

    @property
    def counts(self) -> Tensor:
        """Events of each example; for those never classified rightly, one more than any example has."""
        return torch.where(self.learned, self.events, self.events.amax(-1, keepdim=True) + 1)


class ExampleScores:
    r"""A score of every training example, the mean over networks that are trained for it alone.

    ============  =============================================================================  ==================
    kind          score of (x, y), mean over networks                                            from
    ============  =============================================================================  ==================
    `el2n`        |softmax(f(x)) - onehot(y)| after `steps` steps                                arXiv 2107.07075
    `grand`       |d loss(f(x), y) / d weights| after `steps` steps                              arXiv 2107.07075
    `forgetting`  events "right before, wrong now" over `steps` steps, as x comes up in batches  arXiv 1812.05159
    `random`      uniform on [0, 1); no network is trained
    ============  =============================================================================  ==================

    The higher, the harder. The networks are trained as one vectorized program, by SGD with Nesterov's momentum at a
    constant learning rate. Equal settings on equal examples are computed once in a process, so that arms of a study
    that share scores do not pay for them again.

    Args:
        network: a classifier; it says the structure, its weights are drawn anew for every member.
        kind: see above.
        members: how many networks; fewer are a part of more.
        steps, batch_size, lr, momentum, weight_decay, init, init_scale: see `expkit.analysis.vmap_ensemble.Recipe`.

    Raises:
        ValueError: an unknown kind.
    """

    def __init__(
        self,
        network: nn.Module,
        kind: Kind,
        members: int,
        steps: int,
        batch_size: int,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        init: str = "torch",
        init_scale: float = 1.0,
    ) -> None:
        if kind not in ("el2n", "grand", "forgetting", "random"):
            raise ValueError(f"kind is el2n, grand, forgetting or random; got '{kind}'")
        self.network = network
        self.kind = kind
        self.members = members
        self.recipe = Recipe(steps, batch_size, lr, momentum, weight_decay, init, init_scale)

    def __call__(self, train: Split, seed: int) -> Tensor:
        """The score of each example, (n,).

        Args:
            train: 'input' and 'target', classes.
            seed: of all that is drawn.
        """
        if self.kind == "random":
            return torch.rand(len(train["target"]), generator=generator(seed, "scores"))
        key = self._key(train, seed)
        if key not in _COMPUTED:
            _COMPUTED[key] = self._computed(train, seed)
            while len(_COMPUTED) > KEPT:
                _COMPUTED.popitem(last=False)
        return _COMPUTED[key].clone()

    def _computed(self, train: Split, seed: int) -> Tensor:
        events = ForgettingEvents((self.members, len(train["target"])))
        observe = events.see if self.kind == "forgetting" else None
        ensemble = train_ensemble(self.network, train, self.members, self.recipe, seed, observe)
        return (
            {"el2n": _el2n, "grand": _grand}[self.kind](ensemble, train) if observe is None else events.counts.mean(0)
        )

    def _key(self, train: Split, seed: int) -> str:
        """What decides about the scores: settings, structure and examples themselves."""
        digest = hashlib.blake2b(f"{self.kind} {self.members} {asdict(self.recipe)} {seed} {self.network}".encode())
        for name, values in self.network.state_dict().items():
            digest.update(f"{name} {tuple(values.shape)}".encode())
        for column in ("input", "target"):
            digest.update(train[column].contiguous().numpy().tobytes())
        return digest.hexdigest()


KEPT = 256
"""Scores that a process keeps."""

_COMPUTED: OrderedDict[str, Tensor] = OrderedDict()


def _el2n(ensemble: Ensemble, train: Split) -> Tensor:
    return el2n(ensemble.logits(train["input"]), train["target"]).mean(0)


def _grand(ensemble: Ensemble, train: Split) -> Tensor:
    return ensemble.gradient_norms(train["input"], train["target"]).mean(0)
