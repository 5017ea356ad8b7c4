"""The published verifiers, coin by coin: one contract, one table by name.

Each is written from its paper and calls no law, solver or lift of ``veridraft.theory``: the two packages meet
in comparisons only.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..batches.batch import Procedure
from .block_verification import block
from .lifted import lifted_k_seq, lifted_rrs
from .one_step import naive, naive_tree, nss, specinfer, spectr
from .traversal_verification import traversal

PROCEDURES: Mapping[str, Procedure] = MappingProxyType(
    {
        "naive": naive,
        "nss": nss,
        "naive_tree": naive_tree,
        "spectr": spectr,
        "specinfer": specinfer,
        "block": block,
        "traversal": traversal,
        "lifted_k_seq": lifted_k_seq,
        "lifted_rrs": lifted_rrs,
    }
)
"""Name to procedure, read-only; each name is also in ``veridraft.theory.VERIFIERS``."""


def get_procedure(name: str) -> Procedure:
    """The procedure of that name.

    Raises ``ValueError`` for an unknown name, with the list of names.
    """
    if name not in PROCEDURES:
        raise ValueError(f"no procedure is called {name!r}; known are {', '.join(PROCEDURES)}")
    return PROCEDURES[name]
