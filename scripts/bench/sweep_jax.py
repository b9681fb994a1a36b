"""The sweeps of `sweep_problems.py` in JAX: `jit` of a loop over steps of `vmap(grad)`. Needs jax alone.

Usage: python sweep_jax.py PROBLEM RUNS STEPS. After a line with its version it makes so many steps for each line it
is sent, and answers with the seconds they took.
"""

from __future__ import annotations

import sys
import time

import jax
import jax.numpy as jnp


def fractal(key, runs):
    a, b, c, d = jax.random.split(key, 4)
    x, y = jax.random.normal(a, (272, 16)), jax.random.normal(b, (272, 1))
    parameters = {"hidden": jax.random.normal(c, (runs, 16, 16)), "readout": jax.random.normal(d, (runs, 16, 1))}

    def loss(own, x, y):
        return jnp.mean((jnp.tanh(x @ own["hidden"] * (2 / 16) ** 0.5) @ own["readout"] / 16 - y) ** 2)

    gradient = jax.vmap(jax.grad(loss), in_axes=(0, None, None))
    return parameters, sgd(gradient), (x, y), lambda data, index: data


def minibatch(key, runs):
    keys = jax.random.split(key, 5)
    x, y = jax.random.normal(keys[0], (1500, 64)), jax.random.randint(keys[1], (1500,), 0, 10)
    shapes = {"a": (64, 64), "b": (64, 64), "c": (64, 10)}
    weights = {
        name: jax.random.normal(own, (runs, *shapes[name])) / 8 for name, own in zip("abc", keys[2:], strict=True)
    }
    parameters = weights | {f"{name}0": jnp.zeros((runs, shapes[name][1])) for name in "abc"}

    def loss(own, x, y):
        hidden = jax.nn.relu(x @ own["a"] + own["a0"])
        hidden = jax.nn.relu(hidden @ own["b"] + own["b0"])
        scores = jax.nn.log_softmax(hidden @ own["c"] + own["c0"])
        return -jnp.mean(jnp.take_along_axis(scores, y[:, None], axis=1))

    def batch(data, index):
        chosen = jax.random.randint(jax.random.fold_in(key, index), (runs, 64), 0, 1500)
        return tuple(column[chosen] for column in data)

    return parameters, adam(jax.vmap(jax.grad(loss))), (x, y), batch


def grokking_xor(key, runs):
    a, b, c, d = jax.random.split(key, 4)
    x = jax.random.normal(a, (runs, 200, 10000))
    y = jax.random.bernoulli(b, 0.5, (runs, 200)).astype(jnp.float32)
    readout = jnp.sign(jax.random.normal(c, (runs, 200))) / 200**0.5
    parameters = {"hidden": 1e-4 * jax.random.normal(d, (runs, 200, 10000))}

    def loss(own, x, y, readout):
        logit = jax.nn.relu(x @ own["hidden"].T) @ readout
        return jnp.mean(jnp.logaddexp(0.0, logit) - y * logit)

    return parameters, sgd(jax.vmap(jax.grad(loss))), (x, y, readout), lambda data, index: data


def sgd(gradient):
    def step(parameters, state, rates, batch):
        gradients = gradient(parameters, *batch)
        return jax.tree.map(lambda p, g: p - _like(rates, p) * g, parameters, gradients), state

    return step


def adam(gradient):
    def step(parameters, state, rates, batch):
        gradients, count = gradient(parameters, *batch), state["count"] + 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state["first"], gradients)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state["second"], gradients)
        size, root = rates / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
        updated = jax.tree.map(
            lambda p, m, v: p - _like(size, p) * m / (jnp.sqrt(v) / root + 1e-8), parameters, first, second
        )
        return updated, {"first": first, "second": second, "count": count}

    return step


def _like(rates, parameter):
    return rates.reshape(-1, *[1] * (parameter.ndim - 1))


def main(name, runs, steps):
    made = {"fractal": fractal, "minibatch": minibatch, "grokking_xor": grokking_xor}[name](jax.random.key(0), runs)
    parameters, step, data, batch = made
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    state = {"first": zeros, "second": zeros, "count": jnp.zeros(())} if name == "minibatch" else {}
    rates = jnp.linspace(1e-3, 2e-3, runs)

    @jax.jit
    def train(parameters, state, data):
        def advance(index, carried):
            return step(*carried, rates, batch(data, index))

        return jax.lax.fori_loop(0, steps, advance, (parameters, state))

    parameters, state = jax.block_until_ready(train(parameters, state, data))
    print(jax.__version__, flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        parameters, state = jax.block_until_ready(train(parameters, state, data))
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
