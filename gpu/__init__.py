"""Real models: a target and a draft network, decoded speculatively and held against the exact law.

- :func:`load_pair` gives the two networks: any transformers causal model, a GGUF file, or the embedded one.
- :func:`load_split_pair` loads a target that does not fit one device; :func:`on_all_ranks` decodes with it.
- :func:`distil` teaches a small draft from the target's own samples.
- :class:`BatchDecoder` writes texts, one or many at once, with a tree policy and a verifier, one target pass for each
  step; :func:`speculative` is the same for ``model.generate``.
- :func:`verify` is the verifiers on torch tensors, coin by coin; :func:`stopping_probabilities` is their law.
- :class:`PromptPair` asks the networks for the rows of any context; :func:`record_run` keeps those of a run.
- :class:`Selected` lets a :class:`Selector` choose the tree at each step, before it is drafted.
- :func:`crosscheck` decodes and compares what it measures with what ``veridraft.theory`` predicts.

Importing this package imports no torch; the first use of a name does, and says what to install if it is
not there.

>>> from veridraft.gpu import load_pair, crosscheck                                   # doctest: +SKIP
>>> run = crosscheck(load_pair(), ["traversal"], policy="Iid(4, 3)", steps=100)       # doctest: +SKIP
>>> run.rows[0]["z"], run.rows[0]["z_draft"], run.rows[0]["z_text"]                   # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from veridraft._lazy import lazily

if TYPE_CHECKING:
    from .crosschecks.crosschecker import Crosscheck, crosscheck
    from .decoding.batch import BatchDecoder
    from .decoding.drafting.n_gram import NGram
    from .decoding.drafting.selected import Selected
    from .decoding.generation import speculative
    from .decoding.passes.compiled import compiled_pair
    from .decoding.passes.packing import packed_pair
    from .decoding.recording import PromptPair, record_run
    from .decoding.requests import Block, Ending, Request, Written
    from .distilling.distilling import distil
    from .distilling.plan import DistilPlan
    from .models.pairs import ModelPair, load_pair
    from .models.split.pairs import load_split_pair
    from .models.split.ranks import on_all_ranks
    from .selecting.selector import Selector
    from .trees.sampling import Sampling
    from .trees.tensor_tree import TensorTree
    from .verification.table import stopping_probabilities, verify

__all__ = [
    "BatchDecoder",
    "Block",
    "Crosscheck",
    "DistilPlan",
    "Ending",
    "ModelPair",
    "NGram",
    "PromptPair",
    "Request",
    "Sampling",
    "Selected",
    "Selector",
    "TensorTree",
    "Written",
    "compiled_pair",
    "crosscheck",
    "distil",
    "load_pair",
    "load_split_pair",
    "on_all_ranks",
    "packed_pair",
    "record_run",
    "speculative",
    "stopping_probabilities",
    "verify",
]

__getattr__ = lazily(
    __name__,
    {
        ".crosschecks.crosschecker": "Crosscheck crosscheck",
        ".decoding.batch": "BatchDecoder",
        ".decoding.drafting.n_gram": "NGram",
        ".decoding.drafting.selected": "Selected",
        ".decoding.generation": "speculative",
        ".decoding.passes.compiled": "compiled_pair",
        ".decoding.passes.packing": "packed_pair",
        ".decoding.recording": "PromptPair record_run",
        ".decoding.requests": "Block Ending Request Written",
        ".distilling.distilling": "distil",
        ".distilling.plan": "DistilPlan",
        ".models.pairs": "ModelPair load_pair",
        ".models.split.pairs": "load_split_pair",
        ".models.split.ranks": "on_all_ranks",
        ".selecting.selector": "Selector",
        ".trees.sampling": "Sampling",
        ".trees.tensor_tree": "TensorTree",
        ".verification.table": "stopping_probabilities verify",
    },
)
