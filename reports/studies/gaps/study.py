"""The gap table: what share of E[tau] each verifier misses of the most that any lossless verifier can have.

``veridraft gaps`` writes ``gaps.json``, ``gaps.txt`` and ``gaps.html``.  Finished pieces are kept
in another file, so that a stopped run goes on, and a run after a new verifier computes that one alone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from veridraft.theory.bounds.tree import tree_optimum
from veridraft.theory.efficiency.efficiency import block_efficiency
from veridraft.theory.pairs.base import Pair
from veridraft.theory.pairs.families import dirichlet_pair, zipf_pair
from veridraft.theory.policies.base import Chain, Delayed, Iid, Policy
from veridraft.theory.policies.static import Static
from veridraft.theory.policies.top_plus_one import HubPairs, TopPlusOne
from veridraft.theory.policies.topologies import Topology
from veridraft.theory.verifiers.table import VERIFIERS, Verifier, get_verifier

from ...running.console import names
from ...running.progress import Progress
from ...running.sources import source_digest
from ...running.store import Store, make_key

PAIRS = 6
DEFAULT_OUT = Path("reports/runs/gaps")
DEFAULT_PIECES = Path("report-out/gaps.jsonl")

CLOSENESS = (0.0, 0.3, 0.6, 0.9)
CONCENTRATION = (0.1, 1.0, 10.0)
EXPONENT, NOISE = (1.0, 2.0), (0.5, 1.5)


@dataclass(frozen=True)
class Family:
    """A random family of pairs, of one of two kinds, by its two parameters.

    "dirichlet": rows of that concentration, the draft ``closeness`` times the target plus the rest of an
    independent row.  "zipf": rows of that exponent in an order of their own at every context, the draft's log
    weights with normal noise of that deviation.
    """

    kind: str
    shape: float
    distance: float

    @property
    def name(self) -> str:
        """The family as a call."""
        words = ("concentration", "closeness") if self.kind == "dirichlet" else ("exponent", "noise")
        return f"{self.kind}({words[0]}={self.shape:g}, {words[1]}={self.distance:g})"

    def pair(self, vocabulary_size: int, seed: int) -> Pair:
        """One of its pairs."""
        make = dirichlet_pair if self.kind == "dirichlet" else zipf_pair
        return make(vocabulary_size, seed, self.shape, self.distance)


FAMILIES = tuple(
    [Family("dirichlet", *values) for values in product(CONCENTRATION, CLOSENESS)]
    + [Family("zipf", *values) for values in product(EXPONENT, NOISE)]
)
"""Peaked to flat, each far to near; then Zipf rows."""

CASES: tuple[tuple[Policy, int], ...] = (
    (Iid(2, 1), 5),
    (Iid(2, 2), 4),
    (Iid(3, 2), 4),
    (Iid(2, 3), 3),
    (Delayed(2, 1, 1), 4),
    (Chain(3), 4),
    (Static(Topology.k_ary(2, 2), replacement=False), 4),
    (TopPlusOne(2, 2), 4),
    (HubPairs(2), 4),
)
"""Each policy with the size of its vocabulary."""


@dataclass(frozen=True)
class Gap:
    """One verifier on the pairs of one family under one policy.

    ``optima`` and ``values`` are block efficiencies E[tau + 1], pair by pair: the proven upper side of the
    optimum, and the verifier's.
    """

    policy: str
    family: Family
    verifier: str
    optima: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of the optimum's E[tau] that the verifier misses, in [0, 1] up to rounding; 0 if that is 0."""
        pairs = zip(self.optima, self.values, strict=True)
        return tuple((most - value) / (most - 1) if most > 1 else 0.0 for most, value in pairs)


