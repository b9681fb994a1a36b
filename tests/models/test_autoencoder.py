import pytest
import torch

from expkit.models.autoencoder import Autoencoder


def test_the_best_linear_autoencoder_projects_onto_principal_components():
    torch.manual_seed(0)
    x = torch.randn(60, 6) @ torch.diag(torch.tensor([4.0, 3.0, 1.0, 0.7, 0.5, 0.3]))
    x = (x - x.mean(0)).double()
    model = Autoencoder([6], 6, latent=2, depth=0, activation="identity", bias=False).double()
    optimizer = torch.optim.LBFGS(
        model.parameters(), max_iter=500, line_search_fn="strong_wolfe", tolerance_change=1e-14
    )

    def closure():
        optimizer.zero_grad()
        loss = (model(x) - x).square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    discarded = torch.linalg.svdvals(x)[2:].square().sum()
    assert closure().item() == pytest.approx(discarded.item(), rel=1e-6)
    components = torch.linalg.svd(x)[2][:2]
    torch.testing.assert_close(model(x), x @ components.T @ components, atol=1e-3, rtol=0)


def test_everything_passes_through_the_code():
    model = Autoencoder([2, 4, 4], 32, latent=3, width=16)
    x = torch.randn(20, 2, 4, 4)
    assert model.encoder(x).shape == (20, 3)
    jacobian = torch.func.jacrev(lambda x: model(x[None])[0])(x[0]).reshape(32, 32)
    assert torch.linalg.matrix_rank(jacobian, tol=1e-5) <= 3
    n_encoder, n_decoder = 32 * 16 + 16 + 16 * 3 + 3, 3 * 16 + 16 + 16 * 32 + 32
    assert sum(p.numel() for p in model.parameters()) == n_encoder + n_decoder


def test_another_task_is_refused():
    with pytest.raises(ValueError, match="task is reconstruction"):
        Autoencoder([8, 8], 10)
