"""The training batches of a stack of runs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from expkit.data.base import Split, TensorData
from expkit.engines.fused.not_fusable import NotFusable
from expkit.engines.fused.stack import Stack


class Batches:
    """Hands out every run's batches, in the order that the run takes them in by itself.

    Args:
        stack: has the examples. `keep` is called whenever runs were dropped from it.
        data: of each run; runs on the same data may have the same object.
        seeds: of each run; the order of its examples derives from it.
        overfit: so many batches are taken again and again, 0 for all there are.

    Attributes:
        same: whether all runs take the same batches, as those of a sweep of learning rates.

    Raises:
        NotFusable: a data set makes its batches in a way of its own.
    """

    def __init__(self, stack: Stack, data: Sequence[TensorData], seeds: Sequence[int], overfit: int = 0) -> None:
        for kind in {type(one) for one in data}:
            if kind.batch is not TensorData.batch:
                raise NotFusable("data", f"{kind.__name__} makes its batches itself")
        self.seeds = list(seeds)
        self._stack, self._data, self._overfit = stack, list(data), overfit
        self.same = data[0].batch_size == "full" or len(set(self._order_keys())) == 1
        self._orders: tuple[int, Tensor] | None = None  # of an epoch

    @property
    def shared(self) -> frozenset[str]:
        """The columns of a batch that all runs share."""
        return self._stack.shared["train"] if self.same else frozenset()

    def keep(self, places: Sequence[int]) -> None:
        """Goes on with some runs only, in the order given."""
        self._data = [self._data[place] for place in places]
        self.seeds = [self.seeds[place] for place in places]
        self._orders = None

    def at(self, index: int) -> Split:
        """Batch number `index`, from 0 and counted over epochs, of every run; columns in `shared` once for all."""
        train, shared, first = self._stack.splits["train"], self._stack.shared["train"], self._data[0]
        if first.batch_size == "full":
            return train
        size = first.batch_size
        index = index % self._overfit if self._overfit else index
        epoch, position = divmod(index, first.batches_per_epoch)
        chosen = self._order_of(epoch)[:, position * size : (position + 1) * size]
        if self.same:
            return {name: values[chosen[0]] for name, values in train.items()}
        run = torch.arange(len(chosen), device=chosen.device).unsqueeze(1)
        return {name: values[chosen] if name in shared else values[run, chosen] for name, values in train.items()}

    def _order_of(self, epoch: int) -> Tensor:
        """The order of each run's training examples in an epoch, (R, n_train), or (1, n_train) if they have one."""
        if self._orders is None or self._orders[0] != epoch:
            keys = self._order_keys()
            orders = {
                key: data.epoch_order(epoch, key[1]) for key, data in dict(zip(keys, self._data, strict=True)).items()
            }
            stacked = torch.stack(list(orders.values()) if self.same else [orders[key] for key in keys])
            self._orders = (epoch, stacked.to(self._stack.splits["train"]["input"].device))
        return self._orders[1]

    def _order_keys(self) -> list[tuple[int, int]]:
        """What decides about the order of each run's examples."""
        return [(id(data), seed) for data, seed in zip(self._data, self.seeds, strict=True)]
