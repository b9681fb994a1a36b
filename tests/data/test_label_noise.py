"""Labels are changed as often and into what the kind says."""

import pytest
import torch

from expkit.data.base import TensorData
from expkit.data.data_pruner import DataPruner
from expkit.data.label_noise import LabelNoise
from expkit.errors import UserError

N, K = 20_000, 5
SPEC = {"shape": [1], "classes": K}


class Numbers(TensorData):
    def draw(self):
        examples = {"input": torch.arange(N).float().unsqueeze(1), "target": torch.arange(N) % K}
        return {"train": examples, "test": dict(examples)}


def noisy(rate, kind="symmetric", seed=0, **options):
    data = LabelNoise(Numbers(spec=SPEC), rate=rate, kind=kind, spec=SPEC, seed=seed, **options)
    data.setup()
    return data.splits


@pytest.mark.parametrize(("kind", "wrong"), [("symmetric", 0.3 * (1 - 1 / K)), ("flip", 0.3), ("asymmetric", 0.3)])
def test_so_many_labels_are_wrong(kind, wrong):
    train = noisy(0.3, kind)["train"]
    assert torch.equal(train["clean"], torch.arange(N) % K)
    assert torch.equal(train["flipped"], train["target"] != train["clean"])
    assert train["flipped"].float().mean().item() == pytest.approx(wrong, abs=4 * (wrong / N) ** 0.5)


def test_what_labels_become():
    flipped = noisy(1.0, "flip")["train"]
    steps = torch.bincount((flipped["target"] - flipped["clean"]) % K, minlength=K) / N
    assert steps.tolist() == pytest.approx([0, 0.25, 0.25, 0.25, 0.25], abs=0.02)
    random = noisy(1.0)["train"]
    steps = torch.bincount((random["target"] - random["clean"]) % K, minlength=K) / N
    assert steps.tolist() == pytest.approx([0.2] * 5, abs=0.02)
    assert torch.equal(noisy(1.0, "asymmetric")["train"]["target"], (torch.arange(N) + 1) % K)


def test_other_splits_stay_clean_and_smaller_rates_change_a_part_of_the_labels():
    less, more = noisy(0.1, "flip"), noisy(0.4, "flip")
    assert torch.equal(less["test"]["target"], torch.arange(N) % K)
    assert "flipped" not in less["test"]
    changed = less["train"]["flipped"]
    assert more["train"]["flipped"][changed].all()
    assert torch.equal(more["train"]["target"][changed], less["train"]["target"][changed])
    assert noisy(0.4, splits=["train", "test"])["test"]["flipped"].any()
    assert not torch.equal(noisy(0.1, seed=1)["train"]["flipped"], noisy(0.1)["train"]["flipped"])


def pruned(score=lambda train, seed: train["input"].squeeze(1), **options):
    data = DataPruner(Numbers(spec=SPEC), score=score, spec=SPEC, **options)
    data.setup()
    return data


def test_the_highest_or_the_lowest_are_kept_in_their_order():
    assert pruned(keep=0.25).splits["train"]["row"].tolist() == list(range(N * 3 // 4, N))
    assert pruned(keep=0.25, which="lowest").splits["train"]["row"].tolist() == list(range(N // 4))
    window = pruned(keep=0.5, skip=0.1).splits["train"]
    assert window["row"].tolist() == list(range(round(0.4 * N), round(0.9 * N)))
    assert torch.equal(window["score"], window["row"].float())
    assert len(pruned(keep=0.25).splits["test"]["input"]) == N


def test_batches_come_from_what_is_kept():
    data = pruned(keep=0.01, batch_size=50)
    seen = torch.cat([data.batch(index, seed=0)["row"] for index in range(data.batches_per_epoch)])
    assert sorted(seen.tolist()) == list(range(N - 200, N))


def test_scores_are_seeded_by_the_data_and_not_by_the_size_kept():
    def score(train, seed):
        return torch.rand(N, generator=torch.Generator().manual_seed(seed))

    small, large = (set(pruned(score, keep=k).splits["train"]["row"].tolist()) for k in (0.1, 0.3))
    assert small < large
    assert set(pruned(score, keep=0.1, seed=1).splits["train"]["row"].tolist()) != small


def test_what_cannot_be():
    with pytest.raises(ValueError, match="shares"):
        pruned(keep=0.7, skip=0.4)
    with pytest.raises(ValueError, match="rate is a probability"):
        noisy(1.5)
    with pytest.raises(UserError, match="scores have shape"):
        pruned(lambda train, seed: torch.zeros(3), keep=0.5)
