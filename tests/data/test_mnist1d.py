import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from sklearn.linear_model import LogisticRegression

from expkit.data.mnist1d import distort, templates

POINTS = 72


def distort_one(curve, zeros, gain, shift, background, noise, rise, length):
    """The published steps, one example at a time; where the curve is, is told by what is not zero, as there."""
    padded = np.concatenate([curve + 1e-8, np.zeros(zeros)])
    signal = np.interp(np.linspace(0, 1, POINTS), np.linspace(0, 1, len(padded)), padded)
    signal = np.roll(signal * gain, shift)
    signal = np.where(signal != 0, signal, gaussian_filter1d(background, 2)) + noise
    signal = signal - rise * np.linspace(-0.5, 0.5, POINTS)
    return np.interp(np.linspace(0, 1, length), np.linspace(0, 1, POINTS), signal)


def test_distortion_agrees_with_one_example_at_a_time():
    random = np.random.default_rng(0)
    n = 60
    draws = {
        "zeros": np.r_[36, 60, random.integers(36, 61, n - 2)],
        "gain": random.uniform(0.8, 1.2, n),
        "shift": np.r_[0, 0, random.integers(0, 48, n - 2)],
        "background": random.normal(0, 0.25, (n, POINTS)),
        "noise": random.normal(0, 0.02, (n, POINTS)),
        "rise": random.uniform(-0.375, 0.375, n),
    }
    curves = templates()[torch.arange(n) % 10]
    exact = {k: torch.as_tensor(v) if k in ("zeros", "shift") else torch.tensor(v).float() for k, v in draws.items()}
    ours = distort(curves, **exact, length=40)
    reference = [distort_one(curves[i].double().numpy(), *(v[i] for v in draws.values()), 40) for i in range(n)]
    np.testing.assert_allclose(ours.numpy(), np.stack(reference), atol=2e-5)


def test_every_digit_is_distributed_as_in_the_reference(build):
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 150)
    curves = templates().double().numpy()
    reference = np.stack(
        [
            distort_one(
                curves[label],
                zeros=36 + int(random.random() * 25),
                gain=1 + 0.4 * (random.random() - 0.5),
                shift=random.choice(48),
                background=0.25 * random.standard_normal(POINTS),
                noise=0.02 * random.standard_normal(POINTS),
                rise=0.75 * (random.random() - 0.5),
                length=40,
            )
            for label in labels
        ]
    )
    reference = (reference - reference.mean()) / reference.std()
    split = build("mnist1d", n_train=10_000, n_test=10).splits["train"]
    ours, target = split["input"][:, 0].numpy(), split["target"].numpy()
    z_scores, ratios = [], []
    for digit in range(10):
        a, b = ours[target == digit], reference[labels == digit]
        z_scores.append((a.mean(0) - b.mean(0)) / np.sqrt(a.var(0) / len(a) + b.var(0) / len(b)))
        ratios.append(a.std() / b.std())
    assert np.sqrt(np.mean(np.square(z_scores))) < 1.3
    assert np.abs(z_scores).max() < 5
    assert np.allclose(ratios, 1, atol=0.06)
    levels = [0.01, 0.1, 0.5, 0.9, 0.99]
    assert np.allclose(np.quantile(ours, levels), np.quantile(reference, levels), atol=0.08)


def test_without_distortion_an_example_is_its_curve(build):
    still = {"padding": [60, 60], "scale": 0, "max_translation": 1, "correlated_noise": 0, "noise": 0, "shear": 0}
    split = build("mnist1d", length=POINTS, n_train=20, batch_size="full", **still).splits["train"]
    signal = split["input"][:, 0]
    background = signal[:, -1:]
    assert torch.allclose(signal[:, 12:], background.expand(-1, 60))
    curve = (signal - background)[:, :12]
    expected = templates()[split["target"]]
    scale = curve.abs().max() / expected.abs().max()
    assert torch.allclose(curve, scale * expected, atol=1e-5)


def test_digits_are_equally_frequent_and_inputs_standardized(build):
    splits = build("mnist1d").splits
    assert splits["train"]["target"].bincount().tolist() == [400] * 10
    assert splits["test"]["target"].bincount().tolist() == [100] * 10
    assert splits["train"]["input"].shape == (4000, 1, 40)
    assert splits["train"]["input"].mean().abs() < 0.03
    assert (splits["train"]["input"].std() - 1).abs() < 0.03


def test_a_linear_model_is_as_bad_as_published(build):
    train, test = build("mnist1d").splits.values()
    linear = LogisticRegression(max_iter=100, tol=0.01).fit(train["input"].flatten(1), train["target"])
    assert linear.score(test["input"].flatten(1), test["target"]) == pytest.approx(0.32, abs=0.04)


def test_shuffling_permutes_the_points_of_all_examples_alike(build):
    plain = build("mnist1d", n_train=64).splits
    shuffled = build("mnist1d", n_train=64, shuffle_positions=True).splits
    order = (plain["train"]["input"][0] == shuffled["train"]["input"][0].T).int().argmax(1)
    assert order.unique().numel() == 40
    assert order.tolist() != list(range(40))
    for name in plain:
        assert torch.equal(shuffled[name]["input"], plain[name]["input"][..., order])


@pytest.mark.parametrize("wrong", [{"padding": [60, 36]}, {"padding": [36]}, {"max_translation": 100}])
def test_impossible_settings_are_refused(build, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build("mnist1d", **wrong)
