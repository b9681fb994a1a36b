import pytest
from torch import nn

from expkit.optim.muon import Muon
from expkit.optim.warmup_cosine import WarmupCosine


def test_is_the_rate_of_the_next_step(train, callback):
    _, log, _ = train(
        callback("learning_rate"), max_steps=8, scheduler=lambda o: WarmupCosine(o, max_steps=8, warmup_steps=4)
    )
    rates = [row["lr"] for row in log.rows]
    assert rates[:5] == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1])
    assert rates[6] == pytest.approx(0.05)
    assert rates[8] == pytest.approx(0.0, abs=1e-12)


def test_groups_are_called_by_their_names(train, callback):
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
    _, log, _ = train(callback("learning_rate"), model=model, optimizer=lambda p: Muon(p, lr=0.02, adamw_lr=0.001))
    assert (log.rows[-1]["lr/muon"], log.rows[-1]["lr/adamw"]) == (0.02, 0.001)
