"""Beyond one device: one rank drafts, verifies and decides; all ranks pass the target and keep equal caches.

A network whose weights are split over ranks (transformers' tensor parallelism under ``torchrun``) must be called on
all of them at once, with the same tokens and on caches that hold the same contexts.  So rank 0 alone runs the decoder,
whichever it is; whatever it does to a split network or its caches, it tells the other ranks first, and they do it too.
A draft, a coin or a decision is thus made once, and no rounding on another device can part the texts.

A network that is placed over the devices of one process (``device_map``) needs none of this: it is called as usual.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar
from weakref import finalize

from ..backend import torch, transformers
from ..pairs import ModelPair

Result = TypeVar("Result")

LEADER = 0
"""The rank that decides."""

OPERATIONS = ("grow", "move", "copy_row")
"""What a decoder does to the layers of a cache between passes; each rank does it to its own share of the heads."""


@dataclass(frozen=True)
class Opened:
    """A cache is used for the first time; ``layers`` are as yet empty."""

    cache: int
    layers: Sequence[Any]


@dataclass(frozen=True)
class Changed:
    """An operation on every layer of a cache."""

    cache: int
    operation: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Passed:
    """A pass of a network; ``window`` is where in the cache it reads and writes, if the cache's layers have one."""

    network: str
    cache: int | None
    window: Any
    options: dict[str, Any]


@dataclass(frozen=True)
class Dropped:
    """Caches that are not used any more."""

    caches: tuple[int, ...]


@dataclass(frozen=True)
class Finished:
    """The work is done, with this result."""

    result: Any


@dataclass(frozen=True)
class Failed:
    """The work was ended by an error."""

    error: str


class Channel:
    """Messages from rank 0 to all: objects over the host, tensors over the devices, both in order.

    ``device`` is where this rank's received tensors lie.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        on_host = torch.distributed.get_backend() == "gloo"
        self.objects = None if on_host else torch.distributed.new_group(backend="gloo")

    def send(self, message: Any) -> None:
        """Send a message; only rank 0 may."""
        sink, tensors = io.BytesIO(), list[torch.Tensor]()
        _Pickler(sink, tensors).dump(message)
        shapes = [(tuple(tensor.shape), tensor.dtype) for tensor in tensors]
        torch.distributed.broadcast_object_list([sink.getvalue(), shapes], LEADER, self.objects)
        for tensor in tensors:
            torch.distributed.broadcast(_plain(tensor.detach().to(self.device).contiguous()), LEADER)

    def receive(self) -> Any:
        """The next message."""
        head: list[Any] = [None, None]
        torch.distributed.broadcast_object_list(head, LEADER, self.objects)
        tensors = [torch.empty(shape, dtype=dtype, device=self.device) for shape, dtype in head[1]]
        for tensor in tensors:
            torch.distributed.broadcast(_plain(tensor), LEADER)
        return _Unpickler(io.BytesIO(head[0]), tensors).load()


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory, of a type that every backend sends."""
    return tensor.view(torch.uint8) if tensor.dtype == torch.bool else tensor


class _Pickler(pickle.Pickler):
    """Leaves tensors out, and puts them into a list."""

    def __init__(self, sink: io.BytesIO, tensors: list[torch.Tensor]) -> None:
        super().__init__(sink)
        self.tensors = tensors

    def persistent_id(self, value: Any) -> int | None:
        """The place in the list."""
        if not isinstance(value, torch.Tensor):
            return None
        self.tensors.append(value)
        return len(self.tensors) - 1


class _Unpickler(pickle.Unpickler):
    """Puts the tensors of a list back."""

    def __init__(self, source: io.BytesIO, tensors: Sequence[torch.Tensor]) -> None:
        super().__init__(source)
        self.tensors = tensors

    def persistent_load(self, place: int) -> torch.Tensor:
        """The tensor at that place."""
        return self.tensors[place]


