"""Real defects beside the correct procedures: what an audit must catch.

Every row of a list of mechanisms by which public decoders came to emit another law than the target's, each as a broken
verifier and the correct one that it differs from in that place alone.  The correct verifiers that look wrong are in
:mod:`.traps`.  All are batched over trials, in the forms of :mod:`veridraft.simulate.forms.form`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .kinds import Defect
from .of_chains import CHAINS
from .of_loops import LOOPS
from .of_trees import TREES

DEFECTS: Mapping[str, Defect] = MappingProxyType(
    {
        defect.name: defect
        for defect in sorted((*LOOPS, *CHAINS, *TREES), key=lambda defect: defect.number)
    }
)
"""Name to defect, read-only, in the order of the numbers."""
