"""Zooms into the boundary of one configuration, through ten decades, with expkit's own trainings.

    python experiments/trainability_fractal/zooms.py --arm identity --seed 0 --zooms 12 --resolution 48

prints the dimension of the boundary at every scale, and writes a picture of all maps.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from experiments.trainability_fractal.zoom import Numbers, TrainMap, decades, median_dimension, zoom

from expkit import compose
from expkit.analysis.trainability_map import Map, draw_zoom
from expkit.engines.stopping import StopRequest
from expkit.sweeps.dense import train_columns
from expkit.sweeps.jobs import compose_jobs
from expkit.sweeps.spaces import spelled_out

EXPERIMENT = "trainability_fractal"
AXES = ("optimizer.lr", "optimizer.lr_output")


def trained_map(overrides: Sequence[str]) -> TrainMap:
    """Trains the networks of a map as one program.

    Args:
        overrides: of the experiment, besides the two learning rates.
    """

    def train(x: Numbers, y: Numbers) -> Numbers:
        jobs = [
            [f"experiment={EXPERIMENT}", *overrides, f"{AXES[0]}={a!r}", f"{AXES[1]}={b!r}"]
            for b in y.tolist()
            for a in x.tolist()
        ]
        configs = []
        for one in compose_jobs([], jobs):
            if isinstance(one, Exception):
                raise one
            configs.append(one.config)
        with StopRequest() as stop:
            metrics = train_columns(configs, stop, lambda done: None)
        if metrics is None:
            raise KeyboardInterrupt
        return np.array(metrics["convergence/value"]).reshape(len(y), len(x))

    return train


def arm(name: str) -> tuple[list[str], list[Numbers]]:
    """The overrides of one of the experiment's arms, and the ends of its axes."""
    written = compose.experiment_config(EXPERIMENT)
    axes = {**written["hydra"]["sweeper"]["params"], **written["study"]["arms"][name]}
    ends = []
    for key in AXES:
        (spread,) = spelled_out([f"{key}={axes[key]}"])
        ends.append(np.array([float(value) for value in spread.partition("=")[2].split(",")])[[0, -1]])
    return [f"{key}={value}" for key, value in axes.items() if key not in AXES], ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arm", default="identity", help="tanh, relu, identity, minibatch or single_datapoint")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--zooms", type=int, default=12, help="each by a factor of 8")
    parser.add_argument("--resolution", type=int, default=48, help="side of the maps")
    parser.add_argument("--quantile", type=float, default=1.0, help="1: the most intricate piece; 0.5: a typical one")
    parser.add_argument("--out", type=Path, help="the picture (default: zoom_ARM.png)")
    options = parser.parse_args()
    overrides, (x, y) = arm(options.arm)
    train = trained_map([*overrides, f"seed={options.seed}"])
    axes = [np.geomspace(*ends, options.resolution) for ends in (x, y)]
    whole = Map(axes[0], axes[1], train(axes[0], axes[1]))
    if whole.converged.all() or not whole.converged.any():
        raise SystemExit(f"No boundary in this map of seed {options.seed}: the axes are around that of seed 0.")
    levels = zoom(train, whole, options.zooms, resolution=options.resolution, quantile=options.quantile)
    for number, level in enumerate(levels):
        dimension = level.dimension
        print(f"zoom {number:>2}   dimension {dimension.dimension:.2f} +- {dimension.standard_error:.2f}")
    print(f"{decades(levels):.1f} decades, median dimension {median_dimension(levels):.2f}")
    out = options.out or Path(f"zoom_{options.arm}.png")
    draw_zoom([level.map for level in levels], f"Zooms into the boundary: {options.arm}").savefig(out, dpi=160)
    print(out)


if __name__ == "__main__":
    main()
