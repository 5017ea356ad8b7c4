"""Traces: what an engine drafted, saw and accepted in each of S steps, in one file, ``.npz`` or ``.safetensors``.

``vocabulary_size``  one integer V
``requests``, ``accepted``  (S,) the request that a step belongs to, and how many drafted tokens it kept
``draws``  (S + 1,) offsets: step s made the draws ``draws[s]`` to ``draws[s + 1]``, D_s of them
``parents``, ``tokens``  (D,) the draw, numbered within its step, that a token was drawn behind (-1: behind the
    context), and the token.  Two draws of one token at one place are one node that was drawn twice.
``target``  (S + D + 1,) offsets, ``target_tokens``, ``target_values``: the nonzero entries of the target's rows, for
    each step the row of the context, then the row after each draw
``draft``  the same three for the draft's rows, empty where the draft was not asked (after the last draw of a path)

Rows of float32 miss 1 by rounding, up to 1e-3 here: each is taken over its own sum, summed in float64.

``gpu/engines/trace_writer.py`` writes such a file from inside an engine.  An engine that verifies a chain by ``naive``
rejection alone may record rows over two tokens in place of V, the drafted one and "any other": the probability
of acceptance is the quotient at the drafted token, and nothing else of the rows enters.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Delayed, first_draws
from veridraft.theory.rows.trees import NO_PARENT, NO_TOKEN, DraftTree

from .runs import EngineRun, Format, RequestSteps

OFFSETS = {"draws": ("parents", "tokens"), "target": ("target_tokens", "target_values"),
           "draft": ("draft_tokens", "draft_values")}  # fmt: skip
"""Arrays of offsets, with the arrays that they cut into parts."""

TRACE_ARRAYS = ("vocabulary_size", "requests", "accepted", *OFFSETS,
                *(name for names in OFFSETS.values() for name in names))  # fmt: skip

SUM_TOLERANCE = 1e-3
"""How far rows of less precision than float64 may miss 1, as in ``trace_writer.py``."""

DTYPES = {"F64": np.float64, "F32": np.float32, "I64": np.int64, "I32": np.int32}
"""The types of a safetensors file that a trace may hold."""


@dataclass(frozen=True, eq=False)
class Trace:
    """S recorded steps; ``arrays`` are those of the file, checked."""

    arrays: Mapping[str, NDArray[Any]]

    @property
    def steps(self) -> int:
        """S."""
        return len(self.arrays["accepted"])

    @property
    def accepted(self) -> NDArray[np.int64]:
        """(S,) the accepted lengths."""
        return self.arrays["accepted"]

    def tree(self, step: int) -> DraftTree:
        """The draft tree of a step with its rows; ``ValueError`` naming the step for rows or nodes that are none."""
        start, end = self.arrays["draws"][step : step + 2]
        drawn = zip(self.arrays["parents"][start:end].tolist(), self.arrays["tokens"][start:end].tolist(), strict=True)
        parents, tokens, lists, kept = _merged(step, drawn)
        rows = {name: self._rows(name, int(start) + step, kept) for name in ("target", "draft")}
        try:
            return DraftTree(np.array(tokens), np.array(parents), tuple(map(tuple, lists)), **rows)
        except (ValueError, TypeError) as error:
            raise ValueError(f"trace step {step}: {error}") from None

    def _rows(self, name: str, first: int, kept: list[int]) -> NDArray[Any]:
        """(N, V) the rows of the nodes: row 0 is the context's, row 1 + i that after draw i."""
        rows = np.zeros((len(kept), int(self.arrays["vocabulary_size"])))
        for node, place in enumerate(kept):
            start, end = self.arrays[name][first + place : first + place + 2]
            rows[node, self.arrays[f"{name}_tokens"][start:end]] = self.arrays[f"{name}_values"][start:end]
        return rows

    def depths(self, step: int) -> Counter[int]:
        """How many draws of a step stand at each depth, 1 and deeper."""
        start, end = self.arrays["draws"][step : step + 2]
        depths: list[int] = []
        for parent in self.arrays["parents"][start:end].tolist():
            depths.append(1 if parent < 0 else depths[parent] + 1)
        return Counter(depths)

    @cached_property
    def _all_depths(self) -> list[Counter[int]]:
        """The draws by depth of every step."""
        return [self.depths(step) for step in range(self.steps)]

    def whole_steps(self, policy: Policy) -> list[int]:
        """The steps whose draws are as many at every depth as the policy's; all if that number is not fixed.

        Raises ``ValueError`` that shows the first step if there is none.
        """
        wanted = drawn_by(policy)
        found = [step for step in range(self.steps) if wanted is None or self.depths(step) == wanted]
        if not found:
            raise ValueError(f"trace: no step drafted as {policy.name} does; step 0 drew {dict(self.depths(0))} tokens "
                             f"by depth, not {dict(wanted or {})}")  # fmt: skip
        return found

    def steps_that_hold(self, policy: Delayed) -> list[int]:
        """The steps whose draws, or the first of them, are those that the policy would have made.

        A chain is held by any tree as deep; K paths below a trunk by as many or more, as deep or deeper, below the same
        trunk.  Raises ``ValueError`` that shows the first step if there is none.
        """
        found = [step for step, drawn in enumerate(self._all_depths) if _holds(drawn, policy)]
        if not found:
            raise ValueError(f"{policy.name}: no step of the trace holds its draws; step 0 drew "
                             f"{dict(self.depths(0))} tokens by depth")  # fmt: skip
        return found

    def cut(self, step: int, policy: Delayed) -> DraftTree:
        """The tree that the policy would have drafted in a step that holds it: its first draws, not so deep."""
        return first_draws(policy, self.tree(step))

    def run(self, steps: list[int], depth: int) -> EngineRun:
        """The accepted lengths of these steps by request, as a run that drafts up to ``depth`` tokens along a path.

        Raises ``ValueError`` for a step that accepted more than it drafted along a path, or than ``depth``.
        """
        by_request: dict[int, list[tuple[int, int]]] = {}
        for step in steps:
            pair = int(self.accepted[step]), min(depth, max(self.depths(step), default=0))
            by_request.setdefault(int(self.arrays["requests"][step]), []).append(pair)
        requests = [
            RequestSteps.of_steps(f"request {name}", [tau for tau, _ in pairs], depth, [width for _, width in pairs])
            for name, pairs in by_request.items()
        ]
        return EngineRun(Format.TRACE, depth, tuple(requests))

    @property
    def deepest(self) -> int:
        """The most tokens that a step drafted along one path."""
        return max(max(self.depths(step), default=0) for step in range(self.steps))


