"""Lightning's own early stopping, at the engine's evaluation points."""

import math


def test_stops_when_patience_is_used_up(train, callback):
    settings = {"monitor": "test/loss", "patience": 3, "min_delta": 0.002}
    _, log, state = train(callback("early_stopping", **settings), max_steps=400, eval_at=2)
    losses = [row["test/loss"] for row in log.rows]
    assert state == "complete"
    assert log.rows[-1]["step"] < 400

    best, waited, stops = math.inf, 0, []  # the rule, written down once more
    for number, loss in enumerate(losses):
        best, waited = (loss, 0) if loss < best - 0.002 else (best, waited + 1)
        if waited == 3:
            stops.append(number)
    assert stops == [len(losses) - 1]


def test_stops_at_a_value_that_is_good_enough(train, callback):
    reached = train(max_steps=60)[1].rows[30]["test/loss"]
    _, log, _ = train(callback("early_stopping", stopping_threshold=reached * 1.0001, patience=1000), max_steps=60)
    assert log.rows[-1]["test/loss"] < reached * 1.0001
    assert all(row["test/loss"] >= reached * 1.0001 for row in log.rows[:-1])


def test_good_enough_from_the_start_is_no_step_at_all(train, callback, weights):
    _, log, _ = train(weights, callback("early_stopping", stopping_threshold=1e6))
    assert weights.trained == []
    assert [row["step"] for row in log.rows] == [0]
