import pytest
import torch
from torch import nn

from expkit.models.resnet import ResidualBlock, ResNet


def test_resnet_20_and_56_have_the_published_sizes():
    # 0.27 M and 0.85 M parameters (arXiv 1512.03385, table 6); the projections of two shortcuts come on top.
    projections = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    for blocks, published in ((3, 0.27e6), (9, 0.85e6)):
        model = ResNet([3, 32, 32], 10, width=16, blocks=[blocks] * 3)
        n_parameters = sum(p.numel() for p in model.parameters()) - projections
        assert n_parameters == pytest.approx(published, abs=0.005e6)
        layers = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
        assert len(layers) + 1 == 6 * blocks + 2


@pytest.mark.parametrize("shape", [[2, 16], [2, 16, 16]])
@pytest.mark.parametrize("norm", ["batchnorm", "groupnorm", "none"])
def test_blocks_start_as_their_shortcuts_with_zero_init(shape, norm):
    model = ResNet(shape, 3, width=4, blocks=[2, 1], norm=norm, zero_init=True)
    h = model.stem(torch.randn(5, *shape))
    first, second = model.stages[0]
    assert torch.equal(second(first(h)), h)
    (down,) = model.stages[1]
    assert torch.equal(down(h), torch.relu(down.shortcut(h)))
    model(torch.randn(5, *shape)).square().sum().backward()
    assert all(any(p.grad.any() for p in block.residual.parameters()) for block in blocks_of(model))


def test_blocks_do_not_start_as_their_shortcuts_without_it():
    model = ResNet([2, 16], 3, width=4, blocks=[1])
    h = model.stem(torch.randn(5, 2, 16))
    assert not torch.allclose(model.stages[0](h), h)


def blocks_of(model: ResNet) -> list[ResidualBlock]:
    return [block for block in model.modules() if isinstance(block, ResidualBlock)]


def test_every_stage_halves_the_size_and_doubles_the_channels():
    model = ResNet([3, 20, 12], 3, width=4, blocks=[1, 1, 1])
    h = model.stem(torch.randn(2, 3, 20, 12))
    shapes = [tuple(h.shape[1:])]
    for stage in model.stages:
        h = stage(h)
        shapes.append(tuple(h.shape[1:]))
    assert shapes == [(4, 20, 12), (4, 20, 12), (8, 10, 6), (16, 5, 3)]


def test_groupnorm_treats_examples_alone_in_training_and_batchnorm_does_not():
    x = torch.randn(4, 3, 8, 8)
    for norm, alone in (("groupnorm", True), ("batchnorm", False)):
        model = ResNet([3, 8, 8], 2, width=8, blocks=[1], norm=norm).train()
        assert torch.allclose(model(x)[:2], model(x[:2]), atol=1e-5) == alone


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="6 channels cannot be divided into 4 groups"):
        ResNet([3, 8, 8], 2, width=6, norm="groupnorm")
    with pytest.raises(ValueError, match="at least one"):
        ResNet([3, 8, 8], 2, blocks=[])
    with pytest.raises(ValueError, match=r"got shape \[1, 2, 3, 4\]"):
        ResNet([1, 2, 3, 4], 2)
