"""A grid world against its own dynamics, and exact solutions against closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from expkit.data.gridworld_transitions import GridworldTransitions
from expkit.environments.gridworld import GridWorld
from expkit.environments.mdp import MDP

SPEC = {"shape": [10], "targets": 4}


def test_a_chain_has_the_values_that_one_can_write_down() -> None:
    """Three states in a row, left or right; the right end pays 1 and ends: V = discount^(steps left - 1)."""
    transitions = torch.zeros(3, 2, 3, dtype=torch.float64)
    for state in (0, 1):
        transitions[state, 0, max(state - 1, 0)] = 1
    transitions[0, 1, 1] = 1
    rewards = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    mdp = MDP(transitions, rewards, torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64), discount=0.9)
    assert mdp.optimal_values().tolist() == [pytest.approx([0.81, 0.9]), pytest.approx([0.81, 1.0]), [0.0, 0.0]]
    right, left = torch.tensor([1, 1, 0]), torch.tensor([0, 0, 0])
    assert mdp.expected_return(right) == pytest.approx((0.9 + 1.0) / 2)
    assert mdp.expected_return(left) == 0


def test_steps_follow_the_dynamics_that_are_said_to_be_its() -> None:
    world = GridWorld(side=4, slip=0.4, seed=3)
    mdp = world.mdp
    world.reset(seed=0)
    state, counts, rewards = world.starts[2], np.zeros(16), []
    for _ in range(4000):
        world.state = state
        _, reward, ends, _, facts = world.step(1)
        counts[facts["state"]] += not ends
        rewards.append(reward)
    assert counts / 4000 == pytest.approx(mdp.transitions[state, 1].numpy(), abs=0.03)
    assert np.mean(rewards) == pytest.approx(float(mdp.rewards[state, 1]), abs=0.03)


def test_the_return_of_a_policy_is_that_of_its_episodes() -> None:
    world = GridWorld(side=5, seed=1, discount=0.9)
    mdp = world.mdp
    policy = mdp.optimal_values().argmax(1)
    returns = []
    for episode in range(1500):
        world.reset(seed=episode)
        total, weight = 0.0, 1.0
        while weight > 1e-3:
            _, reward, ends, _, _ = world.step(int(policy[world.state]))
            total, weight = total + weight * reward, weight * 0.9
            if ends:
                break
        returns.append(total)
    assert np.mean(returns) == pytest.approx(mdp.expected_return(policy), abs=4 * np.std(returns) / 1500**0.5)


def test_an_optimal_policy_earns_its_value_and_no_other_more() -> None:
    mdp = GridWorld(side=5, seed=2).mdp
    values = mdp.optimal_values()
    best = mdp.expected_return(values.argmax(1))
    assert best == pytest.approx(float(mdp.start @ values.max(1).values), abs=1e-9)
    for seed in range(20):
        assert mdp.expected_return(torch.randint(4, (25,), generator=torch.Generator().manual_seed(seed))) <= best


def test_transitions_are_those_of_the_world() -> None:
    data = GridworldTransitions(SPEC, n_train=300, n_test=50, side=5, reward_noise=0.5, seed=4)
    data.setup()
    train, world = data.splits["train"], data.world
    cells = train["input"][:, :5].argmax(1) * 5 + train["input"][:, 5:].argmax(1)
    assert set(cells.tolist()) <= set(world.starts)
    assert torch.equal(train["target"], world.mdp.optimal_values().float()[cells])
    following = train["next"][:, :5].argmax(1) * 5 + train["next"][:, 5:].argmax(1)
    final = torch.tensor([cell == world.goal or cell in world.pits for cell in following.tolist()])
    assert torch.equal(train["ends"].bool(), final)
    possible = world.mdp.transitions[cells, train["action"], following] > 0
    assert (possible | final).all()
    noise = train["reward"] - (following == world.goal).float() + (final & (following != world.goal)).float()
    assert noise.std().item() == pytest.approx(0.5, rel=0.15)
    other = GridworldTransitions(SPEC, n_train=300, n_test=50, side=5, seed=5)
    assert other.world.walls != world.walls
