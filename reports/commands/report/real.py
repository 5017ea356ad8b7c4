"""The real part of a report: every verifier on a model pair, measured and predicted, one row per verifier."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from veridraft.gpu.files.kinds import CrosscheckFile
from veridraft.theory.policies.arguments import get_policy
from veridraft.theory.verifiers.fitting import fitting_policy

from ...running.models import LOADING
from ...running.progress import Talk
from .data import RealRow, RealRun
from .settings import Settings

PLAIN_TOKENS = 64
"""How many tokens plain generation writes to have its speed measured."""


def load(settings: Settings) -> Any:
    """The model pair of the settings, checked to be able to run them.

    Raises ``ValueError``, ``OSError`` or ``ImportError`` that says what is wrong with the models.
    """
    from veridraft.gpu.decoding.batch import BatchDecoder
    from veridraft.gpu.decoding.requests import Request
    from veridraft.gpu.models.pairs import load_pair
    from veridraft.gpu.models.prompts import PROMPTS

    Talk.say(LOADING)
    pair = load_pair(settings.target, settings.draft)
    BatchDecoder(pair, "nss", get_policy(settings.policy)).stream([Request(prompt) for prompt in PROMPTS])
    return pair


def not_run(settings: Settings, pair: Any) -> dict[str, str]:
    """The verifiers of the settings that do not run at the pair's vocabulary, and why."""
    from veridraft.gpu.verification.theory_route import too_large

    policy = get_policy(settings.policy)
    reasons = {name: too_large(name, fitting_policy(name, policy), pair.vocabulary_size) for name in settings.verifiers}
    return {name: reason for name, reason in reasons.items() if reason}


def run_real(settings: Settings, pair: Any, place: Path, command: str) -> None:
    """Measure what is not finished: one row per verifier, then the speed of plain generation."""
    from veridraft.gpu.crosschecks.crosschecker import crosscheck

    without = not_run(settings, pair)
    names = [name for name in settings.verifiers if name not in without]
    if not names:
        return
    crosscheck(
        pair,
        names,
        settings.policy,
        temperature=settings.temperature,
        top_p=settings.top_p,
        steps=settings.steps,
        seed=settings.seed,
        out=place,
        command=command,
    )
    plain = place / "plain.json"
    if not plain.exists():
        plain.write_text(json.dumps({"tokens_per_second": plain_speed(pair, settings)}) + "\n", encoding="utf-8")


def plain_speed(pair: Any, settings: Settings) -> float:
    """Tokens per second of the target alone, as transformers generates, prompt included; after a warm-up."""
    import torch

    from veridraft.gpu.models.prompts import PROMPTS

    prompt = torch.tensor([pair.encode(PROMPTS[0])], device=pair.device)
    law = {"do_sample": settings.temperature > 0, "top_p": settings.top_p, "top_k": 0}
    law |= {"temperature": settings.temperature} if settings.temperature > 0 else {}
    for tokens in (4, PLAIN_TOKENS):
        begin = time.perf_counter()
        pair.target.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=tokens, min_new_tokens=tokens, **law
        )
    return PLAIN_TOKENS / (time.perf_counter() - begin)


def read_real(place: Path) -> RealRun | None:
    """What is finished of a real run, or ``None`` if no row is."""
    try:
        run = CrosscheckFile.load(place / CrosscheckFile.name)
    except FileNotFoundError:
        return None
    plain = place / "plain.json"
    speed = json.loads(plain.read_text(encoding="utf-8"))["tokens_per_second"] if plain.exists() else None
    return real_run(run, speed)


def real_run(file: CrosscheckFile, plain_tokens_per_second: float | None = None) -> RealRun:
    """What a cross-check's file says."""
    target, draft, device = (file.settings[name] for name in ("target", "draft", "device"))
    return RealRun(target, draft, device, tuple(map(RealRow.from_json, file.rows)), plain_tokens_per_second)
