"""What the cells say: the best action of each verifier in three spaces, profiles by depth, points of the paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from veridraft.theory.policies.paths import Delayed
from veridraft.theory.rows.distributions import Row
from veridraft.theory.speed.hardware import get_device
from veridraft.theory.speed.networks import get_network
from veridraft.theory.speed.rates import LatencyModel, roofline_model
from veridraft.theory.speed.schedules import Schedule

from ...writing.tables import Table, number
from .plan import EXACT, MOST_LEVELS, MOST_PATHS, SAMPLED

Cell = Mapping[str, Any]

CONTEXT = 512
PAIRS = (("70B", "8B"), ("32B", "0.5B"))
"""The paper's Llama and Qwen pairs by their shapes, on its two A100."""

LEAST_GAIN = 0.005
"""A difference of less than half a per cent counts as none."""


@dataclass(frozen=True)
class Space:
    """Actions to choose from: a mask over ``[K - 1][L1][L2]``."""

    name: str
    mask: Row


def spaces() -> tuple[Space, ...]:
    """One path of up to eight tokens; up to four from the root, as the paper's static baseline; all 324 actions."""
    shape = (MOST_PATHS, MOST_LEVELS + 1, MOST_LEVELS + 1)
    paths, trunk, _ = np.indices(shape)
    return (Space("chain", (paths == 0) & (trunk == 0)), Space("root", trunk == 0), Space("all", np.ones(shape, bool)))


@cache
def seconds_of(target: str, draft: str) -> Row:
    """(4, 9, 9) the seconds of a step of every action, of one request on the paper's machine."""
    return seconds_by_action(roofline_model(get_network(target), get_network(draft), get_device("A100").times(2)))


def seconds_by_action(model: LatencyModel) -> Row:
    """(4, 9, 9) the seconds of a step of every action."""
    found = np.zeros((MOST_PATHS, MOST_LEVELS + 1, MOST_LEVELS + 1))
    for paths, trunk, branch in np.ndindex(found.shape):
        schedule = Schedule.of_policy(Delayed(paths + 1, trunk, branch))
        found[paths, trunk, branch] = float(model.step(schedule, CONTEXT).total)
    return found


def means_of(cells: Sequence[Cell], family: str, verifier: str) -> list[Row]:
    """For each sampling (4, 9, 9) the mean over the seeds that are finished."""
    by_sampling: dict[tuple[float, float], list[Row]] = {}
    for cell in cells:
        if cell["family"] == family:
            values = np.array(cell["values"][verifier])
            by_sampling.setdefault((cell["temperature"], cell["top_p"]), []).append(values)
    return [np.mean(values, axis=0) for values in by_sampling.values()]


def best_of(values: Row, space: Space) -> tuple[float, tuple[int, int, int]]:
    """The best value of a space, and its action (K, L1, L2); of equal ones the one that comes first."""
    masked = np.where(space.mask, values, -np.inf)
    paths, trunk, branch = np.unravel_index(int(masked.argmax()), masked.shape)
    return float(masked.max()), (int(paths) + 1, int(trunk), int(branch))


def verifiers() -> tuple[str, ...]:
    """All of the study's."""
    return (*EXACT, *SAMPLED)


def tables(cells: Sequence[Cell]) -> Iterator[Table]:
    """The best actions by block efficiency and by speed, profiles, and points, for each family that has cells."""
    for family in dict.fromkeys(cell["family"] for cell in cells):
        yield _best_tokens(cells, family)
        for pair in PAIRS:
            yield _best_speed(cells, family, pair)
        yield _profiles(cells, family)
    yield _points(cells)


def _best_tokens(cells: Sequence[Cell], family: str) -> Table:
    """Mean over samplings of the best block efficiency in each space."""
    rows = []
    for verifier in verifiers():
        means = means_of(cells, family, verifier)
        best = [np.mean([best_of(values, space)[0] for values in means]) for space in spaces()]
        rows.append((verifier, *(number(float(value), 3) for value in best)))
    caption = f"E[tau + 1], pairs '{family}': mean over {_count(cells, family)} samplings of the best action"
    return Table(caption, ("verifier", *(space.name for space in spaces())), tuple(rows))


