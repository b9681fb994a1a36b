"""`linspace` and `logspace` in overrides mean what NumPy means by them."""

from __future__ import annotations

import numpy as np
import pytest

from expkit.errors import ConfigError
from expkit.sweeps.spaces import spelled_out


def values(override: str) -> list[float]:
    return [float(value) for value in spelled_out([override])[0].partition("=")[2].split(",")]


@pytest.mark.parametrize(("a", "b", "n"), [(0, 1, 5), (-3, 4, 256), (2.5, -1e-12, 7), (3, 3, 1)])
def test_as_in_numpy(a: float, b: float, n: int) -> None:
    np.testing.assert_allclose(values(f"x=linspace({a},{b},{n})"), np.linspace(a, b, n), rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(values(f"x=logspace({a},{b},{n})"), np.logspace(a, b, n), rtol=1e-13)


def test_the_ends_are_exact_at_any_depth_of_zoom() -> None:
    a, b = 0.12345678901234567, 0.12345678901234587
    spread = values(f"x=linspace({a!r},{b!r},9)")
    assert (spread[0], spread[-1]) == (a, b)
    assert len(set(spread)) == 9


def test_other_overrides_stay_as_they_are() -> None:
    others = ["x=1", "x=range(0,3)", "+x=a,b", "x", "x=choice(1,2)"]
    assert spelled_out(others) == others


@pytest.mark.parametrize("wrong", ["linspace(1,2)", "logspace(a,b,c)", "linspace(0,1,0)", "linspace(0,1,2.5)"])
def test_what_is_no_space_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="is not an override"):
        spelled_out([f"x={wrong}"])