class Leader:
    """Rank 0's side: what it does to split networks and their caches is told to the other ranks first."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.opened = 0
        self.dropped: list[int] = []

    def say(self, message: Any) -> None:
        """Send a message, after one on the caches that were dropped since the last."""
        dropped, self.dropped = tuple(self.dropped), []
        for one in ([Dropped(dropped)] if dropped else []) + [message]:
            self.channel.send(one)

    def number(self, cache: Any) -> int:
        """The number of a cache; a new one is opened on the other ranks, and its changes are told from now on.

        Raises ``TypeError`` for a cache whose changes cannot be followed.
        """
        first = cache.layers[0]
        if not any(hasattr(first, name) for name in OPERATIONS):
            raise TypeError(f"cache layers of type {type(first).__name__} have none of {', '.join(OPERATIONS)}")
        if not hasattr(first, "followed_as"):
            self.opened += 1
            self.say(Opened(self.opened, cache.layers))
            first.followed_as = self.opened
            for name in OPERATIONS:
                if hasattr(first, name):
                    setattr(first, name, partial(self._change, self.opened, name, getattr(first, name)))
            finalize(cache, self.dropped.append, self.opened)
        return int(first.followed_as)

    def _change(self, cache: int, name: str, operation: Callable[..., None], *arguments: Any) -> None:
        self.say(Changed(cache, name, arguments))
        operation(*arguments)


class LeadingModel:
    """A split network as rank 0 calls it: every pass is one on all ranks; anything else is asked of the network."""

    def __init__(self, model: Any, name: str, leader: Leader) -> None:
        self.model, self.name, self.leader = model, name, leader

    def __call__(self, **options: Any) -> Any:
        """A pass, with the arguments of the network's forward by name."""
        cache = options.pop("past_key_values", None)
        number = None if cache is None else self.leader.number(cache)
        window = None if cache is None else getattr(cache.layers[0], "window", None)
        self.leader.say(Passed(self.name, number, window, options))
        return self.model(past_key_values=cache, **options)

    def generate(self, *_: Any, **__: Any) -> Any:
        """Refused: it would run on rank 0 alone and wait for the others for ever."""
        raise NotImplementedError(f"the {self.name} is split over ranks: decode with veridraft instead of generate")

    def __getattr__(self, name: str) -> Any:
        if name == "model" or name.startswith("_"):  # whoever copies a network's insides would leave the ranks apart
            raise AttributeError(f"{name} of a network that is split over ranks")
        return getattr(self.model, name)


class Follower:
    """Another rank's side: it does what it is told to its share of the networks and of their caches."""

    def __init__(self, networks: dict[str, Any], channel: Channel) -> None:
        self.networks, self.channel = networks, channel
        self.caches: dict[int, Any] = {}

    @torch.inference_mode()
    def follow(self) -> Any:
        """Follow until the work is done; its result.  Raises ``ChildProcessError`` if one on rank 0 ended it."""
        while not isinstance(message := self.channel.receive(), Finished):
            if isinstance(message, Failed):
                raise ChildProcessError(f"rank {LEADER} was stopped: {message.error}")
            self.do(message)
        return message.result

    def do(self, message: Any) -> None:
        """Do what one message says."""
        match message:
            case Opened(number, layers):
                self.caches[number] = transformers.Cache(layers=list(layers))
            case Changed(number, name, arguments):
                for layer in self.caches[number].layers:
                    getattr(layer, name)(*arguments)
            case Passed(network, number, window, options):
                cache = None if number is None else self.caches[number]
                for layer in cache.layers if cache is not None and window is not None else ():
                    layer.window = window
                self.networks[network](past_key_values=cache, **options)
            case Dropped(numbers):
                for number in numbers:
                    del self.caches[number]


def on_all_ranks(
    pair: ModelPair, work: Callable[[ModelPair], Result], watch: Callable[[Follower], None] | None = None
) -> Result:
    """What ``work(pair)`` returns on rank 0, returned on every rank; in a single process, simply that.

    Only rank 0 calls ``work``, with a pair whose split networks are passed on all ranks at once; the others follow.
    All ranks call this together, each with its own share of the same pair.  The result must be picklable.
    ``watch`` is called on the ranks that follow, once the work is done, with their caches.
    Raises what ``work`` raises on rank 0, and ``ChildProcessError`` that says so on the others.
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return work(pair)
    channel = Channel(pair.device)
    networks = {name: one for name, one in (("target", pair.target), ("draft", pair.draft)) if is_split(one)}
    if distributed.get_rank() == LEADER:
        return _lead(pair, networks, work, Leader(channel))
    follower = Follower(networks, channel)
    result = follower.follow()
    if watch is not None:
        watch(follower)
    return result


def _lead(pair: ModelPair, networks: dict[str, Any], work: Callable[[ModelPair], Result], leader: Leader) -> Result:
    """Do the work, and tell the others how it ended."""
    leading: dict[str, Any] = {name: LeadingModel(model, name, leader) for name, model in networks.items()}
    try:
        result = work(replace(pair, **leading))
    except BaseException as error:
        leader.say(Failed(f"{type(error).__name__}: {error}"))
        raise
    leader.say(Finished(result))
    return result


def is_split(model: Any) -> bool:
    """True if a network's weights are split over ranks."""
    if not torch.distributed.is_available():
        return False
    from torch.distributed.tensor import DTensor

    return any(isinstance(one, DTensor) for one in model.parameters())
