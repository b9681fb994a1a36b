import pytest
import torch

ANSWERS = {
    "parity": lambda string, symbols: [sum(string) % symbols],
    "reverse_string": lambda string, symbols: string[::-1],
    "duplicate_string": lambda string, symbols: string * 2,
}


@pytest.mark.parametrize("symbols", [2, 5])
@pytest.mark.parametrize("language", ANSWERS)
def test_answers_agree_with_those_of_python(build, language, symbols):
    data = build("formal_languages", language=language, symbols=symbols, test_lengths=[17, 40], n_train=100, n_test=50)
    for split in data.splits.values():
        for row, target, length in zip(*(split[name].tolist() for name in ("input", "target", "length")), strict=True):
            string, rest = row[:length], row[length:]
            answer = ANSWERS[language](string, symbols)
            filled = len(row) - length - len(answer)
            assert all(0 <= symbol < symbols for symbol in string)
            assert rest == [symbols] * len(answer) + [symbols + 1] * filled
            assert target == [-100] * length + answer + [-100] * filled


@pytest.mark.parametrize(("language", "per_symbol"), [("parity", 0), ("reverse_string", 1), ("duplicate_string", 2)])
def test_splits_have_all_lengths_alike_and_no_place_too_many(build, language, per_symbol):
    data = build("formal_languages", language=language, n_train=64, n_val=32, n_test=128)
    for name, (shortest, longest), each in (("train", (1, 16), 4), ("val", (1, 16), 2), ("test", (17, 80), 2)):
        split = data.splits[name]
        assert split["length"].bincount().tolist() == [0] * shortest + [each] * (longest - shortest + 1)
        assert split["input"].shape[1] == longest + max(1, per_symbol * longest)


def test_symbols_are_uniform_and_strings_independent(build):
    data = build("formal_languages", language="reverse_string", train_lengths=[16, 16], symbols=4, n_train=4000)
    strings = data.splits["train"]["input"][:, :16]
    for place in (0, 7, 15):
        assert torch.allclose(strings[:, place].bincount(minlength=4) / 4000, torch.tensor(0.25), atol=0.03)
    centred = strings.double() - strings.double().mean(0)
    correlation = (centred.T @ centred) / 4000 / centred.var(0).mean()
    assert float((correlation - torch.eye(16)).abs().max()) < 0.08


def test_a_larger_training_set_leaves_the_test_set_as_it_was(build):
    small, large = (build("formal_languages", n_train=n) for n in (64, 128))
    assert torch.equal(small.splits["test"]["input"], large.splits["test"]["input"])


@pytest.mark.parametrize(
    "wrong", [{"language": "palindromes"}, {"symbols": 1}, {"train_lengths": [0, 3]}, {"test_lengths": [9, 8]}]
)
def test_impossible_settings_are_refused(build, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build("formal_languages", **wrong)
