"""The same configuration, again

Trainings of several models on several data sets are made again, each time in another way: twice in a row, in a new
process and in another order, after an interruption, inside a sweep, by `expkit replay`, on two threads, in fused
stacks. Where the same arithmetic is done, the metrics at all steps and the weights at the end have to have the same
bits. Where sums are taken in another order, metrics have to agree within TOLERANCE, and the row says how well they do.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from report import Row

from expkit.cli import main
from expkit.compose import compose
from expkit.engines.lightning import _Keeper
from expkit.engines.observer import Observer
from expkit.records.differences import compare_metrics, recorded_environment
from expkit.records.record import Record
from expkit.run_fused import run_fused

TOLERANCE = {"32-true": 1e-3, "64-true": 1e-8}
"""Of |a - b| / max(1, |a|, |b|) over `STEPS` steps, in other precisions `COARSE`; accuracies have one of their own."""
COARSE = 3e-2
OF_EXAMPLES = 1e-2
"""Of accuracies, which are counts: an example that lies on an edge moves them by 1 over the number of examples."""
STEPS = 24
SAME = ("logger=none", f"trainer.max_steps={STEPS}", "trainer.eval_at=5", "trainer.checkpoint_steps=4")
BUSY = ("model.norm=batchnorm", "model.dropout=0.3", "scheduler=warmup_cosine", "callbacks=ema")

CASES: dict[str, tuple[str, ...]] = {
    "mlp on digits, with dropout, batch norm, AdamW, averages": ("data=digits", "optimizer=adamw", *BUSY),
    "gpt on markov_text": ("model=gpt", "model.width=32", "data=markov_text"),
    "cnn on mnist1d, Muon": ("model=cnn", "data=mnist1d", "optimizer=muon"),
    "lstm on formal_languages": ("model=lstm", "data=formal_languages"),
    "gin on csl_graphs": ("model=gin", "model.depth=2", "data=csl_graphs"),
    "dnn_ctr on synthetic_interaction": ("model=dnn_ctr", "data=synthetic_interaction", "data.n_train=500"),
    "snn on spike_latency_patterns": ("model=snn", "data=spike_latency_patterns"),
    "deeponet on grf_operator": ("model=deeponet", "data=grf_operator", "data.n_train=500"),
    "residual_mlp on digits, bfloat16": ("model=residual_mlp", "data=digits", "trainer.precision=bf16-mixed"),
    "grokking_xor": ("+experiment=grokking_xor", "scale=smoke"),
}
FUSED: dict[str, tuple[str, ...]] = {
    "mlp on digits, AdamW": ("data=digits", "model.width=32", "optimizer=adamw", "data.batch_size=64"),
    "mlp on digits, AdamW, double precision": ("data=digits", "model.width=32", "optimizer=adamw",
                                               "data.batch_size=64", "trainer.precision=64-true"),
    "gpt on markov_text": ("model=gpt", "model.width=16", "model.depth=1", "data=markov_text", "data.n_train=200"),
    "cnn on mnist1d": ("model=cnn", "model.channels=[4,8]", "data=mnist1d", "data.batch_size=50"),
    "grokking_xor": ("+experiment=grokking_xor", "scale=smoke"),
}  # fmt: skip


def campaign(folder: Path, short: bool) -> Iterator[Row]:
    seed = random.SystemRandom().randrange(10**6)
    cases = dict(list(CASES.items())[:1]) if short else CASES
    first = {name: trained(folder / "first", *overrides) for name, overrides in cases.items()}
    yield again("twice in a row", cases, first, folder / "second")
    yield interrupted(cases, first, folder / "interrupted", random.Random(seed), f"seed {seed}")
    yield in_a_sweep(cases, first, folder / "sweep")
    yield replayed(cases, first)
    if not short:
        yield in_a_new_process(cases, first, folder / "process")
        with threads(2):
            other = {name: trained(folder / "threads", *overrides) for name, overrides in cases.items()}
            yield again("twice in a row, on 2 threads", cases, other, folder / "threads_again")
        yield nearly("on 2 threads instead of 1", other, first)
    fused = dict(list(FUSED.items())[:1]) if short else FUSED
    yield from in_stacks(fused, folder, size=4 if short else 64)


def again(fault: str, cases: dict[str, tuple[str, ...]], first: dict[str, Record], store: Path) -> Row:
    second = {name: trained(store, *overrides) for name, overrides in cases.items()}
    return exactly(fault, second, first)


def interrupted(
    cases: dict[str, tuple[str, ...]], first: dict[str, Record], store: Path, draw: random.Random, origin: str
) -> Row:
    """Each is told to stop after a step, and begun again."""
    second = {}
    for name, overrides in cases.items():
        with stopping_after(draw.randrange(1, STEPS)):
            expkit("train", *overrides, *SAME, "--runs", str(store), status=130)
        second[name] = trained(store, *overrides)
        assert second[name].status["attempts"] == 2
    return exactly(f"stopped after a step, and resumed ({origin})", second, first)


def in_a_sweep(cases: dict[str, tuple[str, ...]], first: dict[str, Record], store: Path) -> Row:
    second = {}
    for name, overrides in cases.items():
        sweep = ("-m", "seed=1,0", "hydra/launcher=serial")
        runs = expkit("train", *overrides, *SAME, *sweep, "--runs", str(store))
        second[name] = next(r for r in map(record, runs) if r.config["seed"] == 0)
    return exactly("in a sweep instead of alone", second, first)


def replayed(cases: dict[str, tuple[str, ...]], first: dict[str, Record]) -> Row:
    broken = []
    for name in cases:
        found = expkit("replay", str(first[name].folder))
        if found["verdict"] != "identical":
            broken.append(f"{name}: {found}")
    return Row("`expkit replay`", len(cases), tuple(broken), "'identical: the same bits'")


def in_a_new_process(cases: dict[str, tuple[str, ...]], first: dict[str, Record], store: Path) -> Row:
    """One that does them in the reverse order."""
    subprocess.run(
        [sys.executable, __file__, str(store), *reversed(cases)],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONHASHSEED": "7"},
    )
    second = {name: record(Record(store / first[name].experiment / first[name].run_id).as_json()) for name in cases}
    return exactly("in a new process, in another order", second, first)


def in_stacks(cases: dict[str, tuple[str, ...]], folder: Path, size: int) -> Iterator[Row]:
    """The same run by itself, and in fused stacks: of one, and of many."""
    alone, of_one, of_many, anew = ({} for _ in range(4))
    for name, overrides in cases.items():
        alone[name] = trained(folder / "alone", *overrides)
        of_one[name] = fused(folder / "one", overrides, 1)
        of_many[name] = fused(folder / "many", overrides, size)
        anew[name] = fused(folder / "anew", overrides, size)
    yield nearly("in a fused stack of 1 instead of alone", of_one, alone)
    yield nearly(f"in a fused stack of {size} instead of 1", of_many, of_one)
    yield nearly(f"in a fused stack of {size} instead of alone", of_many, alone)
    yield exactly(f"in a fused stack of {size}, twice", anew, of_many)


def fused(store: Path, overrides: tuple[str, ...], size: int) -> Record:
    """The run of seed 0, in a stack of seeds 0 to size - 1."""
    runs = [compose([*overrides, *SAME, f"seed={seed}", f"paths.runs={store}"]) for seed in range(size)]
    first = run_fused(runs, [Observer() for _ in runs], force=False)[0]
    assert first is not None
    assert recorded_environment(first)["engine"] == "fused"
    return first


def exactly(fault: str, second: dict[str, Record], first: dict[str, Record]) -> Row:
    broken = [f"{name}: {what}" for name in second for what in unequal(second[name], first[name])]
    return Row(fault, len(second), tuple(broken), "the same bits, in metrics and weights")


def nearly(fault: str, second: dict[str, Record], first: dict[str, Record]) -> Row:
    broken, same = [], 0
    largest: dict[str, float] = {}
    for name in second:
        precision = first[name].config["trainer"]["precision"]
        found = compare_metrics(second[name].metrics, first[name].metrics)
        same += found.identical
        for metric, one in found.differing.items():
            share = metric.endswith("/acc")
            kind = "of accuracies" if share else f"of other metrics in {precision}"
            largest[kind] = max(largest.get(kind, 0.0), one.scaled)
            if one.scaled > (OF_EXAMPLES if share else TOLERANCE.get(precision, COARSE)):
                broken.append(f"{name}: {metric} differs by {one.scaled:.1e} at step {one.at_step}")
    by = ", ".join(f"{most:.0e} {kind}" for kind, most in sorted(largest.items()))
    return Row(fault, len(second), tuple(broken), f"the same bits in {same}; largest differences: {by or 'none'}")


def unequal(second: Record, first: Record) -> Iterator[str]:
    """Where two records of one run differ."""
    found = compare_metrics(second.metrics, first.metrics)
    if not found.identical:
        yield f"metrics differ from step {found.first_step} on: {found.as_json()}"
    ours, theirs = (torch.load(r.checkpoint, weights_only=True)["state_dict"] for r in (second, first))
    for name, tensor in theirs.items():
        if not torch.equal(tensor, ours[name]):
            yield f"the weights {name} differ by up to {float((tensor - ours[name]).abs().max()):.1e}"


def trained(store: Path, *overrides: str) -> Record:
    return record(expkit("train", *overrides, *SAME, "--runs", str(store)))


def record(run: Any) -> Record:
    assert run["status"] == "complete", run
    return Record(Path(run["path"]))


def expkit(*arguments: str, status: int = 0) -> Any:
    """What a command, carried out in this process, prints as JSON."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        found = main([*arguments, "--json"])
    assert found == status or arguments[0] == "replay", (arguments, found, err.getvalue())
    return json.loads(out.getvalue())


@contextmanager
def stopping_after(step: int) -> Iterator[None]:
    """SIGTERM comes after this step."""
    original = _Keeper.on_train_batch_end

    def hook(self: Any, trainer: Any, *arguments: Any) -> None:
        if trainer.global_step == step:
            signal.raise_signal(signal.SIGTERM)
        original(self, trainer, *arguments)

    with mock.patch.object(_Keeper, "on_train_batch_end", hook):
        yield


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


if __name__ == "__main__":
    for name in sys.argv[2:]:
        trained(Path(sys.argv[1]), *CASES[name])
