"""A log of items that users were shown: which of them they clicked, and what they had clicked before."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from expkit.data.base import Spec, Split, TensorData


class SyntheticInteraction(TensorData):
    r"""Users with several latent interests, who click what matches something in their history.

    Every item has a category. A user has `interests` categories, and a history of items from them: the category
    uniform among the interests, the item within it by a Zipf law. A candidate is from one of the interests with
    probability 1/2, else from another category. The click depends on the history items of the candidate's category
    alone: with m of them,

        P(click) = sigmoid(gain (1 - 2 exp(-m))).

    Columns, for n impressions (rows):

    ===================  ===========================  ==============================================================
    'input'              (n, 2)                       the candidate: item, category
    'history'            (n, length, 2)               the same of the user's history
    'target'             (n,)                         1 for a click
    'user'               (n,)                         whose impression it is
    'probability'        (n,)                         of a click, which no model can better
    'input_count'        (n, 2)                       how often item and category occur in training, in candidates
    'history_count'      (n, length, 2)               and histories, at least 1
    ===================  ===========================  ==============================================================

    Args:
        n_users: number of users; impressions are dealt to them evenly, in training and test.
        n_items, n_categories: numbers of them; items have category number modulo `n_categories`.
        interests: categories per user, below `n_categories`.
        length: of the history.
        zipf: exponent a: the k-th most popular item of a category is chosen in proportion to k^-a.
        gain: log-odds of a click with many matches; without any they are its negative.
        n_train, n_test: numbers of impressions.

    Raises:
        ValueError: as many interests as categories, or fewer items than categories.
    """

    def __init__(
        self,
        n_users: int,
        n_items: int,
        n_categories: int,
        interests: int,
        length: int,
        zipf: float,
        gain: float,
        n_train: int,
        n_test: int,
        spec: Spec,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        if not 1 <= interests < n_categories:
            raise ValueError(f"interests are at least 1 and fewer than the {n_categories} categories, got {interests}")
        if n_items < n_categories:
            raise ValueError(f"every category has an item; n_items={n_items} is below n_categories={n_categories}")
        self.n_users = n_users
        self.n_items = n_items
        self.n_categories = n_categories
        self.interests = interests
        self.length = length
        self.zipf = zipf
        self.gain = gain
        self.n_examples = {"train": n_train, "test": n_test}

    def draw(self) -> dict[str, Split]:
        random = self.generator("users")
        order = torch.rand(self.n_users, self.n_categories, generator=random).argsort(1)
        own = torch.randint(self.interests, (self.n_users, self.length), generator=random)
        history = self._items(order.gather(1, own), random)
        splits = {
            name: self._impressions(n, order, history, self.generator(name)) for name, n in self.n_examples.items()
        }
        train = splits["train"]
        for split in splits.values():
            split |= self._counts(split, train)
        return splits

    def _impressions(self, n: int, order: Tensor, history: Tensor, random: torch.Generator) -> Split:
        user = torch.arange(n) % self.n_users
        matching = torch.rand(n, generator=random) < 0.5
        inside = torch.randint(self.interests, (n,), generator=random)
        outside = torch.randint(self.interests, self.n_categories, (n,), generator=random)
        category = order[user, torch.where(matching, inside, outside)]
        own = history[user]
        matches = (own[..., 1] == category.unsqueeze(1)).sum(1)
        probability = torch.sigmoid(self.gain * (1 - 2 * torch.exp(-matches.float())))
        return {
            "input": self._items(category, random),
            "history": own,
            "target": (torch.rand(n, generator=random) < probability).long(),
            "user": user,
            "probability": probability,
        }

    def _items(self, category: Tensor, random: torch.Generator) -> Tensor:
        """An item of each category, by popularity: (..., 2), item and category."""
        sizes = torch.tensor([len(range(c, self.n_items, self.n_categories)) for c in range(self.n_categories)])
        weights = torch.arange(1, int(sizes.max()) + 1, dtype=torch.float64) ** -self.zipf
        totals = weights.cumsum(0)
        uniform = torch.rand(category.shape, generator=random, dtype=torch.float64)
        rank = torch.searchsorted(totals, uniform * totals[sizes[category] - 1])
        return torch.stack([category + self.n_categories * rank, category], dim=-1)

    def _counts(self, split: Split, train: Split) -> Split:
        """How often what a split holds occurs in training."""
        counted: Split = {}
        for place, size in enumerate((self.n_items, self.n_categories)):
            seen = torch.cat([train["input"][:, place], train["history"][..., place].flatten()])
            occurrences = seen.bincount(minlength=size).clamp(min=1).float()
            for name in ("input", "history"):
                counted.setdefault(f"{name}_count", torch.ones(split[name].shape))[..., place] = occurrences[
                    split[name][..., place]
                ]
        return counted
