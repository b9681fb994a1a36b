"""Where a stack of runs is trained."""

from __future__ import annotations

import torch

from expkit.engines.fused.not_fusable import NotFusable
from expkit.engines.lightning import LightningEngine


def device_of(settings: LightningEngine) -> torch.device:
    """Where a stack of runs with these settings is trained.

    Raises:
        NotFusable: the settings ask for what the fused engine does not do.
    """
    arguments = settings.trainer_arguments
    for key, fine in {
        "accelerator": ("auto", "cpu", "gpu", "cuda"),
        "devices": (1, "1", "auto"),
        "strategy": ("auto",),
        "num_nodes": (1,),
        "precision": ("32-true", "64-true", 32, 64),
        "detect_anomaly": (False,),
    }.items():
        if arguments[key] not in fine:
            raise NotFusable(f"trainer.{key}", f"{arguments[key]} needs the lightning engine")
    if settings.profiler is not None:
        raise NotFusable("trainer.profiler", "a profile needs the lightning engine")
    wanted = arguments["accelerator"]
    if wanted != "cpu" and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    if wanted in ("gpu", "cuda"):
        raise NotFusable("trainer.accelerator", "there is no GPU here")
    return torch.device("cpu")
