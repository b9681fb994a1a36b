"""The base of every data set that fits in memory: named splits of named columns, read in index batches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Literal, TypedDict

import lightning.pytorch as lightning
import torch
from torch import Tensor

from expkit.errors import UserError
from expkit.seeding import generator

Split = dict[str, Tensor]
"""Columns of one split, with the same first dimension: 'input', 'target', and what else is known of an example."""


class Spec(TypedDict, total=False):
    """What a model and a task have to know of the data before they are drawn (in the YAML of each data set)."""

    shape: list[int]  # of one input: [features], [channels, length], [channels, height, width], [length] for tokens
    vocab: int  # inputs are integers below this
    classes: int  # targets are integers below this
    targets: int  # targets are vectors of this many numbers
    kind: str  # what an input is, where its shape does not say it: 'graph', 'fields', ...


class TensorData(lightning.LightningDataModule):
    """Splits held in memory, on one device.

    A subclass implements `draw`. It draws from `self.generator(name)`, one name per thing drawn, so that for example
    a larger training set leaves the test set as it was.

    Args:
        spec: shapes and ranges of the data; checked against what was drawn.
        batch_size: training examples per step, or 'full' for all of them.
        seed: of everything that `draw` draws.
    """

    def __init__(self, spec: Spec, batch_size: int | Literal["full"] = "full", seed: int = 0) -> None:
        super().__init__()
        self.spec = spec
        self.batch_size = batch_size
        self.seed = seed
        self.splits: dict[str, Split] = {}

    @abstractmethod
    def draw(self) -> dict[str, Split]:
        """The splits: 'train', 'test', optionally 'val'.

        'input' is float32 of shape (n, *spec.shape), or int64 tokens. 'target' is int64 of shape (n,) for classes,
        float32 of shape (n, targets) for regression, int64 of the input's shape for language modelling.
        """

    def generator(self, name: str) -> torch.Generator:
        """The random stream for one thing that is drawn, e.g. 'train'."""
        return generator(self.seed, f"data/{name}")

    def setup(self, stage: str | None = None) -> None:
        if not self.splits:
            self.splits = self.draw()
            for name, split in self.splits.items():
                self._check(name, split)

    def to(self, device: torch.device | str) -> TensorData:
        """Moves every split to the device, where batches are then taken from."""
        self.splits = {
            name: {column: values.to(device) for column, values in split.items()} for name, split in self.splits.items()
        }
        return self

    @property
    def n_train(self) -> int:
        return len(self.splits["train"]["input"])

    @property
    def batches_per_epoch(self) -> int:
        """Whole batches only: a rest smaller than `batch_size` waits for the next epoch's order."""
        return 1 if self.batch_size == "full" else self.n_train // self.batch_size

    def batch(self, index: int, seed: int, rank: int = 0, world_size: int = 1) -> Split:
        """Training batch number `index` (from 0, counted over epochs), or one rank's share of it.

        The order of epoch e depends on `seed` and e alone, so that any batch can be had without those before it:
        a run that resumes at step n continues with batch n.
        """
        train = self.splits["train"]
        if self.batch_size == "full":
            return train if world_size == 1 else {k: v[rank::world_size] for k, v in train.items()}
        epoch, position = divmod(index, self.batches_per_epoch)
        order = self.epoch_order(epoch, seed)
        chosen = order[position * self.batch_size : (position + 1) * self.batch_size][rank::world_size]
        return {column: values[chosen] for column, values in train.items()}

    def train_dataloader(self) -> Iterator[Split]:
        """One epoch, in the order of epoch 0, for use without expkit; expkit's engines call `batch`."""
        self.setup()
        return (self.batch(index, self.seed) for index in range(self.batches_per_epoch))

    def epoch_order(self, epoch: int, seed: int) -> Tensor:
        """The order of the training examples in an epoch, shape (n_train,)."""
        if getattr(self, "_order_key", None) != (epoch, seed):
            device = self.splits["train"]["input"].device
            permutation = torch.randperm(self.n_train, generator=generator(seed, f"order/{epoch}"))
            self._order_key, self._order_of_epoch = (epoch, seed), permutation.to(device)
        return self._order_of_epoch

    def _check(self, name: str, split: Split) -> None:
        lengths = {column: len(values) for column, values in split.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"{type(self).__name__}: columns of '{name}' differ in length: {lengths}")
        shape = self.spec.get("shape")
        drawn = list(split["input"].shape[1:])
        if shape is not None and drawn != list(shape):
            raise UserError(
                f"{type(self).__name__}: inputs of '{name}' have shape {drawn}; data.spec.shape says {list(shape)}.",
                "Correct `spec.shape` in the data set's YAML.",
            )
        classes = self.spec.get("classes")
        if classes is not None and "target" in split and int(split["target"].max()) >= classes:
            raise UserError(
                f"{type(self).__name__}: targets of '{name}' reach {int(split['target'].max())}, "
                f"but data.spec.classes is {classes}."
            )
        if name == "train" and isinstance(self.batch_size, int) and not 1 <= self.batch_size <= len(split["input"]):
            raise UserError(
                f"data.batch_size={self.batch_size}, but there are {len(split['input'])} training examples.",
                "Choose a size from 1 to that, or data.batch_size=full.",
            )
