"""Block efficiency: by listing trees, by dynamic programmes, in bounds, by sampling."""

from .by_rank import acceptance_by_rank
from .delayed import efficiency_of, reach_by_action
from .dynamic import DynamicBlockEfficiency
from .efficiency import BlockEfficiency, SampledBlockEfficiency, block_efficiency
from .levels import reach_by_level
from .nested import NestedTrees, action_values, draw_nested
from .weighted_bounds import BoundedBlockEfficiency

__all__ = [
    "BlockEfficiency",
    "BoundedBlockEfficiency",
    "DynamicBlockEfficiency",
    "NestedTrees",
    "SampledBlockEfficiency",
    "acceptance_by_rank",
    "action_values",
    "block_efficiency",
    "draw_nested",
    "efficiency_of",
    "reach_by_action",
    "reach_by_level",
]
