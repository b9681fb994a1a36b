"""Scores of examples against closed forms: of linear softmax classifiers, and of sequences written by hand."""

import math

import pytest
import torch
from torch import nn

import expkit.analysis.example_scores as module
from expkit.analysis.example_scores import ExampleScores, ForgettingEvents, el2n
from expkit.data.base import TensorData
from expkit.probes.example_score import ExampleScore
from expkit.probes.forgetting_events import ForgettingEventsProbe
from expkit.tasks.supervised import Classification

N, D, K = 40, 6, 4


@pytest.fixture
def train():
    random = torch.Generator().manual_seed(0)
    target = torch.randint(K, (N,), generator=random)
    means = 3 * torch.eye(K, D)
    return {"input": means[target] + torch.randn(N, D, generator=random), "target": target}


class Given(TensorData):
    def __init__(self, split):
        super().__init__(spec={})
        self.split = split

    def draw(self):
        return {"train": self.split, "test": self.split}


def scores(kind, **changed):
    settings = {"members": 3, "steps": 12, "batch_size": 10, "lr": 0.1} | changed
    return ExampleScores(nn.Linear(D, K), kind, **settings)


def test_el2n_of_the_uniform_and_of_the_certain():
    assert el2n(torch.zeros(1, K), torch.tensor([0])).item() == pytest.approx(
        math.sqrt((1 - 1 / K) ** 2 + (K - 1) / K**2)
    )
    certain = 1000 * torch.eye(K)[:2]
    assert el2n(certain, torch.tensor([0, 3])).tolist() == pytest.approx([0, math.sqrt(2)])


def test_grand_of_a_linear_classifier_is_el2n_times_the_norm_of_the_input_and_the_bias(train):
    norm = (train["input"].square().sum(1) + 1).sqrt()
    one_network = {"members": 1}
    torch.testing.assert_close(scores("grand", **one_network)(train, 5), scores("el2n", **one_network)(train, 5) * norm)


def test_an_example_with_a_wrong_label_is_harder_than_others(train):
    train["target"][7] = (train["target"][7] + 1) % K
    for kind in ("el2n", "grand", "forgetting"):
        found = scores(kind, steps=100)(train, 0)
        assert found.shape == (N,)
        assert (found > found[7]).sum() <= 2


def test_fewer_networks_are_a_part_of_more(train):
    one, three = scores("el2n", members=1)(train, 2), scores("el2n", members=3)(train, 2)
    two = scores("el2n", members=2)(train, 2)
    third = 3 * three - 2 * two
    assert torch.all(third >= -1e-5)
    assert torch.all(2 * two - one <= math.sqrt(2) + 1e-5)
    assert not torch.allclose(one, three)


def test_equal_scores_are_computed_once_and_others_are_not_taken_for_them(train, monkeypatch):
    trained = []
    original = module.train_ensemble
    monkeypatch.setattr(module, "train_ensemble", lambda *a, **k: trained.append(1) or original(*a, **k))
    first = scores("el2n", lr=0.07)(train, 3)
    assert torch.equal(scores("el2n", lr=0.07)(train, 3), first)
    assert len(trained) == 1
    scores("el2n", lr=0.08)(train, 3)
    scores("el2n", lr=0.07)(train, 4)
    scores("el2n", lr=0.07)({**train, "target": train["target"].flip(0)}, 3)
    assert len(trained) == 4


def test_forgetting_events_by_hand():
    events = ForgettingEvents((3,))
    for right in ([1, 0, 1], [0, 0, 1], [1, 0, 1], [0, 0, 1]):
        events.see(torch.arange(3), torch.tensor(right, dtype=torch.bool))
    assert events.events.tolist() == [2, 0, 0]
    assert events.counts.tolist() == [2, 3, 0]  # the second was never learned
    events.see(torch.tensor([1]), torch.tensor([True]))
    assert events.counts.tolist() == [2, 0, 0]


def test_the_probes_agree_with_closed_forms_on_a_linear_classifier(train):
    data = Given(train)
    data.setup()
    torch.manual_seed(0)
    task = Classification(nn.Linear(D, K), K).eval()
    kept = {}
    with torch.no_grad():
        for kind in ("el2n", "grand", "loss"):
            kept |= ExampleScore(kind, chunk=7).conclude(task, data)
        probability = task.model(train["input"]).softmax(-1)
    wrong = (probability - torch.eye(K)[train["target"]]).square().sum(1).sqrt()
    torch.testing.assert_close(kept["el2n/train"], wrong)
    torch.testing.assert_close(kept["grand/train"], wrong * (train["input"].square().sum(1) + 1).sqrt())
    torch.testing.assert_close(kept["loss/train"], -probability[torch.arange(N), train["target"]].log())
    assert kept["loss/train_mean"] == pytest.approx(task.evaluate(train)["loss"], rel=1e-5)


def test_the_probe_of_forgetting_goes_on_from_its_state(train):
    data = Given({"input": torch.eye(K)[:2], "target": torch.tensor([0, 1])})
    data.setup()
    right, wrong = torch.eye(K), torch.eye(K).roll(1, 0)
    task = Classification(nn.Linear(K, K, bias=False), K)
    probe = ForgettingEventsProbe()

    def at(weights):
        with torch.no_grad():
            task.model.weight.copy_(weights)
        return probe.measure(task, data)["forgetting/train_events"]

    assert [at(right), at(wrong)] == [0, 1]
    again = ForgettingEventsProbe()
    again.load_state_dict(probe.state_dict())
    probe = again
    assert [at(wrong), at(right), at(wrong)] == [1, 1, 2]
    assert probe.conclude(task, data)["forgetting/train"].tolist() == [2, 2]
