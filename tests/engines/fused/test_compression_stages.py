"""Pruning, rewinding and quantization between the steps of fused trainings, against each run by itself."""

from pathlib import Path

import fits
import pytest

COMMON = ("data=digits", "data.n_train=120", "data.batch_size=30", "optimizer=adam", "trainer.precision=64-true")
PRUNED = (
    *("model=lenet_300_100", "model.widths=[12,8]", "transforms=[prunable]", "probes=sparsity"),
    *("callbacks=[magnitude_pruner,random_reinit,random_mask,lottery_ticket_rewind]", "trainer.max_steps=20"),
    *("callbacks.magnitude_pruner.at=[4,8]", "callbacks.random_reinit.start=8", "callbacks.random_mask.start=12"),
    *("callbacks.lottery_ticket_rewind.at=[4,16]", "trainer.eval_at=4"),
)
QUANTIZED = (
    *("model=cnn", "model.channels=[4]", "model.norm=batchnorm", "model.bias=false", "transforms=[quantizable]"),
    *("callbacks=quantization_aware_training", "callbacks.quantization_aware_training.start=5"),
    *("trainer.max_steps=10", "trainer.eval_at=5", "optimizer=sgd", "optimizer.lr=0.05"),
)


def test_masks_and_rewinding(tmp_path: Path):
    runs = fits.configs(*COMMON, *PRUNED, sweep=["seed=0", "seed=1"])
    rows = same_as_alone(runs, tmp_path)
    total = 64 * 12 + 12 * 8 + 8 * 10
    assert [row["pruner/density"] for row in rows if "pruner/density" in row] == [
        pytest.approx(0.8, abs=2 / total),
        pytest.approx(0.64, abs=2 / total),
    ]
    assert rows[-1]["sparsity/global"] == pytest.approx(0.36, abs=2 / total)


def test_runs_of_different_bits_are_one_program(tmp_path: Path):
    sweep = ["seed=0 transforms.quantizable.weight_bits=2.0", "seed=1 transforms.quantizable.weight_bits=5.0"]
    same_as_alone(fits.configs(*COMMON, *QUANTIZED, sweep=sweep), tmp_path)


def same_as_alone(runs, folder: Path) -> list[dict]:
    """The rows of the second run, after its rows in a stack have been compared with those of it alone."""
    fit = fits.fit(runs, folder / "fused")
    assert fit.run() == ["complete", "complete"]
    state, rows = fits.alone(runs[1], folder / "alone")
    assert state == "complete"
    for one, other in zip(fit.trainings[1].log.rows, rows, strict=True):
        assert one == pytest.approx(other, rel=1e-6, abs=1e-9)
    return rows
