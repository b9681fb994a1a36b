import pytest
import torch
from torch.distributions import MultivariateNormal, Normal


def accuracy(data):
    test = data.splits["test"]
    return float((data.posterior(test["input"]).argmax(1) == test["target"]).double().mean())


@pytest.mark.parametrize("separation", [1.0, 3.0])
def test_the_bayes_classifier_of_two_classes_reaches_phi_of_half_the_separation(build, separation):
    n = 100_000
    data = build("gaussian_mixture", separation=separation, dim=5, n_test=n)
    best = float(Normal(0, 1).cdf(torch.tensor(separation / 2)))
    assert accuracy(data) == pytest.approx(best, abs=4 * (best * (1 - best) / n) ** 0.5)


@pytest.mark.parametrize("placement", ["simplex", "random"])
def test_the_posterior_is_bayes_rule_on_the_densities(build, placement):
    data = build("gaussian_mixture", classes=3, dim=4, means=placement, weights=[1, 2, 7])
    x = 2 * torch.randn(50, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    means = data.means.double()
    density = torch.stack([MultivariateNormal(mean, torch.eye(4).double()).log_prob(x) for mean in means], 1).exp()
    joint = density * torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
    assert torch.allclose(data.posterior(x), joint / joint.sum(1, keepdim=True), atol=1e-6)


def test_the_posterior_is_calibrated_on_what_was_drawn(build):
    data = build("gaussian_mixture", classes=3, dim=4, separation=1.5, weights=[1, 2, 7], n_test=50_000)
    test = data.splits["test"]
    likeliest = data.posterior(test["input"]).max(1)
    spread = (likeliest.values * (1 - likeliest.values)).sum().sqrt() / 50_000
    assert abs(accuracy(data) - float(likeliest.values.mean())) < 4 * float(spread)


@pytest.mark.parametrize(("classes", "dim"), [(2, 1), (5, 4), (5, 9)])
def test_means_form_a_centred_simplex(build, classes, dim):
    means = build("gaussian_mixture", classes=classes, dim=dim, separation=2.5).means
    distances = torch.cdist(means, means)[~torch.eye(classes, dtype=torch.bool)]
    assert torch.allclose(distances, torch.tensor(2.5), atol=1e-5)
    assert torch.allclose(means.sum(0), torch.zeros(dim), atol=1e-5)


def test_random_means_are_separated_in_the_mean_square(build):
    means = build("gaussian_mixture", classes=200, dim=50, separation=4.0, means="random").means
    distances = torch.cdist(means, means)[~torch.eye(200, dtype=torch.bool)]
    assert float(distances.square().mean().sqrt()) == pytest.approx(4.0, rel=0.05)


def test_classes_have_their_frequencies_means_and_unit_covariance(build):
    data = build("gaussian_mixture", classes=3, dim=3, weights=[1, 2, 7], n_train=50_000)
    train = data.splits["train"]
    shares = train["target"].bincount().double() / 50_000
    assert torch.allclose(shares, torch.tensor([0.1, 0.2, 0.7]).double(), atol=0.01)
    for label in range(3):
        members = train["input"][train["target"] == label]
        assert torch.allclose(members.mean(0), data.means[label], atol=0.06)
    noise = train["input"] - data.means[train["target"]]
    assert torch.allclose(noise.T.cov(), torch.eye(3), atol=0.03)


@pytest.mark.parametrize("wrong", [{"classes": 5, "dim": 3}, {"weights": [1]}, {"weights": [1, 0]}, {"classes": 1}])
def test_impossible_settings_are_refused(build, wrong):
    with pytest.raises(ValueError, match=r"means at equal distances|weights are|classes is"):
        build("gaussian_mixture", **wrong)
