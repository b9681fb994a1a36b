"""The training of `expkit train +experiment=grokking_xor` as a script of its own: the same pieces in a plain loop.

Prints the last metrics as JSON. What `expkit train` takes longer than this is the price of everything around the loop.
"""

from __future__ import annotations

import json
import sys

import lightning.pytorch  # noqa: F401  a script without expkit that uses Lightning pays for it as well
import torch
from torch.nn import functional as F

from expkit.data.xor_clusters import XorClusters
from expkit.engines.evaluation_points import evaluation_points
from expkit.models.two_layer_relu import TwoLayerReLU
from expkit.probes.grouped_metric import GroupedMetric
from expkit.probes.linearity import Linearity
from expkit.probes.neuron_cluster_alignment import NeuronClusterAlignment
from expkit.seeding import stream
from expkit.tasks.supervised import BinaryClassification


def train(steps: int, seed: int = 0) -> dict[str, float]:
    """Gradient descent; the metrics after the last step."""
    data = XorClusters(
        dim=10000,
        n_train=200,
        n_test=1000,
        mean_norm=17.32,
        noise_rate=0.1,
        spec={"shape": [10000], "classes": 2},
        seed=seed,
    )
    data.setup()
    with stream(seed, "initialization"):
        model = TwoLayerReLU([10000], width=200, init_scale=1e-4)
    task = BinaryClassification(model, n_outputs=1)
    probes = [
        GroupedMetric(column="flipped", groups={"clean": 0, "flipped": 1}, metrics=["acc"]),
        NeuronClusterAlignment(),
        Linearity(),
    ]
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    train = data.splits["train"]
    points = evaluation_points("log", steps)
    metrics: dict[str, float] = {}
    for step in range(steps + 1):
        if step in points:
            with torch.no_grad():
                for split, values in data.splits.items():
                    metrics |= {f"{split}/{name}": value for name, value in task.evaluate(values).items()}
                for probe in probes:
                    metrics |= probe.measure(task, data)
        if step < steps:
            optimizer.zero_grad()
            output = model(train["input"]).squeeze(-1)
            F.binary_cross_entropy_with_logits(output, train["target"].float()).backward()
            optimizer.step()
    return {"step": steps, **metrics}


if __name__ == "__main__":
    print(json.dumps(train(int(sys.argv[1]))))
