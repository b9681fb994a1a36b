import pytest
import torch
from torch.nn import functional as F

from expkit.models.cnn import CNN


@pytest.mark.parametrize(("shape", "n_dims"), [([3, 16], 1), ([3, 16, 12], 2)])
def test_number_of_parameters(shape, n_dims):
    model = CNN(shape, 5, channels=[4, 8], kernel=3, norm="batchnorm")
    places = 4 if n_dims == 1 else 4 * 3
    convolutions = 3 * 4 * 3**n_dims + 4 + 4 * 8 * 3**n_dims + 8
    assert sum(p.numel() for p in model.parameters()) == convolutions + 2 * (4 + 8) + (8 * places * 5 + 5)


@pytest.mark.parametrize("pooling", ["max", "average", "none"])
@pytest.mark.parametrize("head", ["flatten", "average"])
def test_agrees_with_the_formula(pooling, head):
    model = CNN([2, 9, 8], 5, channels=[4], kernel=5, pooling=pooling, head=head, activation="tanh")
    x = torch.randn(3, 2, 9, 8)
    h = torch.tanh(F.conv2d(F.pad(x, (2, 2, 2, 2)), model.features[0].weight, model.features[0].bias))
    windows = h[:, :, :8].unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    h = {"max": windows.amax(-1), "average": windows.mean(-1), "none": h}[pooling]
    h = h.flatten(1) if head == "flatten" else h.mean((2, 3))
    torch.testing.assert_close(model(x), h @ model.readout.weight.T + model.readout.bias)


def test_a_signal_is_an_image_of_one_row():
    signal = CNN([2, 16], 3, channels=[4, 4], pooling="none")
    image = CNN([2, 3, 16], 3, channels=[4, 4], pooling="none", head="average")
    signal_mean = CNN([2, 16], 3, channels=[4, 4], pooling="none", head="average")
    # A kernel that is zero outside its middle row sees each row of an image alone.
    state = {
        key: F.pad(value.unsqueeze(2), (0, 0, 1, 1)) if value.dim() == 3 else value
        for key, value in signal_mean.state_dict().items()
    }
    image.load_state_dict(state)
    x = torch.randn(5, 2, 16)
    torch.testing.assert_close(image(x.unsqueeze(2).expand(5, 2, 3, 16)), signal_mean(x))
    assert signal.readout.in_features == 4 * 16


def test_a_vector_is_a_signal_with_one_channel():
    torch.manual_seed(0)
    vector = CNN([16], 3)
    torch.manual_seed(0)
    signal = CNN([1, 16], 3)
    x = torch.randn(5, 16)
    assert torch.equal(vector(x), signal(x.unsqueeze(1)))


def test_the_mean_over_space_forgets_translations():
    model = CNN([1, 32], 3, channels=[4], pooling="none", head="average")
    bump = torch.zeros(1, 1, 32)
    bump[..., 10:14] = torch.tensor([1.0, 2.0, -1.0, 3.0])
    torch.testing.assert_close(model(bump), model(bump.roll(7, -1)))


def test_he_initialization_keeps_the_scale_of_activations():
    torch.manual_seed(0)

    def last_over_first(init):
        model = CNN([128, 64], 1, channels=[128] * 10, pooling="none", init=init, bias=False)
        h, sizes = torch.randn(16, 128, 64), []
        for layer in model.features:
            h = layer(h)
            if isinstance(layer, torch.nn.Conv1d):
                sizes.append(h[..., 24:40].square().mean())  # where the zero padding has not been felt
        return (sizes[-1] / sizes[0]).item()

    assert 0.3 < last_over_first("he") < 3
    assert 0.3 < last_over_first("lecun") * 2.0**9 < 3  # each ReLU halves


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"channels": [8] * 3, "kernel": 3}, "layer 3 has a kernel of side 3, but its input is only 2"),
        ({"channels": [8] * 5, "kernel": 1}, "layer 4 pools windows of side 2, but its input is only 1"),
        ({"kernel": 4}, "odd kernel"),
        ({"channels": []}, "at least one layer"),
        ({"norm": "groupnorm", "groups": 5}, "16 channels cannot be divided into 5"),
    ],
)
def test_impossible_arguments_are_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        CNN([1, 8, 8], 3, **arguments)
