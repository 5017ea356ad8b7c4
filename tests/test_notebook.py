"""The notebook of the documentation: run from end to end, its outputs are today's."""

from __future__ import annotations

import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from sheets import SheetReader
from tutorial import timeless

from veridraft.simulate.auditing.explaining import explanation

NOTEBOOK = Path(__file__).parent.parent / "docs" / "notebook.ipynb"
COMMITTED = json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def notebooks():
    """The script that runs notebooks."""
    spec = spec_from_file_location("notebooks", NOTEBOOK.with_name("notebooks.py"))
    spec.loader.exec_module(module := module_from_spec(spec))
    return module


def said(notebook):
    """What every cell shows, apart from times and from a picture's pixels."""
    for cell in notebook["cells"]:
        shown = [output.get("data", {"text": output.get("text")}) for output in cell.get("outputs", [])]
        texts = [{kind: kind == "image/png" or timeless("".join(text)) for kind, text in one.items()} for one in shown]
        yield "".join(cell["source"]), texts


def test_it_runs_and_shows_what_is_committed(monkeypatch):
    for module in ("matplotlib", "pandas"):
        pytest.importorskip(module, reason="the notebook plots and makes a frame")
    import matplotlib

    monkeypatch.setattr(matplotlib, "rcParams", matplotlib.rcParams.copy())
    matplotlib.use("agg")
    monkeypatch.setattr(explanation, "SECONDS", 600.0)  # however busy the machine is, the mechanism is looked for
    today = notebooks().executed(COMMITTED)
    assert list(said(today)) == list(said(COMMITTED)), "run it anew: python docs/notebooks.py docs/notebook.ipynb"


def outputs(kind):
    cells = [cell for cell in COMMITTED["cells"] if cell["cell_type"] == "code"]
    return ["".join(one["data"][kind]) for cell in cells for one in cell["outputs"] if kind in one.get("data", {})]


def test_its_results_are_sheets_and_pictures():
    sheets = [SheetReader(html) for html in outputs("text/html") if 'class="veridraft"' in html]
    titles = " / ".join(f"{one.sign}{one.title}" for one in sheets)
    for part in ("✗LOSSY", "✓NO DEFECT FOUND", "✓Lossless: specinfer", "✗Lossy: specinfer", "Where the verifier stops"):
        assert part in titles
    assert any(one.circles for one in sheets) and len(outputs("image/png")) >= 2


def test_a_cell_shows_what_jupyter_would():
    run = notebooks().outputs
    names = {}
    assert run("x = 3\nprint(x)", names, 1) == [{"output_type": "stream", "name": "stdout", "text": ["3\n"]}]
    assert run("x + 1", names, 2)[0]["data"] == {"text/plain": ["4"]}
    assert run("x;", names, 3) == [] == run("None", names, 4)
    assert run("!echo '<b>'", names, 5)[0]["text"] == ["<b>\n"]
    with pytest.raises(ZeroDivisionError):
        run("x / 0", names, 6)


def test_it_is_a_page_of_the_documentation():
    text = notebooks().as_markdown(COMMITTED)
    assert text.startswith("# Five minutes with veridraft\n")
    code = re.findall(r"^```(?:python|console)\n(.*?)\n```$", text, flags=re.MULTILINE | re.DOTALL)
    assert code == ["".join(cell["source"]) for cell in COMMITTED["cells"] if cell["cell_type"] == "code"]
