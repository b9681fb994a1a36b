"""Wrappers go around any data set, and around each other, by configuration; their runs train as one program."""

import pytest

from expkit.build import build
from expkit.compose import compose
from expkit.errors import ConfigError
from expkit.sweeps.grouping import group, why_not

NESTED = ["data=data_pruner", "data@data.of=label_noise", "data@data.of.of=digits", "data.score.members=2"]


def test_a_wrapper_of_a_wrapper_of_another_data_set():
    config = compose([*NESTED, "data.seed=3", "data.of.rate=0.5", "data.keep=0.25", "data.score.steps=4"]).config
    assert config["data"]["spec"] == {"shape": [1, 8, 8], "classes": 10}
    assert config["model"]["input_shape"] == [1, 8, 8]
    assert config["data"]["of"]["seed"] == config["data"]["of"]["of"]["seed"] == 3
    assert config["seed"] == 0
    data = build(config["data"], "data")
    data.setup()
    train = data.splits["train"]
    assert len(train["target"]) == round(0.25 * 1438)
    assert {"clean", "flipped", "row", "score"} <= train.keys()
    assert train["flipped"].float().mean() > 0.5  # wrong labels are harder, and the harder quarter is kept


@pytest.mark.parametrize("of", ["mnist1d", "gaussian_mixture", "xor_clusters", "spirals"])
def test_shapes_that_depend_on_settings_follow_the_data_set_inside(of):
    plain = compose([f"data={of}"]).config
    wrapped = compose(["data=test_parts", f"data@data.of={of}"]).config
    assert wrapped["data"]["spec"] == plain["data"]["spec"]
    assert wrapped["task"] == plain["task"]


def test_seeds_may_differ_within_one_program_wherever_they_stand():
    seeds = [compose([*NESTED, f"seed={seed}", "transforms=[reinitialize]"]).config for seed in (0, 1)]
    assert len(group(seeds)) == 1
    sizes = [seeds[0], compose([*NESTED, "data.score.members=3", "transforms=[reinitialize]"]).config]
    assert why_not(*sizes) == ["data.score.members"]


def test_a_mistake_inside_is_found_before_anything_is_built():
    with pytest.raises(ConfigError, match=r"data\.of\.rate: has to be a number"):
        compose([*NESTED, "data.of.rate=often"])
