"""Tasks that need an output at every position of the input, and what models are told when they do not fit."""

import pytest
import torch
from torch.nn import functional as F

from expkit.errors import ConfigError
from expkit.models.gpt import GPT
from expkit.models.mlp import MLP
from expkit.models.recurrent import Recurrent
from expkit.tasks.supervised import Classification, LanguageModelling, Regression

TOKENS = torch.randint(5, (8, 6), generator=torch.Generator().manual_seed(0))
TEXT = {"input": TOKENS, "target": TOKENS.roll(-1, 1)}


def test_language_modelling_takes_a_model_with_an_output_per_position():
    model = GPT([6], 5, vocab=5, width=8, heads=2)
    LanguageModelling(model, n_outputs=5).check(TEXT)


@pytest.mark.parametrize(
    "model", [GPT([6], 5, vocab=5, width=8, heads=2, per_position=False), MLP([6], 5, vocab=5, width=8)]
)
def test_language_modelling_refuses_one_output_per_example(model):
    with pytest.raises(ConfigError, match=r"puts out shape \[2, 5\] .* needs \[2, 6, 5\]"):
        LanguageModelling(model, n_outputs=5).check(TEXT)


def test_classification_refuses_an_output_per_position_unless_it_tags():
    model = GPT([6], 5, vocab=5, width=8, heads=2)
    with pytest.raises(ConfigError, match=r"needs \[2, 5\]"):
        Classification(model, n_outputs=5).check(TEXT)
    Classification(model, n_outputs=5, per_position=True).check(TEXT)


def test_tagging_is_the_mean_over_examples_and_positions():
    model = GPT([6], 5, vocab=5, width=8, heads=2)
    metrics = Classification(model, n_outputs=5, per_position=True).objective(TEXT)
    log_p = model(TOKENS).log_softmax(-1)
    expected = -torch.stack([log_p[i, t, TEXT["target"][i, t]] for i in range(8) for t in range(6)]).mean()
    torch.testing.assert_close(metrics["loss"], expected)
    torch.testing.assert_close(metrics["acc"], (log_p.argmax(-1) == TEXT["target"]).sum() / 48)


def test_regression_at_every_time_step_of_a_signal():
    model = Recurrent([3, 10], 2, width=4, per_position=True)
    batch = {"input": torch.randn(8, 3, 10), "target": torch.randn(8, 10, 2)}
    task = Regression(model, n_outputs=2, per_position=True)
    task.check(batch)
    assert task.objective(batch)["mse"] == F.mse_loss(model(batch["input"]), batch["target"])


def test_language_modelling_without_positions_is_refused():
    with pytest.raises(ValueError, match="predicts at every position"):
        LanguageModelling(MLP([6], 5, vocab=5), n_outputs=5, per_position=False)
