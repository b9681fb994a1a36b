"""The part of a Hessian that is due to the curvature of the loss in the model's outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.func import grad

from expkit.analysis.hessian import Curvature, pullback

if TYPE_CHECKING:
    from expkit.data.base import Split


class GaussNewton(Curvature):
    r"""G = 1/n \sum_i J_i^T (d^2 loss_i / df^2) J_i, with J_i = df(x_i) / dw: the Hessian of the linearized model.

    The Hessian is G plus a term in the model's second derivatives, which vanishes where residuals do. For losses that
    are convex in the outputs f, G has no negative eigenvalues; at most n times the number of outputs are not zero.
    With squared error on a single output it is, but for a factor, the uncentred covariance of the gradients of f
    (arXiv 1706.04454, section 3). A product takes the time of about four gradients.

    Raises:
        UserError: in products: the task's loss is not a function of one output of the model.
    """

    def product_of_part(self, vector: Tensor, part: Split) -> Tensor:
        def output(point: Tensor) -> Tensor:
            return self.loss.output(point, part)

        def loss(own: Tensor) -> Tensor:
            return self.loss.of_output(own, part)

        value, back = pullback(output, self.point)
        _, forth = pullback(back, torch.zeros_like(value))  # u -> J^T u is linear, so its transpose is J everywhere
        _, curvature = pullback(grad(loss), value)
        return back(curvature(forth(vector)))
