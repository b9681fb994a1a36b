"""What an experiment needs beyond the core is asked for before anything is imported."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

import pytest

from expkit import extras
from expkit.compose import compose
from expkit.errors import ConfigError

DECLARED = [
    "torch>=2.6",
    'made-up-graphs>=2.0; extra == "made_up"',
    'polars; extra == "made_up"',
    'rich; extra == "there"',
]


@pytest.fixture(autouse=True)
def declared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(metadata, "requires", lambda name: DECLARED)
    extras._packages.cache_clear()
    yield
    extras._packages.cache_clear()


def test_a_missing_package_is_named_with_what_installs_it() -> None:
    with pytest.raises(ConfigError, match="needs made-up-graphs, which is not installed") as error:
        compose(["data=iris", "requires=made_up"])
    assert error.value.hint == "Install the extra: pip install 'expkit[made_up]'"


def test_what_is_there_is_no_obstacle_and_no_part_of_the_run() -> None:
    from expkit.identity import run_id

    assert run_id(compose(["data=iris", "requires=there"]).config) == run_id(compose(["data=iris"]).config)


def test_an_extra_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="requires the extra 'made_upp'") as error:
        compose(["data=iris", "requires=made_upp"])
    assert "made_up" in str(error.value.hint)
