"""Mistakes of calling: is the verifier right once its mistake is undone?

Before a law is held against those of known defects it is asked whether the callable takes its arguments or gives its
answer in another way than its form says.  Each mistake can be undone from outside: what is handed over is changed, or
what comes back is read in another way.  If the departure is gone then, the mistake is named.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from veridraft.theory.rows.distributions import NO_TOKEN

from ...batches.rows import Ints
from ...forms.calls import Caller, CallError
from ...forms.cases import Case
from ...forms.choice import TargetOnly
from ...forms.drawing import Drawing, string_law
from ...forms.form import Arguments, Form, Inputs
from ..budget import Budget
from ..evidence import Evidence

LEAST, MOST = 1_000, 20_000
"""Trials with a mistake undone lie between these; otherwise four times what the finding took."""

FURTHER = 3
"""Further cases on which there must be no departure either, with the least number of trials each."""

APART = 0.1
"""Rows differ by this total variation, or more, where it is tried whether one is taken for the other."""

UNDONE_LEVEL = 1e-3
"""A departure that is still there is seen at this level: the mistake is then another."""

Hand = Callable[[Arguments], Arguments]
"""What is handed over, from what the form says; arrays with an axis of trials in front."""

Read = Callable[[Ints, Arguments], Ints]
"""Emitted tokens (T, L + 1), -1 behind them, from what came back (T, n), and the arrays of the form."""


@dataclass(frozen=True)
class Misuse:
    """A mistake of calling.

    words : what is done
    undone : how it was undone, in words
    forms : in which it can be made
    hand, read : undo it
    agreeing : whether it is tried on a draft with the target's rows
    apart : whether it shows only where the draft's rows are not the target's, and is tried there alone
    """

    words: str
    undone: str
    forms: tuple[Form, ...]
    hand: Hand = lambda arrays: arrays
    read: Read = lambda answers, arrays: answers
    agreeing: bool = False
    apart: bool = False


def _logarithms(arrays: Arguments) -> Arguments:
    with np.errstate(divide="ignore"):
        return (np.log(arrays[0]), np.log(arrays[1]), *arrays[2:])


def _swapped(arrays: Arguments) -> Arguments:
    """The draft's rows where the target's should be, and the target's for the draft's, where something was drafted.

    Behind the last draft there are the target's alone.
    """
    target, draft = arrays[:2]
    levels = draft.shape[-2]
    drafts = draft.sum(axis=-1, keepdims=True) > 0
    first = np.where(drafts, draft, target[..., :levels, :])
    return np.concatenate([first, target[..., levels:, :]], axis=-2), target[..., :levels, :] * drafts, *arrays[2:]


def _one_token_more(arrays: Arguments) -> Arguments:
    """Every token numbered one higher, below them a token 0 that nobody can emit."""
    rows = (np.concatenate([row[..., :1] * 0, row], axis=-1) for row in arrays[:2])
    tokens = arrays[-1]
    return (*rows, *arrays[2:-1], np.where(tokens == NO_TOKEN, NO_TOKEN, tokens + 1))


def _one_token_less(answers: Ints, arrays: Arguments) -> Ints:
    """The tokens as they were, a 0 being padding; all padding if there is none, so that this is not the mistake."""
    padded = answers == 0
    if not padded.any():
        return np.full_like(answers, NO_TOKEN)
    return np.where(padded | (answers == NO_TOKEN), NO_TOKEN, answers - 1)


def _behind_drafts(answers: Ints, arrays: Arguments) -> Ints:
    """The lone tokens behind all drafts."""
    if (answers[:, 1:] != NO_TOKEN).any():
        return np.full_like(answers, NO_TOKEN)
    return np.concatenate([arrays[-1], answers[:, :1]], axis=1)


def _tokens_of_nodes(answers: Ints, arrays: Arguments) -> Ints:
    """All but the last numbers of nodes, whose tokens are meant; the root, in front, is no token.

    All padding unless the numbers are those of paths from the root, and some trials have such.
    """
    parents, tokens = arrays[-2:]
    rooted = (answers[:, 0] == 0).all()
    numbers = np.concatenate([answers[:, 1:], np.full((len(answers), 1), NO_TOKEN)], axis=1) if rooted else answers
    inner = np.arange(numbers.shape[1]) < (numbers != NO_TOKEN).sum(axis=1)[:, None] - 1
    nodes = np.clip(numbers, 0, tokens.shape[1] - 1)
    above = np.concatenate([np.zeros((len(nodes), 1), dtype=np.int64), nodes[:, :-1]], axis=1)
    right = (nodes == numbers) & (np.take_along_axis(parents, nodes, axis=1) == above)
    if not inner.any() or not right[inner].all():
        return np.full_like(answers, NO_TOKEN)
    return np.where(inner, np.take_along_axis(tokens, nodes, axis=1), numbers)


def _counted(count: int) -> Read:
    """Answers of two numbers, one of which is how many drafts are accepted, the other the token behind them."""

    def read(answers: Ints, arrays: Arguments) -> Ints:
        accepted, token, tokens = answers[:, count], answers[:, 1 - count], arrays[-1]
        wrong = (answers[:, :2] < 0).any(axis=1) | (answers[:, 2:] >= 0).any(axis=1) | (accepted > tokens.shape[1])
        wrong |= not accepted.any()
        places, room = np.arange(answers.shape[1]), np.zeros((len(tokens), 1), dtype=np.int64)
        emitted = np.where(places < accepted[:, None], np.concatenate([tokens, room], axis=1), NO_TOKEN)
        emitted[np.arange(len(tokens)), np.minimum(accepted, tokens.shape[1])] = token
        return np.where(wrong[:, None], NO_TOKEN, emitted)

    return read


_HANDED = (Form.CHAIN, Form.PATHS, Form.TREE)

MISUSES = (
    Misuse("the target's rows and the draft's are taken for each other",
           "handed the one for the other", _HANDED, hand=_swapped, apart=True),
    Misuse("rows are taken for logits, though they are probabilities",
           "handed the logarithms of the rows", _HANDED, hand=_logarithms),
    Misuse("answers are padded with 0, which is a token, and not with -1 "
           "(padded_width_escapes; vllm-project/vllm PR #54893)",
           "with 0 left to padding, all tokens being numbered one higher", _HANDED,
           hand=_one_token_more, read=_one_token_less),
    Misuse("accepted tokens are missing from the answer, which is the one token behind them",
           "with the drafts put in front, where target and draft agree and all are accepted", (Form.CHAIN,),
           read=_behind_drafts, agreeing=True),
    Misuse("numbers of nodes are given for tokens",
           "with the nodes' tokens read in their place", (Form.TREE,), read=_tokens_of_nodes),
    Misuse("the answer is the number of accepted drafts and the token behind them, not the tokens",
           "read as that", (Form.CHAIN,), read=_counted(0)),
    Misuse("the answer is a token and the number of accepted drafts in front of it, not the tokens",
           "read as that", (Form.CHAIN,), read=_counted(1)),
)  # fmt: skip
"""Every mistake that is looked for."""


def misuse_of(
    caller: Caller, drawings: Sequence[Drawing], trials: int, budget: Budget, rng: np.random.Generator
) -> str:
    """The mistake that explains the departure, in words; empty if none does, or the budget is too small to say so.

    drawings : the cases of the audit, that of the finding first; trials : what the finding took
    """
    needed = min(MOST, max(LEAST, 4 * trials))
    for misuse in (one for one in MISUSES if caller.form in one.forms):
        fitting = [one for one in drawings if not misuse.apart or _apart(one)]
        if fitting[:1] != drawings[:1]:
            continue
        tried = list(zip(fitting[: 1 + FURTHER], [needed, *[LEAST] * FURTHER], strict=False))
        whole = sum(count for _, count in tried)
        if budget.left < whole or budget.late():
            return ""
        try:
            if all(_right_when_undone(misuse, caller, drawing, count, budget, rng) for drawing, count in tried):
                return f"{misuse.words}: {misuse.undone}, it shows no departure in {whole:,} trials"
        except CallError:
            continue
    return ""


def _apart(drawing: Drawing) -> bool:
    """Whether target and draft differ at the root of every request, so much that few trials show which is which."""
    return all(np.abs(tables.target[0] - tables.draft[0]).sum() / 2 >= APART for tables in drawing.tables)


def _agreeing(drawing: Drawing) -> Drawing:
    """The case with the target's rows for the draft's."""
    case = drawing.case
    return Drawing(replace(case, pair=TargetOnly(_Target(case))), drawing.form, drawing.multiplicity, drawing.pad_to)


class _Target:
    """What a case's target is asked for."""

    def __init__(self, case: Case) -> None:
        self.vocabulary_size, self.target_row = case.pair.vocabulary_size, case.pair.as_float().target_row


