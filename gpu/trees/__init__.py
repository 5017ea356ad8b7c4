"""Draft trees as tensors, one or a batch, and the rows that they are drawn from."""

from typing import TYPE_CHECKING

from veridraft._lazy import lazily

if TYPE_CHECKING:
    from .sampling import Sampling
    from .skeleton import Skeleton, skeleton_of
    from .tensor_tree import TensorTree
    from .tree_batch import TreeBatch

__all__ = [
    "Sampling",
    "Skeleton",
    "TensorTree",
    "TreeBatch",
    "skeleton_of",
]

__getattr__ = lazily(
    __name__,
    {
        ".sampling": "Sampling",
        ".tensor_tree": "TensorTree",
        ".tree_batch": "TreeBatch",
        ".skeleton": "Skeleton skeleton_of",
    },
)
