"""Tiny pairs and plans for the tests of selectors: seconds for everything."""

from __future__ import annotations

from gpu_tiny import tiny_head, tiny_model, tiny_pair

from veridraft.gpu.models.pairs import ModelPair
from veridraft.gpu.selecting.grid import Grid
from veridraft.gpu.selecting.plan import RootPlan, SelectorPlan, TrainingPlan

ROOTS = RootPlan(
    texts=6, held_out=4, roots=3, spacing=3, temperatures=((1.0, 1.0), (0.7, 0.9)), grid=Grid(2, 2),
    verifiers=("block", "specinfer", "traversal"), together=4,
)  # fmt: skip
PLAN = SelectorPlan(ROOTS, training=TrainingPlan(steps=30, batch=8, every=10, checked=3))


def head_pair(seed: int = 0) -> ModelPair:
    target = tiny_model(seed)
    return ModelPair(target, tiny_head(target), None, "tiny", "head")


def layer_pair(seed: int = 0) -> ModelPair:
    return tiny_pair(seed)