def drawn_by(policy: Policy) -> Counter[int] | None:
    """How many draws the policy makes at each depth, for chains and independent paths; ``None`` for others."""
    if isinstance(policy, Delayed):
        return Counter({depth: 1 if depth <= policy.L1 else policy.K for depth in range(1, policy.depth + 1)})
    return None


def _holds(drawn: Counter[int], policy: Delayed) -> bool:
    """True if so many draws by depth are a trunk and paths of which the policy's are a part, or hold its one path."""
    counts = [drawn[depth] for depth in range(1, max(drawn, default=0) + 1)]
    if len(counts) < policy.depth:
        return False
    if policy.K == 1 or policy.L2 == 0:
        return True
    trunk, paths = counts[: policy.L1], counts[policy.L1 :]
    return set(trunk) <= {1} and len(set(paths)) == 1 and paths[0] >= policy.K


def _merged(step: int, drawn: Iterator[tuple[int, int]]) -> tuple[list[int], list[int], list[list[int]], list[int]]:
    """Parents, tokens, child lists and rows of the nodes: draws of one token at one place are one node."""
    parents, tokens, lists, kept = [NO_PARENT], [NO_TOKEN], [list[int]()], [0]
    nodes: list[int] = []
    places: dict[tuple[int, int], int] = {}
    for draw, (behind, token) in enumerate(drawn):
        if not -1 <= behind < draw:
            raise ValueError(f"trace step {step}: the parent of draw {draw} is {behind}; it must lie in [-1, {draw})")
        parent = 0 if behind < 0 else nodes[behind]
        if (parent, token) not in places:
            places[parent, token] = len(tokens)
            parents.append(parent)
            tokens.append(token)
            lists.append([])
            kept.append(draw + 1)
        nodes.append(places[parent, token])
        lists[parent].append(nodes[-1])
    return parents, tokens, lists, kept


def load_trace(path: str | Path) -> Trace:
    """The trace of a file; ``ValueError`` that names the array that is missing, cut short or contradicts."""
    arrays = _safetensors(path) if Path(path).suffix == ".safetensors" else _npz(path)
    for name in TRACE_ARRAYS:
        if name not in arrays:
            raise ValueError(f"trace {path} lacks the array {name!r}")
    whole = {name: value if name.endswith("values") else _whole(path, name, value) for name, value in arrays.items()}
    _check(path, whole)
    return Trace(whole | {f"{name}_values": _in_float64(path, whole, name) for name in ("target", "draft")})


