"""Timing by a clock that only the training and its evaluation move."""

import pytest

from expkit.callbacks import timing
from expkit.tasks.supervised import Regression


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def test_steps_count_and_evaluations_do_not(train, callback, clock):
    class Slow(Regression):
        def training_step(self, batch, batch_idx):
            clock.now += 0.002 if batch_idx < 5 else 0.004
            return super().training_step(batch, batch_idx)

        def evaluate(self, split, chunk=4096):
            clock.now += 100.0
            return super().evaluate(split, chunk)

    _, log, _ = train(callback("timing"), task_class=Slow, eval_at=[0, 5, 6, 10])
    assert "time/step_ms" not in log.rows[0]
    assert [row["time/step_ms"] for row in log.rows[1:]] == pytest.approx([2.0, 4.0, 4.0])
    # 8 examples a step
    assert [row["time/examples_per_s"] for row in log.rows[1:]] == pytest.approx([4000.0, 2000.0, 2000.0])
