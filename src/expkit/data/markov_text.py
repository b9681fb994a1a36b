"""Token streams of a random Markov chain, for language modelling with a known lowest loss."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from expkit.data.base import Spec, Split, TensorData
from expkit.errors import UserError
from expkit.seeding import stream

MOST_CONTEXTS = 4096  # the stationary distribution is solved for with a dense matrix of this size squared


class MarkovText(TensorData):
    r"""Each token depends on the `order` tokens before it, its context: P(. | context) ~ Dirichlet(concentration).

    Windows are independent and stationary. The target at each position is the next token; the first order - 1
    targets are -100 and do not count, for their context is not in the window. So no model has an expected loss below

        entropy_rate = - \sum_c pi(c) \sum_x P(x | c) log P(x | c)   nats per token,

    with pi the stationary distribution of contexts, and the chain itself reaches it. Columns: 'input' (n, length),
    'target' (n, length).

    Args:
        vocab: number of different tokens.
        order: tokens of context; vocab^order is at most 4096.
        concentration: of the Dirichlet distribution, at least 0.01; small values make the next token nearly certain.
        length: tokens per window, at least `order`.
        n_train, n_test: numbers of windows.
    """

    def __init__(
        self,
        vocab: int,
        order: int,
        concentration: float,
        length: int,
        n_train: int,
        n_test: int,
        spec: Spec,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        if vocab < 2 or order < 1 or vocab**order > MOST_CONTEXTS:
            raise ValueError(f"vocab^order is at most {MOST_CONTEXTS}, got vocab={vocab}, order={order}")
        if concentration < 0.01:  # the probabilities of whole rows would underflow, and such rows come out uniform
            raise ValueError(f"concentration is at least 0.01, got {concentration}")
        if length < order:
            raise ValueError(f"a window of length={length} does not hold a context of order={order}")
        self.vocab = vocab
        self.order = order
        self.concentration = concentration
        self.length = length
        self.n_examples = {"train": n_train, "test": n_test}

    @cached_property
    def transitions(self) -> Tensor:
        """P(next token | context), shape (vocab^order, vocab); in a context's number the oldest token leads."""
        concentration = torch.full((self.vocab**self.order, self.vocab), self.concentration, dtype=torch.float64)
        # torch's Dirichlet takes no generator; inside `stream` its global one stands where that of this name would
        with stream(self.seed, "data/transitions"):
            return torch.distributions.Dirichlet(concentration).sample()

    @cached_property
    def stationary(self) -> Tensor:
        """Stationary distribution of contexts, shape (vocab^order,), float64."""
        contexts = self.vocab**self.order
        context = torch.arange(contexts).unsqueeze(1)
        following = context * self.vocab % contexts + torch.arange(self.vocab)
        step = torch.zeros(contexts, contexts, dtype=torch.float64).scatter_(1, following, self.transitions)
        # pi (step - 1) = 0, whose equations are dependent: the last one is replaced by sum(pi) = 1
        equations = step.T - torch.eye(contexts, dtype=torch.float64)
        equations[-1] = 1
        right = torch.zeros(contexts, dtype=torch.float64)
        right[-1] = 1
        solution, info = torch.linalg.solve_ex(equations, right)
        if info != 0 or (solution @ step - solution).abs().max() > 1e-9 or solution.min() < -1e-9:
            raise UserError(
                f"MarkovText: with data.concentration={self.concentration} the chain falls into parts between which it "
                "hardly ever moves, and its stationary distribution is not determined.",
                "Choose a larger concentration, or another data.seed.",
            )
        return solution.clamp(min=0) / solution.clamp(min=0).sum()

    @property
    def entropy_rate(self) -> float:
        """The lowest possible expected loss, in nats per token."""
        return float(self.stationary @ torch.special.entr(self.transitions).sum(1))

    def draw(self) -> dict[str, Split]:
        return {name: self._windows(name) for name in self.n_examples}

    def _windows(self, name: str) -> Split:
        n, random = self.n_examples[name], self.generator(name)
        context = torch.multinomial(self.stationary, n, replacement=True, generator=random)
        tokens = [context // self.vocab**power % self.vocab for power in reversed(range(self.order))]
        cumulative = self.transitions.cumsum(1)[:, :-1].contiguous()
        while len(tokens) < self.length + 1:
            uniform = torch.rand(n, 1, dtype=torch.float64, generator=random)
            tokens.append(torch.searchsorted(cumulative[context], uniform, right=True).squeeze(1))
            context = context * self.vocab % self.vocab**self.order + tokens[-1]
        text = torch.stack(tokens, dim=1)
        target = text[:, 1:].clone()
        target[:, : self.order - 1] = -100
        return {"input": text[:, :-1].contiguous(), "target": target}
