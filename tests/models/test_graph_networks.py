"""Graph networks: layers against dense formulas, and what padding, order and stacking may not change."""

import copy

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch.func import functional_call, grad, stack_module_state, vmap

from expkit.models.flat_graph import flat_graph
from expkit.models.gat import GAT
from expkit.models.gated_gcn import GatedGCN
from expkit.models.gcn import GCN
from expkit.models.gin import GIN
from expkit.models.masked_batch_norm import MaskedBatchNorm
from expkit.models.node_mlp import NodeMLP

MODELS = [NodeMLP, GCN, GIN, GAT, GatedGCN]


def batch(positions=3, max_nodes=7, max_edges=30):
    """Two graphs of 5 and 6 nodes."""
    columns = {
        "input": torch.zeros(2, max_nodes, 4),
        "edges": torch.zeros(2, max_edges, 2, dtype=torch.long),
        "n_nodes": torch.tensor([5, 6]),
        "n_edges": torch.zeros(2, dtype=torch.long),
        "edge_features": torch.zeros(2, max_edges, 2),
        "positions": torch.zeros(2, max_nodes, positions),
    }
    for number, n in enumerate((5, 6)):
        upper = ((torch.rand(n, n) < 0.5) | torch.eye(n, n).roll(1, 0).bool()).triu(1).nonzero()
        edges = torch.cat([upper, upper.flip(1)])
        columns["edges"][number, : len(edges)] = edges
        columns["n_edges"][number] = len(edges)
        columns["edge_features"][number, : len(edges)] = torch.randn(len(upper), 2).repeat(2, 1)
        columns["input"][number, :n] = torch.randn(n, 4)
        columns["positions"][number, :n] = torch.randn(n, positions)
    return columns


def build(cls, per_position=False, **changes):
    settings = {"width": 16, "depth": 2, "positions": "laplacian", "n_positions": 3, **changes}
    return cls(input_shape=(7, 4), n_outputs=3, edge_features=2, per_position=per_position, **settings)


def arguments(columns):
    return [columns[name] for name in GCN.columns]


