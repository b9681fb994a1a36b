"""A run store of 100,000 records: how long `runs()`, `expkit compare` and `expkit runs` take over all of them.

python scripts/bench/many_records.py                100,000 records in a temporary folder
python scripts/bench/many_records.py --records 5000 --keep DIR
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from expkit.records.index import Index

EXPERIMENTS = ("xor_clusters-two_layer_relu", "wine-mlp", "mnist1d-cnn", "markov_text-gpt")
OPTIMIZERS = {"sgd": "torch.optim.SGD", "adam": "torch.optim.Adam"}
TAIL = """\
name: {name}
tags: []
paths:
  runs: runs
trainer:
  _target_: expkit.engines.lightning.LightningEngine
  max_steps: 400
  max_epochs: null
  eval_at: log
  accelerator: auto
  devices: 1
  precision: 32-true
  gradient_clip_val: null
  accumulate_grad_batches: 1
  deterministic: warn
  checkpoint_minutes: 5
  detect_anomaly: false
callbacks: {{}}
probes: {{}}
logger: {{}}
scheduler: {{}}
model:
  _target_: expkit.models.mlp.MLP
  input_shape:
  - 13
  n_outputs: 3
  vocab: null
  width: {width}
  depth: 2
  activation: relu
  norm: none
  dropout: 0.0
  bias: true
  init: torch
  init_scale: 1.0
task:
  _target_: expkit.tasks.supervised.Classification
  n_outputs: 3
  label_smoothing: 0.0
data:
  _target_: expkit.data.sklearn_table.SklearnTable
  table: wine
  test_fraction: 0.2
  n_train: null
  batch_size: full
  seed: {seed}
  spec:
    shape:
    - 13
    classes: 3
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="write records here, or use those that are here, and leave them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = options.keep or Path(name) / "runs"
        if not root.exists():
            print(f"writing {options.records:,} records: {timed(lambda: write_records(root, options.records)):.1f} s")
        measure(root, options.repeats)


def measure(root: Path, repeats: int) -> None:
    """Prints seconds: the first use, which reads every record, and then the median of several."""
    count = f"from expkit.records import runs; print(len(runs(root={str(root)!r})))"
    first = ["wine-mlp", "--runs", str(root)]
    commands = {
        "python -c 'runs()'": [sys.executable, "-c", count],
        "expkit runs": [sys.executable, "-m", "expkit", "runs", "--runs", str(root)],
        "expkit runs --where": [sys.executable, "-m", "expkit", "runs", "--where", "seed<5", "--runs", str(root)],
        "expkit compare (all)": [sys.executable, "-m", "expkit", "compare", "--runs", str(root)],
        "expkit compare (one experiment)": [sys.executable, "-m", "expkit", "compare", *first],
        "expkit compare --where": [sys.executable, "-m", "expkit", "compare", "--where", "model.width==64", *first],
    }
    call = commands["python -c 'runs()'"]
    Index(root).forget()
    print(f"the first use, without an index: {timed(lambda: subprocess.run(call, check=True)):.1f} s")
    for name, command in commands.items():
        times = sorted(
            timed(lambda c=command: subprocess.run(c, check=True, capture_output=True)) for _ in range(repeats)
        )
        print(f"{name:32} {times[len(times) // 2]:.2f} s  ({times[0]:.2f} to {times[-1]:.2f})")
    inside = sorted(_inside(root, repeats))
    print(f"{'runs() in a notebook':32} {inside[len(inside) // 2]:.2f} s  ({inside[0]:.2f} to {inside[-1]:.2f})")


def _inside(root: Path, repeats: int) -> list[float]:
    from expkit.records import runs

    runs(root=root)
    return [timed(lambda: runs(root=root)) for _ in range(repeats)]


def write_records(root: Path, count: int) -> None:
    """Records of four experiments, two optimizers, several widths and rates; ten seeds of each setting."""
    draw = random.Random(0)
    for number in range(count):
        setting, seed = divmod(number, 10)
        optimizer = ("sgd", "adam")[setting % 2]
        width = 16 << (setting // 2 % 4)
        lr = 10.0 ** -(1 + setting // 8 % 300 / 100)
        name = EXPERIMENTS[setting // 2400 % len(EXPERIMENTS)]
        folder = root / name / f"{draw.getrandbits(48):012x}"
        folder.mkdir(parents=True)
        own = {"seed": seed, "optimizer": {"_target_": OPTIMIZERS[optimizer], "lr": lr, "weight_decay": 0}}
        (folder / "config.yaml").write_text(
            yaml.dump(own, sort_keys=False, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper))
            + TAIL.format(name=name, width=width, seed=seed)
        )
        status = {"run_id": folder.name, "status": "complete", "overrides": [f"optimizer.lr={lr}", f"seed={seed}"]}
        times = {"started": f"2026-11-{1 + number % 28:02}T12:00:00+00:00", "seconds": 1.5, "error": None}
        loss = draw.random() + (optimizer == "sgd")
        summary = {
            "step": 400,
            "train/loss": loss,
            "train/acc": 0.9,
            "test/loss": loss * 1.1,
            "test/acc": 0.8 - loss / 9,
        }
        (folder / "status.json").write_text(json.dumps({**status, **times}))
        (folder / "summary.json").write_text(json.dumps(summary))


def timed(call: object) -> float:
    began = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - began


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "120")
    main()
