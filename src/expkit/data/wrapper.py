"""The base of data sets that are made from any other one."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

from expkit.data.base import Spec, Split, TensorData


class Wrapper(TensorData):
    """Another data set, changed. A subclass implements `change`, and draws from `self.generator(name)`.

    Its YAML has the other data set below `of`, with the wrapper's own seed, so that `data.seed` is that of both:

        defaults: [{/data@of: mnist1d}, _self_]       # another one by data@data.of=digits
        of: {seed: "${..seed}"}
        batch_size: ${.of.batch_size}
        spec: ${.of.spec}

    Wrappers go around each other: `data@data.of=label_noise data@data.of.of=digits`.

    Args:
        of: the other data set; its batch size does not matter.
        spec: of the result; that of the other, unless shapes or classes change.
        batch_size, seed: as in `TensorData`.
    """

    def __init__(self, of: TensorData, spec: Spec, batch_size: int | Literal["full"] = "full", seed: int = 0) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        self.of = of

    def draw(self) -> dict[str, Split]:
        return self.change(self.of.draw())

    @abstractmethod
    def change(self, splits: dict[str, Split]) -> dict[str, Split]:
        """The splits, given those of the other data set, which are its own: new columns may be put in place."""