class Gaps:
    """The runner: ``run`` computes what is missing in the store, ``read`` gives what is finished."""

    def __init__(self, pieces: Path, pairs: int = PAIRS, verifiers: Iterable[str] = tuple(VERIFIERS)) -> None:
        if pairs < 2:
            raise ValueError(f"pairs must be at least 2, for an interval, but is {pairs}")
        self.pairs, self.verifiers = pairs, tuple(map(get_verifier, verifiers))
        pieces.parent.mkdir(parents=True, exist_ok=True)
        cases = [part.__module__ for part in (Delayed, Static, TopPlusOne, dirichlet_pair, zipf_pair)]
        self._optima = Store(pieces, source_digest(tree_optimum.__module__, *cases))
        self._values = Store(pieces, source_digest(block_efficiency.__module__, *cases))

    @property
    def cells(self) -> list[tuple[Policy, int, Family, Verifier | None]]:
        """Policy, vocabulary, family and verifier of every piece; None stands for the optimum."""
        found: list[tuple[Policy, int, Family, Verifier | None]] = []
        for (policy, size), family in product(CASES, FAMILIES):
            fitting = [verifier for verifier in self.verifiers if verifier.supports(policy)]
            found += [(policy, size, family, verifier) for verifier in (None, *fitting)]
        return found

    def run(self) -> None:
        """Compute every piece that is not in the store."""
        progress = Progress("gaps", len(self.cells))
        for policy, size, family, verifier in self.cells:
            key = self._key(policy, size, family, verifier)
            store = self._values if verifier else self._optima
            store.piece(key, lambda case=(policy, size, family, verifier): self._compute(*case))  # type: ignore[misc]
            progress.step(f"{policy}, {family.name}, {verifier.name if verifier else 'optimum'}")
        progress.close()

    def read(self) -> list[Gap]:
        """What is finished, one entry for each policy, family and verifier."""
        found = []
        for policy, size, family, verifier in self.cells:
            if verifier is not None:
                optima = self._optima.get(self._key(policy, size, family, None))
                values = self._values.get(self._key(policy, size, family, verifier))
                if optima is not None and values is not None:
                    found.append(Gap(policy.name, family, verifier.name, tuple(optima), tuple(values)))
        return found

    def _key(self, policy: Policy, size: int, family: Family, verifier: Verifier | None) -> str:
        name = verifier.name if verifier else None
        return make_key("gap", policy=policy.name, size=size, family=family.name, verifier=name, pairs=self.pairs)

    def _compute(self, policy: Policy, size: int, family: Family, verifier: Verifier | None) -> list[float]:
        pairs = [family.pair(size, seed) for seed in range(self.pairs)]
        if verifier is None:
            return [float(tree_optimum(policy, pair).upper) for pair in pairs]
        return [float(block_efficiency(verifier, policy, pair).value) for pair in pairs]


def write_json(path: Path, found: Sequence[Gap], command: str) -> None:
    """Write every number, in place of what was there."""
    optima: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for gap in found:
        optima.setdefault(gap.policy, {})[gap.family.name] = gap.optima
        values.setdefault(gap.policy, {}).setdefault(gap.verifier, {})[gap.family.name] = gap.values
    sizes = {policy.name: size for policy, size in CASES}
    content = {"command": command, "vocabulary": sizes, "optimum": optima, "block_efficiency": values}
    waiting = path.with_suffix(".part")
    text = re.sub(r"\[[^\[\]{}]*\]", lambda numbers: " ".join(numbers[0].split()), json.dumps(content, indent=1))
    waiting.write_text(text + "\n", encoding="utf-8")
    os.replace(waiting, path)


def read_json(path: Path) -> tuple[list[Gap], str]:
    """What :func:`write_json` wrote: the gaps and the command."""
    content = json.loads(path.read_text(encoding="utf-8"))
    optima, families = content["optimum"], {family.name: family for family in FAMILIES}
    found = [
        Gap(policy, families[family], verifier, tuple(optima[policy][family]), tuple(values))
        for policy, verifiers in content["block_efficiency"].items()
        for verifier, of_families in verifiers.items()
        for family, values in of_families.items()
    ]
    return found, content["command"]


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0 after the table was computed and written."""
    from ...writing.markdown import write_note
    from .tables import gap_note

    parser = argparse.ArgumentParser(prog="python -m veridraft.reports.studies.gaps.study", description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder (default: %(default)s)")
    parser.add_argument("--pieces", type=Path, default=DEFAULT_PIECES, help="finished pieces (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="pairs of each family (default: %(default)s)")
    parser.add_argument("--verifiers", type=names, default=tuple(VERIFIERS), help="names with commas (default: all)")
    parser.add_argument("--render", action="store_true", help="write the text and the page again, from gaps.json")
    arguments = parser.parse_args(argv)
    if not arguments.render:
        _compute_all(arguments)
    found, command = read_json(arguments.out / "gaps.json")
    print(write_note(gap_note(found, command), arguments.out / "gaps"))
    return 0


def _compute_all(arguments: argparse.Namespace) -> None:
    """Run what is missing and write gaps.json."""
    gaps = Gaps(arguments.pieces, arguments.pairs, arguments.verifiers)
    gaps.run()
    command = f"python -m veridraft.reports.studies.gaps.study --pairs {arguments.pairs}"
    if arguments.verifiers != tuple(VERIFIERS):
        command += f" --verifiers {','.join(arguments.verifiers)}"
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_json(arguments.out / "gaps.json", gaps.read(), command)


if __name__ == "__main__":
    raise SystemExit(main())
