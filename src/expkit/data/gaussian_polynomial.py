"""Gaussian inputs whose target is a polynomial of one hidden quantity: a direction, a monomial, a quadratic form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from expkit.data.base import Spec, Split, TensorData


class GaussianPolynomial(TensorData):
    r"""x ~ N(0, I_dim), y = g(p(x)) with g(z) = \sum_k c_k b_k(z), plus noise in training.

    The quantity p:

    - `single_index`: p(x) = <beta, x>, with beta uniform on the unit sphere;
    - `monomial`: p(x) = \prod_i x_i^{e_i} over the first inputs, with the `exponents` e_i: [1, 1] is x_1 x_2, the
      parity of Gaussian signs; [3] is x_1^3;
    - `quadratic_form`: p(x) = x^T A x, with A a symmetric Gaussian matrix made traceless and scaled to a variance of
      p of 1, 2 |A|_F^2 = 1 (arXiv 2311.13774).

    The basis b of g: powers, b_k(z) = z^k, or Hermite polynomials, b_k = He_k (1, z, z^2 - 1, z^3 - 3z, ...), which are
    orthogonal where z ~ N(0, 1), as it is for `single_index`.

    (beta . x)^2 / 2 of arXiv 2310.06110 is `single_index` with powers [0, 0, 0.5]; x_1 x_2 is `monomial` with exponents
    [1, 1] and powers [0, 1]; z + 0.3 He_2(z) + 0.1 He_3(z) of a quadratic form is Hermite with [0, 1, 0.3, 0.1].

    Columns: 'input' (n, dim), 'target' (n, 1), 'feature' (n,), which is p(x), and for training 'clean' (the target
    without noise).

    Args:
        dim: number of input dimensions.
        feature: p.
        coefficients: c_0, c_1, ...
        basis: b.
        exponents: of the monomial; not looked at otherwise.
        n_train, n_test: numbers of examples.
        noise: standard deviation of the Gaussian noise on training targets.

    Raises:
        ValueError: no coefficient, exponents that are negative or more than inputs, or a negative noise.
    """

    def __init__(
        self,
        dim: int,
        feature: Literal["single_index", "monomial", "quadratic_form"],
        coefficients: Sequence[float],
        basis: Literal["powers", "hermite"],
        n_train: int,
        n_test: int,
        spec: Spec,
        exponents: Sequence[int] = (1, 1),
        noise: float = 0.0,
        batch_size: int | Literal["full"] = "full",
        seed: int = 0,
    ) -> None:
        super().__init__(spec=spec, batch_size=batch_size, seed=seed)
        if not coefficients:
            raise ValueError("a polynomial has at least one of its coefficients")
        if feature == "monomial" and (len(exponents) > dim or min(exponents, default=-1) < 0):
            raise ValueError(f"exponents are at least 0, for up to dim={dim} inputs; got {list(exponents)}")
        if noise < 0:
            raise ValueError(f"noise is a standard deviation, got {noise}")
        self.dim = dim
        self.kind = feature
        self.coefficients = list(coefficients)
        self.basis = basis
        self.exponents = list(exponents)
        self.n_examples = {"train": n_train, "test": n_test}
        self.noise = noise

    @property
    def direction(self) -> Tensor:
        """beta, (dim,)."""
        drawn = torch.randn(self.dim, generator=self.generator("direction"))
        return drawn / drawn.norm()

    @property
    def form(self) -> Tensor:
        """A, (dim, dim)."""
        drawn = torch.randn(self.dim, self.dim, generator=self.generator("form"))
        symmetric = drawn + drawn.T
        traceless = symmetric - symmetric.trace() / self.dim * torch.eye(self.dim)
        return traceless / (2**0.5 * traceless.norm())

    def feature(self, inputs: Tensor) -> Tensor:
        """p, (n, dim) -> (n,)."""
        match self.kind:
            case "single_index":
                return inputs @ self.direction.to(inputs)
            case "monomial":
                exponents = torch.tensor(self.exponents, device=inputs.device)
                return inputs[:, : len(exponents)].pow(exponents).prod(1)
            case "quadratic_form":
                return ((inputs @ self.form.to(inputs)) * inputs).sum(1)
        raise ValueError(f"feature is one of single_index, monomial, quadratic_form; got '{self.kind}'")

    def polynomial(self, z: Tensor) -> Tensor:
        """g, of any shape."""
        before, now = torch.zeros_like(z), torch.ones_like(z)
        total = torch.zeros_like(z)
        for degree, coefficient in enumerate(self.coefficients):
            total = total + coefficient * now
            # He_{k+1}(z) = z He_k(z) - k He_{k-1}(z)
            before, now = now, z * now - (degree * before if self.basis == "hermite" else 0)
        return total

    def draw(self) -> dict[str, Split]:
        train, test = self._clean("train"), self._clean("test")
        clean = train["target"]
        noisy = clean + self.noise * torch.randn(clean.shape, generator=self.generator("noise"))
        return {"train": {**train, "target": noisy, "clean": clean}, "test": test}

    def _clean(self, name: str) -> Split:
        inputs = torch.randn(self.n_examples[name], self.dim, generator=self.generator(name))
        feature = self.feature(inputs)
        return {"input": inputs, "target": self.polynomial(feature).unsqueeze(1), "feature": feature}
