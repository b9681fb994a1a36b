"""Optimizers over R stacked runs, as pure functions: one file each, named after the optimizer that it repeats."""

from expkit.engines.fused.optimizers.base import SHARED, BatchedOptimizer, State
from expkit.engines.fused.optimizers.batched_optimizer import batched_optimizer

__all__ = ["SHARED", "BatchedOptimizer", "State", "batched_optimizer"]
