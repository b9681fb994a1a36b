import pytest
import torch


def test_every_channel_of_every_example_spikes_once(build):
    for split in build("spike_latency_patterns").splits.values():
        assert split["input"].sum(2).unique().tolist() == [1]


def test_spikes_come_at_the_latencies_of_the_class_around_a_common_onset(build):
    data = build("spike_latency_patterns", n_train=4000)
    train = data.splits["train"]
    times = train["input"].argmax(2).double()
    apart = times - times[:, :1]
    for label in range(8):
        mean = apart[train["target"] == label].mean(0)
        expected = (data.latencies[label] - data.latencies[label, 0]).double()
        assert torch.allclose(mean, expected, atol=0.5)  # 500 examples: 3 standard errors are 0.38
    around = times - data.latencies[train["target"]]
    rest = around - around.mean(1, keepdim=True)
    # jitter and its rounding, of 20 channels around their mean
    assert float(rest.square().sum() / (19 * 4000)) == pytest.approx(2**2 + 1 / 12, rel=0.03)
    assert float(around.mean()) == pytest.approx(6 + 5, abs=0.2)
    assert float(around.mean(1).var()) == pytest.approx(10 + (2**2 + 1 / 12) / 20, rel=0.05)  # of 0 ... 10


def test_the_seed_decides_and_the_test_split_not_the_size_of_the_other(build):
    one, more, other = (
        build("spike_latency_patterns", seed=s, n_train=n).splits for s, n in ((0, 64), (0, 80), (1, 64))
    )
    assert torch.equal(one["test"]["input"], more["test"]["input"])
    assert not torch.equal(one["test"]["input"], other["test"]["input"])
    assert not torch.equal(one["train"]["input"], one["test"]["input"][:64])


def test_classes_are_balanced(build):
    assert (
        build("spike_latency_patterns", n_train=804).splits["train"]["target"].bincount().tolist()
        == [101] * 4 + [100] * 4
    )


def test_patterns_have_to_fit(build):
    with pytest.raises(ValueError, match="need 63 time steps, and length is 60"):
        build("spike_latency_patterns", span=40)


def test_classes_differ_in_the_order_of_volleys_alone(build):
    latencies = build("spike_latency_patterns").latencies
    volleys = latencies.unflatten(1, (5, 4))
    assert (volleys == volleys[:, :, :1]).all()  # the same channels together
    assert (volleys[:, :, 0].sort(1).values == torch.arange(0, 29, 7)).all()  # at the same times
    assert len({tuple(order) for order in latencies.tolist()}) == 8
