"""Calling a verifier: arrays in the library that it wants, and its answers as one array of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np

from veridraft.theory.rows.distributions import NO_TOKEN

from ..batches.batch import Outcome
from ..batches.rows import Ints
from .form import Arguments, Form, Inputs
from .guard import CallError, Fault, Guard
from .pace import Pace

LIBRARIES = ("numpy", "torch")


@dataclass(frozen=True)
class Caller:
    """A verifier and the way in which it is called.

    Fields
    ------
    verifier : the callable, under the contract of :mod:`veridraft.simulate.forms.form`
    form : its form
    batched : whether every array has an axis of trials in front
    arrays : "numpy" or "torch", the library whose arrays and generator it takes
    dtype : of the rows, by name, such as "float64" (or "bfloat16" with torch)
    guard : the time limit of a call
    device : where tensors and generator are, with torch, such as "cuda"
    pace : counts the calls, whoever asks for them, and says how many trials may come at once
    """

    verifier: Callable[..., Any]
    form: Form
    batched: bool = False
    arrays: str = "numpy"
    dtype: str = "float64"
    guard: Guard = field(default_factory=lambda: Guard(None))
    device: str = "cpu"
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        if not callable(self.verifier):
            raise TypeError(f"verifier must be callable, but is {self.verifier!r}")
        if self.arrays not in LIBRARIES:
            raise ValueError(f"arrays must be one of {', '.join(LIBRARIES)}, but is {self.arrays!r}")
        _check_dtype(self.arrays, self.dtype)
        _check_device(self.arrays, self.device)

    def decide(self, inputs: Inputs, rng: np.random.Generator, longest: int) -> tuple[Ints, Arguments]:
        """The emitted tokens (T, longest), -1 behind them, and the arrays that were handed over, as they are now.

        Raises :class:`~veridraft.simulate.forms.guard.CallError`, with the trial and its inputs in the message.
        """
        arrays = self.handed(inputs.arrays)
        keywords = {"trunk": inputs.trunk} if inputs.trunk and self.form is Form.PATHS else {}
        generator, trials = self.generator(rng), len(inputs.trials)
        if self.batched:
            self.pace.count(trials, 1)
            answer = self._called(arrays, generator, keywords)
            return as_tokens(answer, trials, longest), arrays
        singles = zip(*arrays, strict=True)
        with self.guard.armed():
            answers = [self._single(single, generator, keywords) for single in singles]
        return _rows(answers, longest), arrays

    def generate(self, trials: int, rng: np.random.Generator, longest: int) -> Ints:
        """Generated tokens (trials, longest), cut to that length, -1 behind them."""
        generator = self.generator(rng)
        self.pace.count(trials, 1 if self.batched else trials)
        if self.batched:
            return as_tokens(self.guard.call(self.verifier, generator, trials), trials, longest, cut=True)
        with self.guard.armed():
            return _rows([_tokens(self.guard.call(self.verifier, generator)) for _ in range(trials)], longest, cut=True)

    def _single(self, arrays: tuple[Any, ...], generator: Any, keywords: dict[str, int]) -> Ints:
        self.pace.count(1, 1)
        answer = self._called(arrays, generator, keywords)
        try:
            return _tokens(answer)
        except CallError as failure:
            raise CallError(failure.fault, f"{failure}; {_drafted(arrays)}") from failure.__cause__

    def _called(self, arrays: tuple[Any, ...], generator: Any, keywords: dict[str, int]) -> Any:
        """The answer; a failure of the call says what it was called with."""
        try:
            return self.guard.call(self.verifier, *arrays, generator, **keywords)
        except CallError as failure:
            drafted = "" if self.batched else f"; {_drafted(arrays)}"
            said = f"{failure}{drafted}; it was called with {self._arguments(arrays, generator)}"
            raise CallError(failure.fault, said) from failure.__cause__

    def _arguments(self, arrays: tuple[Any, ...], generator: Any) -> str:
        """Names, shapes and types of the arguments, for a message."""
        between = ("parents",) if self.form is Form.TREE else ()
        named = zip(("target", "draft", *between, "tokens"), arrays, strict=True)
        shapes = ", ".join(f"{name} {tuple(array.shape)} {array.dtype}" for name, array in named)
        kind = type(generator)
        return f"{shapes}, rng {kind.__module__.split('.')[0]}.{kind.__name__}"

    def handed(self, arrays: Arguments) -> tuple[Any, ...]:
        """Copies of the arrays in the library and type that the verifier takes."""
        if self.arrays == "numpy":
            return tuple(array.astype(self.dtype if array.dtype.kind == "f" else np.int64) for array in arrays)
        import torch

        dtype = getattr(torch, self.dtype)
        return tuple(
            torch.tensor(array, dtype=dtype if array.dtype.kind == "f" else torch.int64, device=self.device)
            for array in arrays
        )

    def generator(self, rng: np.random.Generator) -> Any:
        """The generator that the verifier takes; a torch generator is seeded from the given one."""
        if self.arrays == "numpy":
            return rng
        import torch

        return torch.Generator(self.device).manual_seed(int(rng.integers(2**62)))


def as_tokens(answer: Any, trials: int, longest: int, cut: bool = False) -> Ints:
    """A batched answer as (trials, longest) tokens; raises :class:`CallError` for one of another shape."""
    if isinstance(answer, Outcome):
        answer = np.where(np.arange(answer.tokens.shape[1]) <= answer.accepted[:, None], answer.tokens, NO_TOKEN)
    array = _integers(answer) if hasattr(answer, "shape") else None
    if array is None or array.ndim != 2:
        if not isinstance(answer, Sequence) or len(answer) != trials:
            raise CallError(Fault.WRONG_SHAPE, f"a batch of {trials} trials was answered by {_kind(answer)}")
        return _rows([_tokens(row) for row in answer], longest, cut)
    if len(array) != trials:
        raise CallError(Fault.WRONG_SHAPE, f"a batch of {trials} trials was answered by {_kind(answer)}")
    return _fitted(array, longest, cut)


def _tokens(answer: Any) -> Ints:
    """One answer as an array of integers (n,)."""
    array = _integers(answer)
    if array.ndim != 1:
        raise CallError(Fault.WRONG_SHAPE, f"emitted tokens must be a sequence of integers, but are {_kind(answer)}")
    return array


def _rows(answers: Sequence[Ints], longest: int, cut: bool = False) -> Ints:
    """Answers of their own lengths as (T, longest) tokens; what is wrong with one is said in its own tokens."""
    rows = np.full((len(answers), max(map(len, answers))), NO_TOKEN, dtype=np.int64)
    for row, answer in zip(rows, answers, strict=True):
        row[: len(answer)] = answer
    return _fitted(rows, longest, cut, answers)


def _integers(answer: Any) -> Ints:
    """The answer as an array of integers."""
    try:
        array = np.asarray(answer.detach().cpu() if hasattr(answer, "detach") else answer)
    except Exception:
        raise CallError(Fault.WRONG_SHAPE, f"emitted tokens must be integers, but are {_kind(answer)}") from None
    if array.size == 0:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise CallError(Fault.WRONG_SHAPE, f"emitted tokens must be integers, but are {_kind(answer)}")
    return array.astype(np.int64)


def _fitted(rows: Ints, longest: int, cut: bool, answers: Sequence[Ints] | None = None) -> Ints:
    """The rows, checked: at least one token, at most ``longest`` unless they are cut, -1 only behind them.

    answers : what was returned, where the rows are padded by us
    """
    emitted = rows != NO_TOKEN
    said: Ints | Sequence[Ints] = rows if answers is None else answers
    lengths = emitted.sum(axis=1)
    _check_first(lengths > 0, said, "no token was emitted")
    behind = emitted == (np.arange(rows.shape[1]) < lengths[:, None])
    _check_first(behind, said, "-1 stands before a token, and padding belongs behind them")
    if not cut:
        _check_first(lengths <= longest, said, f"at most {longest} tokens can be emitted")
    fitted = np.full((len(rows), longest), NO_TOKEN, dtype=np.int64)
    shared = min(longest, rows.shape[1])
    fitted[:, :shared] = rows[:, :shared]
    return fitted


def _check_first(right: np.ndarray, answers: Ints | Sequence[Ints], complaint: str) -> None:
    """Raise for the first answer that is not right."""
    wrong = ~right.reshape(len(answers), -1).all(axis=1)
    if wrong.any():
        raise CallError(Fault.WRONG_SHAPE, f"{complaint}, but the answer was {answers[int(wrong.argmax())].tolist()}")


def check_vocabulary(tokens: Ints, size: int) -> None:
    """Raise :class:`CallError` if an emitted token lies outside [0, size)."""
    wrong = (tokens != NO_TOKEN) & ((tokens < 0) | (tokens >= size))
    if wrong.any():
        row = tokens[wrong.any(axis=1).argmax()]
        emitted = row[row != NO_TOKEN].tolist()
        raise CallError(Fault.OUTSIDE_VOCABULARY, f"tokens must lie in [0, {size}), but {emitted} was emitted")


def changed(before: Arguments, after: tuple[Any, ...]) -> tuple[int, ...]:
    """Which of the arrays were written to."""
    return tuple(
        place for place, (old, new) in enumerate(zip(before, after, strict=True)) if not _same(old, new)
    )


def _same(old: Any, new: Any) -> bool:
    first, second = _values(old), _values(new)
    return first.shape == second.shape and bool(np.array_equal(first, second, equal_nan=True))


def _values(array: Any) -> np.ndarray:
    """An array or tensor as float64, exact for tokens too: they lie far below 2^53."""
    return np.asarray(array.detach().cpu().double() if hasattr(array, "detach") else array, dtype=np.float64)


def _check_dtype(arrays: str, dtype: str) -> None:
    """Raise unless the library has floats of that name."""
    if arrays == "torch":
        if find_spec("torch") is None:
            raise ValueError("arrays is 'torch', but PyTorch is not installed")
        import torch

        known = isinstance(getattr(torch, dtype, None), torch.dtype) and getattr(torch, dtype).is_floating_point
    else:
        known = dtype in ("float16", "float32", "float64", "longdouble")
    if not known:
        raise ValueError(f"dtype must name floats of {arrays}, but is {dtype!r}")


def _check_device(arrays: str, device: str) -> None:
    """Raise unless tensors and a generator can be made on the device."""
    if arrays != "torch":
        if device != "cpu":
            raise ValueError(f"device is for arrays='torch', but arrays is {arrays!r} and device {device!r}")
        return
    check_torch_device(device)


def check_torch_device(device: str) -> None:
    """``ValueError`` unless PyTorch can make tensors and a generator on the device."""
    import torch

    try:
        torch.zeros(1, device=device), torch.Generator(device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from None


def _kind(answer: Any) -> str:
    try:
        shape = f" of shape {tuple(answer.shape)}" if hasattr(answer, "shape") else ""
        text = repr(answer)
    except Exception:
        return type(answer).__name__
    return f"{type(answer).__name__}{shape}: {text if len(text) <= 120 else text[:117] + '...'}"


def _drafted(arrays: tuple[Any, ...]) -> str:
    """The drafted tokens of a call, for a message."""
    return f"the drafted tokens were {arrays[-1].tolist()}"