def _right_when_undone(
    misuse: Misuse, caller: Caller, drawing: Drawing, trials: int, budget: Budget, rng: np.random.Generator
) -> bool:
    """Whether so many trials with the mistake undone show no departure; it is looked at whenever they have doubled."""
    drawing = _agreeing(drawing) if misuse.agreeing else drawing
    level = UNDONE_LEVEL / drawing.requests
    evidence = [Evidence(string_law(tables).reshape(drawing.shape), level) for tables in drawing.tables]
    done, look = 0, 32
    for size in caller.pace.chunks(trials, drawing.requests, min(64, drawing.chunk) if not caller.batched else None):
        if budget.late() or budget.left < size:
            return False
        tokens = undone(misuse, caller, drawing, size, rng)
        if (tokens[:, 0] == NO_TOKEN).any() or (tokens >= drawing.vocabulary_size).any() or _broken_off(tokens):
            return False
        strings = drawing.complete(tokens, rng)
        done += size
        for request, one in enumerate(evidence):
            one.count(strings[request :: drawing.requests])
            if done >= look:
                one.look(planned=False)
        look = 2 * look if done >= look else look
        if any(one.rejects for one in evidence):
            return False
    for one in evidence:
        one.look(planned=False)
    return not any(one.rejects for one in evidence)


def _broken_off(tokens: Ints) -> bool:
    """Whether a token stands behind -1."""
    return bool(((tokens[:, :-1] == NO_TOKEN) & (tokens[:, 1:] != NO_TOKEN)).any())


def undone(misuse: Misuse, caller: Caller, drawing: Drawing, trials: int, rng: np.random.Generator) -> Ints:
    """The emitted tokens (T, L + 1) of some trials with a mistake undone."""
    tokens = np.full((trials, drawing.length), NO_TOKEN, dtype=np.int64)
    for inputs in drawing.draw(trials, rng)[0]:
        changed = Inputs(misuse.hand(inputs.arrays), inputs.trunk, inputs.trials)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answers, _ = caller.decide(changed, rng, max(drawing.length, 2) + (caller.form is Form.TREE))
        tokens[inputs.trials] = misuse.read(answers, inputs.arrays)[:, : drawing.length]
    return tokens
