import pytest
import torch
from torch import nn

from expkit.models.recurrent import Recurrent

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("directions", [1, 2])
def test_number_of_parameters(cell, directions):
    model = Recurrent([3, 10], 2, cell=cell, width=6, depth=2, bidirectional=directions == 2)
    per_layer = [GATES[cell] * directions * (6 * n_in + 6 * 6 + 2 * 6) for n_in in (3, 6 * directions)]
    assert sum(p.numel() for p in model.parameters()) == sum(per_layer) + 6 * directions * 2 + 2


@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_reads_out_the_final_state_of_each_direction(cell, bidirectional):
    model = Recurrent([3, 10], 2, cell=cell, width=6, bidirectional=bidirectional)
    x = torch.randn(4, 3, 10)
    final = model.recurrent(x.transpose(1, 2))[1]
    final = final[0] if cell == "lstm" else final
    torch.testing.assert_close(model(x), model.readout(final.transpose(0, 1).flatten(1)))


def test_an_elman_network_can_count_ones():
    # h_t = relu(h_{t-1} + x_t), read out as it is.
    model = Recurrent([7], 1, cell="rnn", width=1, nonlinearity="relu", per_position=True)
    for name, parameter in model.named_parameters():
        nn.init.constant_(parameter, 0.0 if "bias" in name else 1.0)
    x = torch.tensor([[1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0]])
    assert model(x).flatten().tolist() == [1, 1, 2, 3, 3, 3, 4]


def test_dropout_acts_on_a_single_layer_too():
    model = Recurrent([7], 1, cell="gru", depth=1, dropout=0.5)
    x = torch.randn(2, 7)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="rnn, lstm, gru"):
        Recurrent([7], 1, cell="elman")
    with pytest.raises(ValueError, match="at least 1"):
        Recurrent([7], 1, depth=0)
