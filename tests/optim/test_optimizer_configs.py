"""Every optimizer of the library, with the settings that its YAML gives it."""

from __future__ import annotations

import io

import torch


def test_solves_least_squares_with_its_own_settings(optimizer_name, from_yaml, problem):
    optimizer = from_yaml("optimizer", optimizer_name, problem.model.named_parameters())
    before = problem.loss().item()
    problem.train(optimizer, 5 if optimizer_name == "lbfgs" else 1000)
    assert problem.loss().item() < 0.05 * before


def test_resumed_training_is_the_same_to_the_bit(optimizer_name, from_yaml, problem, same_problem):
    straight = from_yaml("optimizer", optimizer_name, problem.model.named_parameters())
    problem.train(straight, 10)

    first = from_yaml("optimizer", optimizer_name, same_problem.model.named_parameters())
    same_problem.train(first, 5)
    state = through_a_file(first.state_dict())
    second = from_yaml("optimizer", optimizer_name, same_problem.model.named_parameters())
    second.load_state_dict(state)
    same_problem.train(second, 5)

    assert torch.equal(problem.model.weight, same_problem.model.weight)
    assert torch.equal(problem.model.bias, same_problem.model.bias)


def through_a_file(state):
    """As a checkpoint does it: nothing but tensors, numbers, strings and containers passes."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
