"""How a reply reads: one line that says what to run, then the table of the best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from veridraft.theory.policies.paths import Chain
from veridraft.theory.speed.rates import LatencyModel, Term
from veridraft.theory.verifiers.table import NEW, VERIFIERS

from ...writing.tables import Table
from .questions import AS_MEASURED, Paying, Reply, WhatIf

SHORT = dict(zip(Term, ("draft ms", "target ms", "verify ms", "rest ms"), strict=True))
"""Terms as heads of columns."""

REASONS = 3
"""So many reasons why something is left out are shown."""


def reply_text(
    reply: Reply, models: Sequence[LatencyModel], lengths: Sequence[int], told: str, how: str, top: int,
    price: float | None = None,
) -> str:  # fmt: skip
    """All that a person reads.

    told : where acceptance comes from; how : how it was computed; price : of the machines an hour
    """
    places = dict.fromkeys((one.hardware, one.sampling) for one in reply.answers)
    lines: list[str] = []
    for place in places:
        here = [one for one in reply.answers if (one.hardware, one.sampling) == place]
        lines += [headline(here[0], lengths, told), *_besides(here)]
        if reply.paying and place in reply.paying:
            lines.append(paying_text(reply.paying[place], lengths, here[0].batch))
    lines += ["", _table(reply, told, how, top, price)]
    hidden = len(reply.answers) - top
    lines += [f"{hidden} more rows: --top {len(reply.answers)} shows them"] if hidden > 0 else []
    lines += [f"{model.name}: {model.note}" for model in models if model.note]
    return "\n".join([*lines, *_left_out(reply.left_out)])


def headline(best: WhatIf, lengths: Sequence[int], told: str) -> str:
    """What to run, and how fast that is."""
    where = f"on {best.hardware}, context {', '.join(map(str, lengths))}"
    where += f", {best.sampling.text}" if best.sampling else ""
    where += f"; acceptance: {told}"
    if best.gain <= 1:
        return (f"Run plain decoding: {_speeds(best.plain, best.batch)}; the best draft, {_called(best)}, gives "
                f"{best.gain:.2f} of that {where}")  # fmt: skip
    speeds = _speeds(best.tokens_per_second, best.batch)
    return f"Run {_called(best)}: {speeds}, {best.gain:.2f} x plain decoding, {where}"


def _called(answer: WhatIf) -> str:
    name = "the measured rule" if answer.verifier == AS_MEASURED else answer.verifier
    return f"{name} on {answer.policy}"


def _speeds(each: float, batch: int) -> str:
    """Tokens per second of one request, and of all."""
    return f"{each:.0f} tokens/s" + (f" for each of {batch} requests, {batch * each:.0f} in all" if batch > 1 else "")


def _besides(here: Sequence[WhatIf]) -> Iterator[str]:
    """The best published verifier and the best chain, where the best of all is neither; and how many are as good."""
    best = here[0]
    published = next((one for one in here if _is_published(one.verifier)), None)
    if published and not _is_published(best.verifier):
        yield f"  of {best.verifier} no publication is known; of published rules: {_short(published)}"
    chain = next((one for one in here if isinstance(one.expected.policy, Chain)), None)
    if chain and chain is not best:
        yield f"  of chains, which every engine drafts: {_short(chain)}"
    if close := sum(one.tokens_per_second > _low(best) for one in here[1:]):
        yield f"  as far as the trees tell, {close} more may be as fast: they lie in its interval"


def _low(answer: WhatIf) -> float:
    """The lower end of the interval of its tokens per second."""
    known = len(answer.expected.schedules) > 1
    return answer.result.confidence_interval()[0] if known else answer.tokens_per_second


def _is_published(name: str) -> bool:
    return name not in VERIFIERS or VERIFIERS[name].source != NEW


def _short(answer: WhatIf) -> str:
    return f"{_called(answer)}, {answer.tokens_per_second:.0f} tokens/s, {answer.gain:.2f} x plain decoding"


def paying_text(paying: Paying, lengths: Sequence[int], batch: int) -> str:
    """Up to which batch speculation pays, and what it gains on the way."""
    fit = f"{paying.fitting} requests of {max(lengths)} tokens" + (" fit" if paying.fitting != 1 else " fits")
    if not paying.last:
        said = f"it pays at no batch ({fit})"
    elif paying.last >= paying.fitting:
        said = f"it pays at every batch that fits ({fit})"
    else:
        said = f"it stops paying above {paying.last} requests ({fit})"
    gains = ", ".join(f"{size}: {gain:.2f}" for size, gain in paying.gains.items())
    return f"  {said}; gain by requests: {gains}"


def _table(reply: Reply, told: str, how: str, top: int, price: float | None) -> str:
    """The best answers, one a row."""
    shown = reply.answers[:top]
    columns = ["verifier", "policy", "T", "nodes", "E[tau+1]", "step ms", *SHORT.values(), "tokens/s", "+-", "in all",
               "x plain"]  # fmt: skip
    columns += ["$/M tokens"] if price is not None else []
    count = f" of {reply.considered} verifiers with trees" if reply.considered else ""
    caption = f"The best {len(shown)}{count}; acceptance: {told}; {how}"
    rows = tuple(_cells(answer, price) for answer in shown)
    several = len({answer.hardware for answer in reply.answers}) > 1
    if several:
        columns = ["hardware", *columns]
        rows = tuple((one.hardware, *row) for one, row in zip(shown, rows, strict=True))
    return Table(caption, tuple(columns), rows, names=2 + several).text()


def _cells(answer: WhatIf, price: float | None) -> tuple[str, ...]:
    result, time = answer.result, answer.result.time
    known = len(answer.expected.schedules) > 1
    low, high = result.confidence_interval() if known else (0.0, 0.0)
    nodes = sum(schedule.nodes for schedule in answer.expected.schedules) / len(answer.expected.schedules)
    cells = (
        "as measured" if answer.verifier == AS_MEASURED else answer.verifier, answer.policy,
        f"{answer.sampling.temperature:g}" if answer.sampling else "-", f"{nodes:.1f}",
        f"{float(result.block_efficiency):.3f}", f"{1e3 * float(time.total):.2f}",
        *(f"{1e3 * float(part):.2f}" for part in time.terms.values()),
        f"{answer.tokens_per_second:.1f}", f"{(high - low) / 2:.1f}" if known else "-", f"{answer.in_all:.0f}",
        f"{answer.gain:.2f}",
    )  # fmt: skip
    return cells if price is None else (*cells, f"{answer.price(price):.3f}")


def _left_out(reasons: Sequence[str]) -> Iterator[str]:
    """The first reasons, and how many more there are."""
    yield from (f"Left out: {reason}" for reason in reasons[:REASONS])
    if len(reasons) > REASONS:
        yield f"Left out: {len(reasons) - REASONS} more (--json lists them)"