def is_trace(path: str | Path) -> bool:
    """True if a file holds steps; False for a recording of rows by context (``RecordedPair.save``)."""
    return Path(path).suffix == ".safetensors" or "draws" in _npz(path, names_only=True)


def _npz(path: str | Path, names_only: bool = False) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict.fromkeys(archive.files) if names_only else {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds for a broken archive
        raise ValueError(f"{path} is no .npz archive, or is cut short: {error}") from None


def _safetensors(path: str | Path) -> dict[str, Any]:
    """The arrays of a safetensors file: 8 bytes of length, a JSON header, the values end to end."""
    data = Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + size])
    except ValueError:
        raise ValueError(f"{path} is no safetensors file, or is cut short: its header is no JSON") from None
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__" or name not in TRACE_ARRAYS:
            continue
        start, end = (8 + size + place for place in entry["data_offsets"])
        if end > len(data) or entry["dtype"] not in DTYPES:
            raise ValueError(f"{path}: {name} is cut short, or of the type {entry['dtype']}, not {', '.join(DTYPES)}")
        arrays[name] = np.frombuffer(data[start:end], dtype=DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return arrays


def _whole(path: str | Path, name: str, values: Any) -> Any:
    if values.dtype.kind not in "iu":
        raise ValueError(f"trace {path}: {name!r} must hold integers, but has dtype {values.dtype}")
    return values.astype(np.int64)


def _in_float64(path: str | Path, arrays: Mapping[str, Any], name: str) -> NDArray[np.float64]:
    """The rows' entries in float64; rows of less precision, which miss 1 by rounding, each over its own sum."""
    values = arrays[f"{name}_values"]
    if values.dtype == np.float64:
        return values
    owners = np.repeat(np.arange(len(arrays[name]) - 1), np.diff(arrays[name]))
    sums = np.bincount(owners, weights=values.astype(np.float64))
    bad = np.flatnonzero(np.abs(sums[owners] - 1) > SUM_TOLERANCE)
    if len(bad):
        row = owners[bad[0]]
        raise ValueError(f"trace {path}: {name} row {row} of {values.dtype} sums to {sums[row]}, not 1")
    return values / sums[owners]


def _check(path: str | Path, arrays: Mapping[str, Any]) -> None:
    """Raise unless the arrays fit each other."""
    steps, draws = len(arrays["accepted"]), len(arrays["tokens"])
    lengths = {"requests": steps, "draws": steps + 1, "parents": draws, "target": steps + draws + 1}
    for name, length in (lengths | {"draft": steps + draws + 1}).items():
        if arrays[name].shape != (length,):
            raise ValueError(f"trace {path}: {name!r} must have shape ({length},), but has {arrays[name].shape}")
    if steps == 0:
        raise ValueError(f"trace {path} holds no step")
    for name, parts in OFFSETS.items():
        ends, size = arrays[name], len(arrays[parts[0]])
        if ends[0] != 0 or any(end < start for start, end in pairwise(ends.tolist())) or ends[-1] != size:
            raise ValueError(f"trace {path}: {name!r} must rise from 0 to the length of {parts[0]!r}, {size}")
        if len(arrays[parts[1]]) != size:
            raise ValueError(f"trace {path}: {parts[0]!r} has {size} entries, but {parts[1]!r} {len(arrays[parts[1]])}")
    _check_tokens(path, arrays)


def _check_tokens(path: str | Path, arrays: Mapping[str, Any]) -> None:
    """Raise for a token outside the vocabulary, or an accepted length that the step's draws do not reach."""
    size = int(arrays["vocabulary_size"])
    for name in ("tokens", "target_tokens", "draft_tokens"):
        bad = np.flatnonzero((arrays[name] < 0) | (arrays[name] >= size))
        if len(bad):
            raise ValueError(f"trace {path}: {name} row {bad[0]} is {arrays[name][bad[0]]}, outside [0, {size})")
    widths = np.diff(arrays["draws"])
    bad = np.flatnonzero((arrays["accepted"] < 0) | (arrays["accepted"] > widths))
    if len(bad):
        step = int(bad[0])
        raise ValueError(f"trace {path}: accepted row {step} is {arrays['accepted'][step]} of {widths[step]} draws")
