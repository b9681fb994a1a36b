import pytest
import torch
from torch import nn

from expkit.data.formal_languages import FormalLanguages
from expkit.models.stack_rnn import StackRNN, stack_step

PUSH, KEEP, POP = range(3)


def test_certain_actions_are_those_of_a_list():
    random = torch.Generator().manual_seed(0)
    stack, expected = torch.zeros(1, 1, 2), []
    for _ in range(200):
        action, value = int(torch.randint(3, (), generator=random)), torch.randn(1, 2, generator=random)
        stack = stack_step(stack, torch.eye(3)[action].unsqueeze(0), value)
        if action == PUSH:
            expected.append(value[0])
        elif action == POP and expected:
            expected.pop()
        for place, cell in enumerate(reversed(expected)):
            assert torch.equal(stack[0, place], cell)
        assert not stack[0, len(expected) :].any()


def test_probable_actions_give_the_mean_over_what_certain_ones_give():
    stack, value, actions = torch.randn(3, 5, 2), torch.randn(3, 2), torch.rand(3, 3).softmax(-1)
    certain = [stack_step(stack, torch.eye(3)[action].expand(3, 3), value) for action in range(3)]
    mean = sum(actions[:, action, None, None] * one for action, one in enumerate(certain))
    torch.testing.assert_close(stack_step(stack, actions, value), mean)


def deep(model, x):
    """The network with stacks that are never cut, written down a second time."""
    inputs = model.input(model.steps(x))
    stack = torch.zeros(len(x), model.stacks, x.shape[1] + 1, 3)
    state, outputs = torch.zeros(len(x), inputs.shape[-1]), []
    for step in inputs.unbind(1):
        state = torch.tanh(step + model.recurrent(torch.cat([state, stack[:, :, 0].flatten(1)], 1)))
        outputs.append(model.readout(state))
        control = model.control(state).view(len(x), model.stacks, 6)
        p = control[..., :3].softmax(-1)[..., None, None]
        pushed = torch.cat([control[..., None, 3:], stack[:, :, :-1]], 2)
        popped = torch.cat([stack[:, :, 1:], torch.zeros_like(stack[:, :, :1])], 2)
        stack = p[:, :, PUSH] * pushed + p[:, :, KEEP] * stack + p[:, :, POP] * popped
    return torch.stack(outputs, 1)


@pytest.mark.parametrize("stacks", [1, 2])
def test_what_can_no_longer_come_up_is_not_missed(stacks):
    model = StackRNN([11], 2, vocab=4, width=6, stacks=stacks, cell_size=3, per_position=True)
    with torch.no_grad():
        model.control.weight.mul_(5)  # decided actions, so that the stack matters
        model.recurrent.weight.mul_(3)
    x = torch.randint(4, (5, 11))
    torch.testing.assert_close(model(x), deep(model, x))
    x = torch.randint(4, (5, 10))
    torch.testing.assert_close(model(x), deep(model, x))


def reversing_machine():
    """Pushes +-1 for the symbols 1 and 0, pops at queries, and says what is on top."""
    model = StackRNN([160], 4, vocab=4, width=4, cell_size=1, embed_dim=4, per_position=True)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        model.steps.embedding.weight.copy_(torch.eye(4))  # symbols 0 and 1, query, padding
        model.input.weight[:3, :3] = 20 * torch.eye(3)  # units 0 to 2: which token this is
        model.recurrent.weight[3, 4] = 20  # unit 3: the sign of the top
        model.control.weight[PUSH, :2] = 40
        model.control.weight[POP, 2] = 40
        model.control.weight[3, :2] = torch.tensor([-1.0, 1.0])
        model.readout.weight[:2, 3] = torch.tensor([-1.0, 1.0])
    return model


def test_a_machine_set_by_hand_reverses_strings_of_any_length():
    data = FormalLanguages("reverse_string", [1, 16], [17, 80], 64, 64, 128, spec={"shape": [160], "vocab": 4})
    data.setup()
    model = reversing_machine()
    for split in data.splits.values():
        wanted = split["target"] != -100
        assert torch.equal(model(split["input"]).argmax(-1)[wanted], split["target"][wanted])
