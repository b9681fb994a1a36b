"""The share of examples that no perturbation within a box can have classified otherwise, proved and attacked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from expkit.analysis.affine_network import AffineNetwork
from expkit.analysis.branch_and_bound import BranchAndBound
from expkit.analysis.crown_bounds import crown_bound, enclose
from expkit.analysis.interval_bound_propagation import margin_bound
from expkit.analysis.pgd_attack import margin_loss, pgd_attack
from expkit.errors import UserError
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class VerifiedAccuracy(Probe):
    r"""Verifies |x' - x|_inf <= eps for the first examples of a split, once, when training is over.

    An example is verified when, for each other class k, the margin f_label - f_k is proved positive over the box; such
    a pair (example, k) is an instance. Instances that CROWN leaves open go to branch and bound, those included that an
    attack has broken, so that a wrong proof would be seen.

    Numbers: `verified/clean` (share classified correctly), `verified/attacked` (and not broken by PGD: no proof can be
    above it), `verified/ibp`, `verified/crown`, and for each strategy `verified/<heuristic>_<points>`: shares of all
    examples. `verified/instances_<...>`: instances that are proved, of those that CROWN leaves open and the attack
    does not break, of which there are `verified/open`. `domains/<heuristic>_<points>`: domains bounded for such an
    instance, mean; one that is not proved counts with all it was given. `verified/violations`: proofs, by any method,
    of instances for which the attack or a random sample found a counterexample; anything but 0 is a bug.

    Arrays: `domains/of_<heuristic>_<points>` (open,), `verified/is_<...>` (open,): the same, instance by instance.

    Cost: about half a millisecond for a domain of a network with two layers of 16.

    Args:
        eps: half the box's side, in the inputs' units.
        strategies: of branch and bound, each "heuristic/points" as `BranchAndBound` knows them.
        examples: how many, of the split's first ones.
        max_domains: bounded for each instance and strategy at most.
        attack_steps, attack_restarts: of PGD on the largest other logit.
        samples: random points of each box that are tried too.
        split: whose examples.
    """

    def __init__(
        self,
        eps: float,
        strategies: Sequence[str] = ("shortcut/optimized",),
        examples: int = 40,
        max_domains: int = 64,
        attack_steps: int = 40,
        attack_restarts: int = 5,
        samples: int = 500,
        split: str = "test",
    ) -> None:
        super().__init__()
        self.eps = eps
        self.strategies = [tuple(strategy.split("/")) for strategy in strategies]
        for strategy in self.strategies:
            if len(strategy) != 2:
                raise UserError(
                    f"verified_accuracy: '{'/'.join(strategy)}' is no strategy.",
                    "Write heuristic/points, such as shortcut/optimized or widest/midpoint.",
                )
        self.examples = examples
        self.max_domains = max_domains
        self.attack_steps = attack_steps
        self.attack_restarts = attack_restarts
        self.samples = samples
        self.split = split

    def conclude(self, task: Task, data: TensorData) -> dict[str, float | Tensor]:
        batch = {name: column[: self.examples] for name, column in data.splits[self.split].items()}
        network = AffineNetwork.of(task.model, batch["input"])
        inputs, target = batch["input"].flatten(1).double(), batch["target"]
        logits = network(inputs)
        right = logits.argmax(-1) == target
        low, high = inputs - self.eps, inputs + self.eps

        # One instance for each example and other class.
        example, other = torch.nonzero(torch.arange(logits.shape[-1]) != target[:, None], as_tuple=True)
        classes = torch.eye(logits.shape[-1], dtype=inputs.dtype)
        specification = classes[target[example]] - classes[other]
        seen = self._smallest_margins(network, inputs, target, low, high)[example, other]
        broken = seen <= 0
        unbroken = right & ~_any(broken, example, len(target))
        box = low[example], high[example]
        ibp = margin_bound(network, *box, specification) > 0
        crown = crown_bound(network, enclose(network, *box), specification).value > 0
        found: dict[str, float | Tensor] = {
            "verified/clean": _share(right),
            "verified/attacked": _share(unbroken),
            "verified/ibp": _share(~_any(~ibp, example, len(target))),
            "verified/crown": _share(~_any(~crown, example, len(target))),
        }
        violations = int((ibp & broken).sum() + (crown & broken).sum())
        todo = ~crown & right[example]
        counted = ~broken[todo]
        found["verified/open"] = float(counted.sum())
        for heuristic, points in self.strategies:
            method = BranchAndBound(heuristic, points, self.max_domains)  # type: ignore[arg-type]
            verdicts = method.verify(network, box[0][todo], box[1][todo], specification[todo])
            proved = crown.clone()
            proved[todo] = verdicts.verified
            violations += int((proved & ~crown & broken).sum())
            name = f"{heuristic}_{points}"
            found[f"verified/{name}"] = _share(~_any(~proved, example, len(target)))
            found[f"verified/instances_{name}"] = float(verdicts.verified[counted].sum())
            domains = torch.where(verdicts.verified, verdicts.domains, self.max_domains)[counted].double()
            found[f"domains/{name}"] = float(domains.mean())
            found[f"domains/of_{name}"] = domains
            found[f"verified/is_{name}"] = verdicts.verified[counted]
        return {**found, "verified/violations": float(violations)}

    def _smallest_margins(
        self, network: AffineNetwork, inputs: Tensor, target: Tensor, low: Tensor, high: Tensor
    ) -> Tensor:
        """The smallest f_label - f_k that the attack and random points meet: (examples, classes)."""
        attacked = pgd_attack(
            margin_loss(network, target),
            inputs,
            self.eps,
            steps=self.attack_steps,
            restarts=self.attack_restarts,
        )
        share = torch.rand(self.samples, *inputs.shape, dtype=inputs.dtype)
        # Rounding may carry an attack out of the box by a last digit, where nothing is proved.
        points = torch.cat([attacked[None].clamp(low, high), inputs[None], low + share * (high - low)])
        logits = network(points)
        return (logits.gather(-1, target.expand(points.shape[:-1])[..., None]) - logits).amin(0)


def _share(which: Tensor) -> float:
    return float(which.double().mean())


def _any(which: Tensor, example: Tensor, count: int) -> Tensor:
    """Whether any instance of an example is one of these: (count,)."""
    return torch.zeros(count, dtype=torch.bool).scatter_reduce(0, example, which, "amax")
