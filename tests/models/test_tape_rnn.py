import torch
from torch import nn

from expkit.data.formal_languages import FormalLanguages
from expkit.models.tape_rnn import TapeRNN, tape_step, turns_of

STAY, LEFT, RIGHT, JUMP_LEFT, JUMP_RIGHT = range(5)


def test_certain_moves_are_those_of_a_head_on_a_list():
    random = torch.Generator().manual_seed(0)
    moves = torch.tensor([[0, -1, 1, -3, 3]])
    tape, turns = torch.zeros(1, 7, 2), turns_of(moves, 7).float()
    head, cells = 0, [torch.zeros(2) for _ in range(7)]
    for _ in range(200):
        action, value = int(torch.randint(5, (), generator=random)), torch.randn(1, 2, generator=random)
        tape = tape_step(tape, torch.eye(5)[action].unsqueeze(0), value, turns)
        cells[head] = value[0]
        head = (head + int(moves[0, action])) % 7
        for place in range(7):
            assert torch.equal(tape[0, place], cells[(head + place) % 7])


def test_probable_moves_give_the_mean_over_turned_tapes():
    tape, value, actions = torch.randn(2, 5, 3), torch.randn(2, 3), torch.rand(2, 5).softmax(-1)
    length = torch.tensor([2, 4])
    moves = torch.stack([0 * length, 0 * length - 1, 0 * length + 1, -length, length], 1)
    found = tape_step(tape, actions, value, turns_of(moves, 5).float())
    for example in range(2):
        written = torch.cat([value[example].unsqueeze(0), tape[example, 1:]])
        turned = [written.roll(-int(move), 0) for move in moves[example]]
        mean = sum(p * one for p, one in zip(actions[example], turned, strict=True))
        torch.testing.assert_close(found[example], mean)


def machine(first, read):
    """Writes +-1 for symbols and moves right; at queries writes back what it reads, moves as `read`, and says it.

    At the first query it makes the move `first` instead: the unit 'the last token was a query' is off by then.
    """
    model = TapeRNN([240], 4, vocab=4, width=5, cell_size=1, embed_dim=4, jumps=True, per_position=True)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        model.steps.embedding.weight.copy_(torch.eye(4))  # symbols 0 and 1, query, padding
        model.input.weight[:3, :3] = 20 * torch.eye(3)  # units 0 to 2: which token this is
        model.recurrent.weight[3, 5] = 20  # unit 3: the sign of the cell
        model.recurrent.weight[4, 2] = 20  # unit 4: whether the last token was a query
        model.control.weight[RIGHT, :2] = 40
        model.control.weight[first, 2] = 40
        model.control.weight[read, 4] = 80
        model.control.weight[5, [0, 1, 3]] = torch.tensor([-1.0, 1.0, 1.0])
        model.readout.weight[:2, 3] = torch.tensor([-1.0, 1.0])
    return model


def test_a_machine_set_by_hand_says_a_string_one_query_late():
    """Forwards after a jump by the string's length, backwards after a step to the left; for lengths never seen."""
    data = FormalLanguages("duplicate_string", [1, 16], [17, 80], 64, 64, 128, spec={"shape": [240], "vocab": 4})
    data.setup()
    split = data.splits["test"]
    for first, move, order in ((JUMP_LEFT, RIGHT, 1), (LEFT, LEFT, -1)):
        said = machine(first, move)(split["input"], split["length"]).argmax(-1)
        for row, answer, length in zip(split["input"], said, split["length"].tolist(), strict=True):
            assert answer[length + 1 : 2 * length + 1].tolist() == row[:length].tolist()[::order]


def test_without_jumps_lengths_are_not_read():
    model = TapeRNN([6], 2, vocab=4)
    assert model.columns == ("input",)
    x = torch.randint(4, (3, 6))
    assert torch.equal(model(x), model(x, torch.tensor([1, 2, 3])))
