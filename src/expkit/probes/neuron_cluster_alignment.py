"""How far the hidden neurons of a two-layer network point along the means of the clusters (arXiv 2310.02541)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from expkit.data.xor_clusters import XorClusters
from expkit.errors import UserError
from expkit.models.two_layer_relu import TwoLayerReLU
from expkit.probes.base import Probe

if TYPE_CHECKING:
    from expkit.data.base import TensorData
    from expkit.tasks.base import Task


class NeuronClusterAlignment(Probe):
    r"""Mean over neurons of |cos(w_j, mu)|, for the axis mu of the label that a neuron votes for, and for the other.

    A neuron with readout a_j > 0 votes for label 1, whose clusters lie at +-mu_1; one with a_j < 0 for +-mu_2. The
    sign of the cosine does not matter, since clusters lie on both sides. A random direction in p dimensions has a
    mean of sqrt(2 / (pi p)).

    Metrics: `alignment/own`, `alignment/other`.
    """

    def measure(self, task: Task, data: TensorData) -> dict[str, float]:
        if not isinstance(task.model, TwoLayerReLU) or not isinstance(data, XorClusters):
            raise UserError(
                "probes.neuron_cluster_alignment needs a two-layer network on XOR clusters, "
                f"not {type(task.model).__name__} on {type(data).__name__}.",
                "Use it with model=two_layer_relu data=xor_clusters.",
            )
        hidden, readout, means = task.model.hidden, task.model.readout, data.means
        cosines = (F.normalize(hidden, dim=1) @ F.normalize(means.to(hidden), dim=1).T).abs()
        positive = readout > 0
        own = cosines[:, 0].where(positive, cosines[:, 1])
        other = cosines[:, 1].where(positive, cosines[:, 0])
        return {"alignment/own": own.mean().item(), "alignment/other": other.mean().item()}