@pytest.mark.parametrize("cls", MODELS)
def test_more_padding_changes_nothing(cls):
    small, model = batch(), build(cls, dropout=0.0, positions="random_walk")
    large = {
        name: torch.zeros(2, *shape, dtype=small[name].dtype)
        for name, shape in (("input", (11, 4)), ("edges", (50, 2)), ("edge_features", (50, 2)), ("positions", (11, 3)))
    }
    for name, padded in large.items():
        padded[:, : small[name].shape[1]] = small[name]
        padded[:, small[name].shape[1] :] = 3  # what padding holds does not matter either
    large |= {"n_nodes": small["n_nodes"], "n_edges": small["n_edges"]}
    in_training = model.train()(*arguments(small)), model(*arguments(large))
    torch.testing.assert_close(*in_training, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(model.eval()(*arguments(small)), model(*arguments(large)), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("cls", MODELS)
def test_graphs_of_a_batch_do_not_hear_of_each_other(cls):
    columns, model = batch(), build(cls, per_position=True).eval()
    together = model(*arguments(columns))
    for number in range(2):
        alone = model(*arguments({name: values[number : number + 1] for name, values in columns.items()}))
        torch.testing.assert_close(together[number : number + 1], alone)


@pytest.mark.parametrize("cls", MODELS)
def test_renumbered_nodes_give_renumbered_outputs_and_the_same_of_the_graph(cls):
    columns = {name: values[:1] for name, values in batch().items()}
    columns |= {name: columns[name][:, :5] for name in ("input", "positions")}
    order = torch.randperm(5)
    moved = dict(columns, edges=order[columns["edges"]])
    for name in ("input", "positions"):
        moved[name] = torch.zeros_like(columns[name])
        moved[name][:, order] = columns[name]
    nodes = build(cls, per_position=True).eval()
    torch.testing.assert_close(nodes(*arguments(moved))[:, order], nodes(*arguments(columns)))
    graphs = build(cls).eval()
    torch.testing.assert_close(graphs(*arguments(moved)), graphs(*arguments(columns)))


@pytest.mark.parametrize("cls", [GCN, GIN, GAT, GatedGCN])
def test_regular_graphs_look_alike_until_nodes_are_told_apart(cls):
    """A ring of 6 and two rings of 3, which no message passing network can tell apart."""
    rings = [[(i, (i + 1) % 6) for i in range(6)], [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)]]
    edges = torch.tensor([[*ring, *[(b, a) for a, b in ring]] for ring in rings])
    columns = {
        "input": torch.ones(2, 6, 4),
        "edges": edges,
        "n_nodes": torch.tensor([6, 6]),
        "n_edges": torch.tensor([12, 12]),
        "edge_features": torch.ones(2, 12, 2),
        "positions": torch.zeros(2, 6, 3),
    }
    model = build(cls).eval()
    first, second = model(*arguments(columns))
    torch.testing.assert_close(first, second)
    columns["positions"][:, :3] = 10
    first, second = model(*arguments(columns))
    assert (first - second).abs().max() > 1e-3


def dense(columns, number):
    n = int(columns["n_nodes"][number])
    matrix = torch.zeros(n, n)
    first, second = columns["edges"][number, : columns["n_edges"][number]].T
    matrix[second, first] = 1
    return matrix, columns["input"][number, :n] @ torch.ones(4, 16) * torch.linspace(-1, 1, 16)


def layer_outputs(model, columns):
    """The first layer's output for both graphs, and the dense adjacency and inputs that it stems from."""
    graph = flat_graph(columns["edges"], columns["n_nodes"], columns["n_edges"], 7)
    h = torch.zeros(15, 16)
    for number in range(2):
        own = dense(columns, number)[1]
        h[7 * number : 7 * number + len(own)] = own
    e = model.edge_state(columns["edge_features"].flatten(0, 1))
    new, state = model.layers[0](h, e, graph)
    for number in range(2):
        yield (*dense(columns, number), new[7 * number : 7 * number + int(columns["n_nodes"][number])], state)


def test_gcn_is_the_symmetric_normalization_with_loops():
    model = build(GCN)
    convolution = model.layers[0].convolution
    for matrix, h, new, _ in layer_outputs(model, batch()):
        looped = matrix + torch.eye(len(matrix))
        scale = looped.sum(1).rsqrt()
        expected = (scale.unsqueeze(1) * looped * scale) @ convolution.lin(h) + convolution.bias
        torch.testing.assert_close(new, expected, atol=1e-5, rtol=1e-4)


def test_gin_is_an_mlp_of_the_sum():
    model = build(GIN)
    convolution = model.layers[0].convolution
    convolution.eps.data.fill_(0.3)
    for matrix, h, new, _ in layer_outputs(model, batch()):
        torch.testing.assert_close(new, convolution.nn(1.3 * h + matrix @ h), atol=1e-5, rtol=1e-4)


def test_gat_attends_by_the_softmax_over_neighbours_and_itself():
    model = build(GAT, heads=4)
    convolution = model.layers[0].convolution
    for matrix, h, new, _ in layer_outputs(model, batch()):
        mapped = convolution.lin(h).view(len(h), 4, 4)
        source, target = ((mapped * weight).sum(-1) for weight in (convolution.att_src, convolution.att_dst))
        scores = torch.nn.functional.leaky_relu(target.unsqueeze(1) + source, 0.2)  # (to, from, heads)
        looped = (matrix + torch.eye(len(matrix))).unsqueeze(-1)
        attention = scores.masked_fill(looped == 0, -torch.inf).softmax(1)
        expected = torch.einsum("tsh,shd->thd", attention, mapped).flatten(1) + convolution.bias
        torch.testing.assert_close(new, expected, atol=1e-5, rtol=1e-4)


def test_gated_gcn_is_its_formula_edge_by_edge():
    model, columns = build(GatedGCN).eval(), batch()
    layer = model.layers[0]
    e = model.edge_state(columns["edge_features"])
    for number, (_, h, new, state) in enumerate(layer_outputs(model, columns)):
        messages, total, seen = torch.zeros_like(new), torch.zeros_like(new), []
        for place in range(int(columns["n_edges"][number])):
            source, target = columns["edges"][number, place]
            f = layer.edge(e[number, place]) + layer.target(h[target]) + layer.source(h[source])
            messages[target] += f.sigmoid() * layer.neighbour(h[source])
            total[target] += f.sigmoid()
            seen.append(e[number, place] + (f / (1 + 1e-5) ** 0.5).relu())  # a fresh norm in evaluation
        torch.testing.assert_close(new, layer.own(h) + messages / (total + 1e-6), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(state[30 * number :][: len(seen)], torch.stack(seen), atol=1e-5, rtol=1e-4)


def test_masked_batch_norm_is_torchs_of_the_rows_that_count():
    x, mask = torch.randn(20, 5) * 3 + 1, (torch.arange(20) % 3 > 0).float()
    own, reference = MaskedBatchNorm(5), torch.nn.BatchNorm1d(5)
    for _ in range(3):
        torch.testing.assert_close(own(x, mask)[mask > 0], reference(x[mask > 0]))
        x = x * 1.5
    torch.testing.assert_close(own.running_mean, reference.running_mean)
    torch.testing.assert_close(own.running_var, reference.running_var)
    torch.testing.assert_close(own.eval()(x, mask)[mask > 0], reference.eval()(x[mask > 0]))


def test_signs_of_eigenvectors_are_tossed_for_each_graph_and_column_in_training_only():
    model = build(GCN)
    positions = torch.ones(400, 7, 3)
    signed = model.train()._signed(positions)
    assert torch.equal(signed.abs(), positions)
    assert torch.equal(signed, signed[:, :1].expand_as(signed))
    assert float(signed[:, 0].mean()) == pytest.approx(0, abs=0.12)
    assert torch.corrcoef(signed[:, 0].T).triu(1).abs().max() < 0.2
    assert torch.equal(model.eval()._signed(positions), positions)
    assert torch.equal(build(GCN, positions="random_walk").train()._signed(positions), positions)


@pytest.mark.parametrize("cls", MODELS)
@pytest.mark.parametrize("shared", [True, False])
def test_stacked_graph_networks_agree_with_a_loop(cls, shared):
    models = [build(cls, positions="random_walk").train() for _ in range(2)]
    data = [batch()] * 2 if shared else [batch(), batch()]
    columns = data[0] if shared else {name: torch.stack([one[name] for one in data]) for name in data[0]}
    axes = {name: None if shared or name in ("n_nodes", "input") else 0 for name in columns}
    columns |= {name: data[0][name] for name in ("n_nodes", "input")}  # as in runs whose data agree in these
    data[1] |= {name: data[0][name] for name in ("n_nodes", "input")}
    parameters, buffers = copy.deepcopy(stack_module_state(models))

    def loss(parameters, buffers, columns):
        changed = {name: value.clone() for name, value in buffers.items()}
        output = functional_call(models[0], (parameters, changed), tuple(arguments(columns)))
        return output.sin().sum(), changed

    gradients, changed = vmap(grad(loss, has_aux=True), (0, 0, axes))(parameters, buffers, columns)
    for number, model in enumerate(models):
        model(*arguments(data[number])).sin().sum().backward()
        for name, parameter in model.named_parameters():
            wanted = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            torch.testing.assert_close(gradients[name][number], wanted, atol=1e-4, rtol=1e-3)
        for name, buffer in model.named_buffers():
            torch.testing.assert_close(changed[name][number], buffer)


CONF = __import__("pathlib").Path(__file__).parents[2] / "conf" / "model"


@pytest.mark.parametrize("name", ["node_mlp", "gcn", "gin", "gat", "gated_gcn"])
@pytest.mark.parametrize(("features", "outputs", "positions"), [(1, 10, 20), (4, 1, 0), (3, 2, 0)])
def test_default_widths_give_each_architecture_about_20_thousand_parameters(name, features, outputs, positions):
    data = {
        "spec": {"shape": [41, features]},
        "positions": "laplacian" if positions else "none",
        "n_positions": positions,
        "edge_features": 0,
    }
    task = {"n_outputs": outputs, "per_position": False}
    model = instantiate(
        OmegaConf.create({"data": data, "task": task, "model": OmegaConf.load(CONF / f"{name}.yaml")}).model
    )
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(20_000, rel=0.1)
