from torch import nn

from expkit.data.base import TensorData
from expkit.probes.param_count import ParamCount


class Task(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.ModuleDict(
            {"embedding": nn.Embedding(10, 4), "mlp": nn.Linear(4, 3), "norm": nn.BatchNorm1d(3)}
        )


def test_what_is_trained_counts_and_buffers_and_frozen_parameters_do_not():
    task = Task()
    data = TensorData.__new__(TensorData)
    assert ParamCount().conclude(task, data) == {"param_count/total": 10 * 4 + (4 * 3 + 3) + 2 * 3}
    task.model["mlp"].bias.requires_grad_(False)
    assert ParamCount().conclude(task, data) == {"param_count/total": 10 * 4 + 4 * 3 + 2 * 3}
    assert ParamCount(leave_out="embedding|norm").conclude(task, data) == {"param_count/total": 4 * 3}