def _best_speed(cells: Sequence[Cell], family: str, pair: tuple[str, str]) -> Table:
    """Mean over samplings of the most tokens per second in each space, and which action that is most often."""
    rows = []
    for verifier in verifiers():
        found = [[best_of(values / seconds_of(*pair), space) for values in means_of(cells, family, verifier)]
                 for space in spaces()]  # fmt: skip
        speeds = [float(np.mean([speed for speed, _ in best])) for best in found]
        often = Counter(action for _, action in found[-1]).most_common(1)[0][0]
        rows.append((verifier, *(f"{speed:.2f}" for speed in speeds), f"{100 * (speeds[2] / speeds[1] - 1):+.1f} %",
                     str(often)))  # fmt: skip
    caption = f"Tokens/s, pairs '{family}', {pair[0]} with {pair[1]} on 2 x A100 (roofline): mean of the best action"
    columns = ("verifier", *(space.name for space in spaces()), "all / root", "most often best")
    return Table(caption, columns, tuple(rows))


def _profiles(cells: Sequence[Cell], family: str) -> Table:
    """Acceptance and total variation by depth, four paths, mean over samplings and seeds."""
    held = [cell["profiles"] for cell in cells if cell["family"] == family]
    rows = []
    for verifier in EXACT:
        for kind in ("acceptance", "total_variation"):
            mean = np.mean([profiles[verifier][kind] for profiles in held], axis=0)
            rows.append((verifier, kind.replace("_", " "), *(number(float(value), 3) for value in mean)))
    caption = f"By depth of the accepted path, Iid({MOST_PATHS}, {MOST_LEVELS}), pairs '{family}'"
    columns = ("verifier", "what", *(str(depth) for depth in range(MOST_LEVELS)))
    return Table(caption, columns, tuple(rows), names=2)


def _points(cells: Sequence[Cell]) -> Table:
    """Points that do not add up in the paper, on these pairs: the mean and the range of a difference over cells."""
    asked = {
        "SpecInfer's best K in 1..4 over Naive's best chain": ("specinfer", "root", "naive_tree", "chain"),
        "Block's best chain over Naive's": ("traversal", "chain", "naive_tree", "chain"),
        "Traversal's best root over SpecInfer's": ("traversal", "root", "specinfer", "root"),
        "SpecInfer's best of all over its best root": ("specinfer", "all", "specinfer", "root"),
        "Traversal's best of all over its best root": ("traversal", "all", "traversal", "root"),
        "SpecInfer's best of all over Traversal's best root": ("specinfer", "all", "traversal", "root"),
        "SpecInfer's best of all over Traversal's best of all": ("specinfer", "all", "traversal", "all"),
        "lifted K-SEQ's best of all over Traversal's": ("lifted_k_seq", "all", "traversal", "all"),
    }
    named = {space.name: space for space in spaces()}
    rows = []
    for text, (one, here, other, there) in asked.items():
        gains = [_best_rate(cell, one, named[here]) / _best_rate(cell, other, named[there]) - 1 for cell in cells]
        above, below = (sum(sign * gain > LEAST_GAIN for gain in gains) for sign in (1, -1))
        rows.append((text, *(f"{100 * gain:+.1f} %" for gain in (np.mean(gains), min(gains), max(gains))),
                     f"{above} / {below} / {len(gains) - above - below}"))  # fmt: skip
    caption = f"Tokens/s over tokens/s, {PAIRS[0][0]} with {PAIRS[0][1]} on 2 x A100, over all {len(cells)} cells"
    return Table(caption, ("what", "mean", "least", "most", "above / below / within 0.5 %"), tuple(rows))


def _best_rate(cell: Cell, verifier: str, space: Space) -> float:
    return best_of(np.array(cell["values"][verifier]) / seconds_of(*PAIRS[0]), space)[0]


def _count(cells: Sequence[Cell], family: str) -> int:
    return len({(cell["temperature"], cell["top_p"]) for cell in cells if cell["family"] == family})


def rows(cells: Sequence[Cell]) -> Iterator[dict[str, Any]]:
    """Each action of each verifier in each cell: its block efficiency, and the standard error of a sampled one."""
    for cell in cells:
        place = {name: cell[name] for name in ("family", "temperature", "top_p", "seed")}
        for verifier, values in cell["values"].items():
            errors = cell["errors"].get(verifier)
            for paths, trunk, branch in np.ndindex(np.shape(values)):
                yield place | {
                    "verifier": verifier, "K": paths + 1, "L1": trunk, "L2": branch,
                    "block_efficiency": values[paths][trunk][branch],
                    "standard_error": errors[paths][trunk][branch] if errors else 0.0,
                }  # fmt: skip


def largest_error(cells: Sequence[Cell]) -> dict[str, float]:
    """By verifier that was sampled the largest 95 % half width of a value."""
    return {name: 1.96 * max(float(np.max(cell["errors"][name])) for cell in cells) for name in SAMPLED}
