import pytest
import torch

from expkit.data.formal_languages import FormalLanguages
from expkit.errors import UserError
from expkit.models.recurrent import Recurrent
from expkit.probes.metric_by_value import MetricByValue
from expkit.tasks.supervised import LanguageModelling


@pytest.fixture
def trained():
    torch.manual_seed(0)
    data = FormalLanguages("reverse_string", [1, 4], [5, 9], 40, 40, 33, spec={"shape": [18], "vocab": 4})
    data.setup()
    return LanguageModelling(Recurrent([18], 4, vocab=4, width=8, per_position=True).eval(), 4), data


def test_agrees_with_an_evaluation_of_each_group(trained):
    task, data = trained
    found = MetricByValue("length", ["acc", "loss"], ["val", "test"], chunk=7).conclude(task, data)
    for name in ("val", "test"):
        split = data.splits[name]
        assert found[f"length/{name}"].tolist() == sorted(set(split["length"].tolist()))
        for metric in ("acc", "loss"):
            each = [
                task.evaluate({column: own[split["length"] == length] for column, own in split.items()})[metric]
                for length in found[f"length/{name}"]
            ]
            assert found[f"length/{name}_{metric}"].tolist() == pytest.approx(each, abs=1e-6)
            assert found[f"length/{name}_{metric}_mean"] == pytest.approx(sum(each) / len(each), abs=1e-6)


def test_a_split_without_the_column_is_an_error(trained):
    with pytest.raises(UserError, match="no column 'domain'"):
        MetricByValue("domain").conclude(*trained)
