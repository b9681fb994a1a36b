"""Any data set with a part of its training examples, chosen by a score."""

from __future__ import annotations

from typing import Literal, Protocol

from torch import Tensor

from expkit.data.base import Spec, Split, TensorData
from expkit.data.wrapper import Wrapper
from expkit.errors import UserError
from expkit.seeding import derive


class Score(Protocol):
    """Gives each example of a split a number, (n,); what it draws depends on the seed alone."""

    def __call__(self, train: Split, seed: int) -> Tensor: ...


class DataPruner(Wrapper):
    """Keeps round(`keep` n) of the n training examples: those of highest, or of lowest score.

    With `skip` the first round(`skip` n) in that order are left out, so that a window is kept: where wrong labels have
    the highest scores, the hardest examples but the very hardest (arXiv 2107.07075, section 3). Further columns of
    'train': 'row', the place among all n, and 'score'. The examples stay in their order, other splits stay as they are.

    Args:
        of: the data set.
        score: such as `expkit.analysis.example_scores.ExampleScores`.
        keep: share of the examples, above 0.
        which: 'highest' (hardest) or 'lowest' (easiest) first.
        skip: share of the examples; keep + skip is at most 1.

    Raises:
        ValueError: shares that cannot be.
    """

    def __init__(
        self,
        of: TensorData,
        score: Score,
        keep: float,
        spec: Spec,
        which: Literal["highest", "lowest"] = "highest",
        skip: float = 0.0,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(of=of, spec=spec, batch_size=batch_size, seed=seed)
        if not 0 < keep <= 1 or not 0 <= skip <= 1 or keep + skip > 1 + 1e-9:
            raise ValueError(f"keep and skip are shares with a sum of at most 1, keep above 0; got {keep} and {skip}")
        if which not in ("highest", "lowest"):
            raise ValueError(f"which is highest or lowest, got '{which}'")
        self.score = score
        self.keep = keep
        self.which = which
        self.skip = skip

    def change(self, splits: dict[str, Split]) -> dict[str, Split]:
        train = splits["train"]
        n = len(train["input"])
        score = self.score(train, derive(self.seed, "data/scores"))
        if score.shape != (n,):
            raise UserError(f"The scores have shape {list(score.shape)}, but there are {n} training examples.")
        first, count = round(self.skip * n), round(self.keep * n)
        order = score.argsort(descending=self.which == "highest", stable=True)
        row = order[first : first + count].sort().values
        pruned = {name: values[row] for name, values in train.items()}
        return {**splits, "train": {**pruned, "row": row, "score": score[row]}}
