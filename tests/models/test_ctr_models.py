"""Models of click-through rates against their formulas."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from expkit.models.dice import Dice
from expkit.models.din import DIN
from expkit.models.dnn_ctr import DnnCtr
from expkit.models.field_embedding import FieldEmbedding
from expkit.models.wide_deep import WideDeep

SIZES = {"input_shape": [2], "n_items": 30, "n_categories": 5}


def batch(n=6):
    return tuple(torch.stack([torch.randint(30, shape), torch.randint(5, shape)], -1) for shape in ((n,), (n, 4)))


def build(cls, **changes):
    model = cls(**SIZES, **changes)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def test_fields_have_tables_of_their_own():
    embedding = FieldEmbedding([3, 4], 2)
    embedding.weight.data = torch.arange(14.0).view(7, 2)
    assert embedding(torch.tensor([[2, 0], [0, 3]])).tolist() == [[4, 5, 6, 7], [0, 1, 12, 13]]


def test_the_base_sums_the_history():
    model, (candidate, history) = build(DnnCtr, activation="relu"), batch()
    order = torch.randperm(4)
    torch.testing.assert_close(model(candidate, history[:, order]), model(candidate, history))
    table = model.embedding.weight
    vectors = torch.cat([table[candidate[:, 0]], table[30 + candidate[:, 1]]], 1)
    pooled = torch.cat([table[history[..., 0]].sum(1), table[30 + history[..., 1]].sum(1)], 1)
    first, _, second, _ = model.hidden
    expected = model.readout(second(first(torch.cat([vectors, pooled], 1)).relu()).relu())
    torch.testing.assert_close(model(candidate, history), expected)


def test_the_wide_part_is_linear_in_one_hot_crosses():
    model, (candidate, history) = build(WideDeep), batch()
    crosses = torch.zeros(6, 25)
    for row in range(6):
        for past in history[row, :, 1]:
            crosses[row, candidate[row, 1] * 5 + past] += 1
    first = model.first_order.weight
    linear = first[candidate[:, 0]] + first[30 + candidate[:, 1]] + crosses @ model.pairs
    torch.testing.assert_close(model.extra(candidate, history), linear)


def test_a_unit_that_puts_out_one_makes_din_the_base():
    model, columns = build(DIN), batch()
    nn.init.zeros_(model.unit.readout.weight)
    nn.init.ones_(model.unit.readout.bias)
    base = DnnCtr(**SIZES)
    base.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("unit")})
    torch.testing.assert_close(model(*columns), base(*columns))


def test_an_items_weight_depends_on_itself_and_the_candidate_alone():
    unit, item, past = build(DIN, activation="relu").unit, torch.randn(3, 16), torch.randn(3, 4, 16)
    changed = past.clone()
    changed[:, 0] = 0
    torch.testing.assert_close(unit(item, changed)[:, 1:], unit(item, past)[:, 1:])
    h = unit.hidden(torch.cat([item[1], past[1, 2], item[1] * past[1, 2]]))
    torch.testing.assert_close(unit(item, past)[1, 2], unit.readout(h).squeeze())


def test_dice_is_its_formula_and_prelu_far_from_the_mean():
    x = torch.randn(500, 3) * 2 + 1
    dice = Dice(3)
    nn.init.constant_(dice.alpha, 0.25)
    p = torch.sigmoid((x - x.mean(0)) / x.var(0, unbiased=False).sqrt())
    torch.testing.assert_close(dice(x), p * x + (1 - p) * 0.25 * x)
    far = torch.tensor([[1e3, -1e3, 1e3]])
    torch.testing.assert_close(dice.eval()(far), torch.nn.functional.prelu(far, torch.tensor([0.25])))


@pytest.mark.parametrize(("cls", "activation"), [(DnnCtr, "prelu"), (WideDeep, "relu"), (DIN, "prelu"), (DIN, "dice")])
def test_stacked_ctr_models_agree_with_a_loop(cls, activation):
    models = [build(cls, activation=activation) for _ in range(2)]
    columns = batch()
    parameters, buffers = stack_module_state(models)

    def loss(parameters, buffers):
        changed = {name: value.clone() for name, value in buffers.items()}
        return functional_call(models[0], (parameters, changed), columns).sin().sum()

    gradients = vmap(grad(loss))(parameters, buffers)
    for number, model in enumerate(models):
        model(*columns).sin().sum().backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(gradients[name][number], parameter.grad, atol=1e-4, rtol=1e-3)


def test_other_inputs_are_refused():
    with pytest.raises(ValueError, match="item and category"):
        DnnCtr([3], 30, 5)
