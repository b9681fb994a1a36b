"""Many networks of one structure, trained on the same examples as one vectorized program."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F

from expkit.data.base import Split
from expkit.models.reinitialization import draw_weights_anew
from expkit.seeding import derive, generator, stream

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Recipe:
    """How classifiers are trained: stochastic gradient descent on the cross-entropy, at a constant learning rate.

    Args:
        steps: optimizer steps.
        batch_size: examples per step; each member has an order of its own, and starts another one when it is through.
        lr: learning rate.
        momentum: of Nesterov's form; 0 for none.
        weight_decay: L2 penalty, added to the gradient.
        init, init_scale: the network's own, see `expkit.models.initialization`.
    """

    steps: int
    batch_size: int
    lr: float
    momentum: float = 0.9
    weight_decay: float = 0.0
    init: str = "torch"
    init_scale: float = 1.0


@dataclass(frozen=True)
class Ensemble:
    """Trained networks.

    Args:
        network: of their structure; its own weights are not used.
        parameters, buffers: of all members, with the members along the first axis.
    """

    network: nn.Module
    parameters: Tensors
    buffers: Tensors

    @torch.no_grad()
    def logits(self, inputs: Tensor, chunk: int = 1024) -> Tensor:
        """Of every member for every input, in evaluation mode: (members, n, classes)."""
        self.network.eval()
        many = vmap(self._one, in_dims=(0, 0, None))
        return torch.cat([many(self.parameters, self.buffers, part) for part in inputs.split(chunk)], dim=1)

    @torch.no_grad()
    def gradient_norms(self, inputs: Tensor, target: Tensor, chunk: int = 256) -> Tensor:
        """Euclidean norm of the gradient of each example's own loss by all weights, in evaluation mode: (members, n).

        Args:
            inputs: (n, ...).
            target: (n,), classes.
            chunk: examples at a time; each needs memory for a gradient per member.
        """
        self.network.eval()

        def norm(parameters: Tensors, buffers: Tensors, one: Tensor, label: Tensor) -> Tensor:
            def loss(weights: Tensors) -> Tensor:
                return F.cross_entropy(self._one(weights, buffers, one.unsqueeze(0)), label.unsqueeze(0))

            return torch.stack([part.square().sum() for part in grad(loss)(parameters).values()]).sum().sqrt()

        every = vmap(vmap(norm, in_dims=(None, None, 0, 0)), in_dims=(0, 0, None, None))
        parts = zip(inputs.split(chunk), target.split(chunk), strict=True)
        return torch.cat([every(self.parameters, self.buffers, *part) for part in parts], dim=1)

    def _one(self, parameters: Tensors, buffers: Tensors, inputs: Tensor) -> Tensor:
        return functional_call(self.network, (parameters, buffers), (inputs,))


Observer = Callable[[Tensor, Tensor], None]


def train_ensemble(
    network: nn.Module, train: Split, members: int, recipe: Recipe, seed: int, observe: Observer | None = None
) -> Ensemble:
    """Trains networks that differ in their initial weights and in the order of their batches.

    Args:
        network: a classifier of 'input'; it says the structure, its weights are drawn anew for every member.
        train: examples with 'input' and 'target', classes.
        members: how many networks; the first ones of more are the same networks.
        recipe: of each.
        seed: of weights, orders and dropout.
        observe: is given the examples of each step, (members, batch), and whether each was classified rightly before
            the step, as they are drawn.

    Raises:
        UserError: the network cannot be drawn anew (see `expkit.models.reinitialization`).
        ValueError: a number that cannot be.
    """
    n = len(train["target"])
    size = min(recipe.batch_size, n)
    if members < 1 or recipe.steps < 0 or size < 1:
        raise ValueError(f"needs members, steps and examples; got {members}, {recipe.steps} and {size}")
    networks = [_drawn(network, recipe, derive(seed, f"member/{number}")) for number in range(members)]
    parameters, buffers = stack_module_state(networks)
    trained = copy.deepcopy(networks[0]).train()
    losses = vmap(_loss(trained), randomness="different")
    momentum, decay = recipe.momentum, recipe.weight_decay
    optimizer = torch.optim.SGD(parameters.values(), recipe.lr, momentum, weight_decay=decay, nesterov=momentum > 0)
    with stream(seed, "dropout"), torch.enable_grad():
        for number in range(recipe.steps):
            epoch, position = divmod(number, n // size)
            if position == 0:
                orders = torch.stack([_order(n, seed, member, epoch) for member in range(members)])
            chosen = orders[:, position * size : (position + 1) * size]
            target = train["target"][chosen]
            loss, logits, buffers = losses(parameters, buffers, train["input"][chosen], target)
            if observe is not None:
                observe(chosen, logits.argmax(-1) == target)
            optimizer.zero_grad()
            loss.sum().backward()  # no member's loss depends on the weights of another
            optimizer.step()
    return Ensemble(trained, {name: values.detach() for name, values in parameters.items()}, buffers)


def _drawn(network: nn.Module, recipe: Recipe, seed: int) -> nn.Module:
    own = copy.deepcopy(network)
    with stream(seed, "initialization"):
        draw_weights_anew(own, recipe.init, recipe.init_scale)
    return own


def _order(n: int, seed: int, member: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=generator(seed, f"member/{member}/order/{epoch}"))


def _loss(network: nn.Module) -> Callable[..., tuple[Tensor, Tensor, Tensors]]:
    """One member's mean loss over a batch, with its logits and the buffers after it."""

    def loss(parameters: Tensors, buffers: Tensors, inputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensors]:
        # Modules change running statistics in place, which a transform allows only for tensors made inside it.
        changed = {name: values.clone() for name, values in buffers.items()}
        logits = functional_call(network, (parameters, changed), (inputs,))
        return F.cross_entropy(logits, target), logits, {name: values.detach() for name, values in changed.items()}

    return loss
