"""Numbers of a sequence of tasks, by hand."""

import numpy as np
import pytest

from expkit.metrics.continual import average_accuracy, backward_transfer, forgetting

ACCURACIES = np.array([[0.9, 0.1, 0.2], [0.7, 0.8, 0.1], [0.8, 0.5, 0.9]])


def test_of_three_tasks() -> None:
    assert average_accuracy(ACCURACIES) == pytest.approx((0.8 + 0.5 + 0.9) / 3)
    assert backward_transfer(ACCURACIES) == pytest.approx((-0.1 - 0.3) / 2)
    assert forgetting(ACCURACIES) == pytest.approx((0.1 + 0.3) / 2)
