"""The exact reference for lossless speculative decoding on draft trees.

>>> import veridraft as vd
>>> round(float(vd.block_efficiency("traversal", vd.Iid(2, 2), vd.zipf_pair(8, 0)).value), 2) > 1
True

- Laws: :func:`block_efficiency`, :func:`certify`, :func:`tree_optimum`, :func:`throughput`,
  :func:`best_tree`, the table ``VERIFIERS``.
- Audits: :func:`audit`, :func:`assert_lossless`.
- Real models (the extra ``gpu``): :func:`load_pair`, :class:`BatchDecoder`.

Each name is imported on first use; all others are in ``veridraft.theory``, ``.simulate``, ``.gpu`` and ``.reports``.
"""

from os import path
from typing import TYPE_CHECKING

from ._lazy import lazily

if TYPE_CHECKING:
    from veridraft.gpu import BatchDecoder, load_pair
    from veridraft.simulate import assert_lossless, audit
    from veridraft.theory import (
        VERIFIERS,
        Chain,
        Delayed,
        Iid,
        MarkovPair,
        Pair,
        RecordedPair,
        TablePair,
        best_tree,
        block_efficiency,
        certify,
        dirichlet_pair,
        parse_policy,
        throughput,
        tree_optimum,
        zipf_pair,
    )

__all__ = [
    "VERIFIERS",
    "BatchDecoder",
    "Chain",
    "Delayed",
    "Iid",
    "MarkovPair",
    "Pair",
    "RecordedPair",
    "TablePair",
    "__version__",
    "assert_lossless",
    "audit",
    "best_tree",
    "block_efficiency",
    "certify",
    "dirichlet_pair",
    "load_pair",
    "parse_policy",
    "throughput",
    "tree_optimum",
    "zipf_pair",
]

__version__ = "0.1.0"

_CHECKOUT = path.dirname(path.dirname(__file__))
if path.isdir(path.join(_CHECKOUT, "theory", "verifiers")):  # Python was started in a checkout, where this folder comes
    __path__.append(_CHECKOUT)  # before the installed copy; the four others lie beside it

__getattr__ = lazily(
    __name__,
    {
        "veridraft.gpu": "BatchDecoder load_pair",
        "veridraft.simulate": "assert_lossless audit",
        "veridraft.theory": "VERIFIERS Chain Delayed Iid MarkovPair Pair RecordedPair TablePair "
        "best_tree block_efficiency certify dirichlet_pair parse_policy throughput tree_optimum zipf_pair",
    },
)
