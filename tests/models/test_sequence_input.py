import pytest
import torch
from torch.nn import functional as F

from expkit.models.sequence_input import SequenceInput


def read(x: torch.Tensor, **arguments: object) -> torch.Tensor:
    steps = SequenceInput(x.shape[1:], vocab=None, embed_dim=4, **arguments)
    sequence = steps(x)
    assert sequence.shape == (len(x), steps.length, steps.features)
    return sequence


def test_a_signal_is_read_in_order_of_time():
    x = torch.randn(3, 2, 12)
    sequence = read(x)
    assert all(torch.equal(sequence[:, t], x[:, :, t]) for t in range(12))
    in_threes = read(x, patch=3)
    assert torch.equal(in_threes[:, 1], x[:, :, 3:6].flatten(1))


def test_a_vector_is_a_signal_with_one_channel():
    x = torch.randn(3, 12)
    assert torch.equal(read(x), read(x.unsqueeze(1)))
    assert torch.equal(read(x, patch=4), x.reshape(3, 3, 4))


def test_an_image_is_read_by_rows():
    x = torch.randn(3, 2, 4, 5)
    sequence = read(x)
    assert all(torch.equal(sequence[:, row], x[:, :, row].flatten(1)) for row in range(4))


def test_patches_of_an_image_are_those_of_unfold():
    x = torch.randn(3, 2, 4, 6)
    assert torch.equal(read(x, patch=2), F.unfold(x, kernel_size=2, stride=2).transpose(1, 2))


def test_projected_patches_are_a_convolution_with_stride():
    steps = SequenceInput([2, 4, 6], vocab=None, embed_dim=5, project=True, patch=2)
    x = torch.randn(3, 2, 4, 6)
    weight = steps.embedding.weight.reshape(5, 2, 2, 2)
    convolved = F.conv2d(x, weight, steps.embedding.bias, stride=2)
    torch.testing.assert_close(steps(x), convolved.flatten(2).transpose(1, 2))


def test_tokens_are_looked_up():
    steps = SequenceInput([6], vocab=5, embed_dim=4)
    tokens = torch.randint(5, (3, 6))
    torch.testing.assert_close(steps(tokens), F.one_hot(tokens, 5).float() @ steps.embedding.weight)
    assert (steps.length, steps.features) == (6, 4)


@pytest.mark.parametrize(
    ("shape", "vocab", "patch", "says"),
    [
        ([2, 3, 4, 5], None, None, "1, 2 or 3 dimensions"),
        ([2, 6], 5, None, "tokens have shape"),
        ([6], 5, 2, "not cut into patches"),
        ([3, 10], None, 4, "patch 4 does not divide the input's 10"),
        ([3, 8, 6], None, 4, "patch 4 does not divide the input's 8 x 6"),
    ],
)
def test_impossible_shapes_are_refused(shape, vocab, patch, says):
    with pytest.raises(ValueError, match=says):
        SequenceInput(shape, vocab, embed_dim=4, patch=patch)
