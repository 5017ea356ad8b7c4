"""The documentation: examples run, commands exist with their options, pages are reached, pictures and formulas made."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from tutorial import TUTORIAL, blocks

from veridraft.reports.cli import COMMANDS, main
from veridraft.theory.rows.pictures import tree_svg

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
EXAMPLES = [page for page in PAGES if ">>>" in page.read_text()]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:\$ )?veridraft ((?:[\w-]+)(?:\\\n|.)*?)(?:\s+#.*)?$", flags=re.MULTILINE)


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.stem)
def test_examples_print_what_they_say(page):
    found = doctest.testfile(str(page), module_relative=False)
    assert found.attempted > 0 and found.failed == 0


def test_every_page_is_in_the_contents_and_every_link_leads_somewhere():
    contents = (ROOT / "mkdocs.yml").read_text()
    for page in PAGES:
        assert f": {page.relative_to(DOCS)}" in contents
        for link in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), (page, link)


def commands():
    """Every command of the fenced blocks, in words."""
    for page in PAGES:
        for kind, block in FENCED.findall(page.read_text()):
            if kind in ("", "console"):
                found = (one[1].replace("\\\n", " ") for one in COMMAND.finditer(block))
                yield from (shlex.split(one, comments=True) for one in found)


def test_every_command_exists_with_the_options_that_it_is_given(capsys):
    wanted: dict[tuple[str, ...], set[str]] = {}
    for words in commands():
        parts = 2 if words[0] in ("study", "selector") else 1
        length = 3 if words[:2] in (["study", "run"], ["study", "show"]) else parts
        options = {word.split("=")[0] for word in words if word.startswith("--")}
        called = (*words[:length], *({"--head"} & options))  # of distil: a job with options of its own
        wanted.setdefault(called, set()).update(options)
    assert len(wanted) > 10 and {words[0] for words in wanted} <= set(COMMANDS)
    for words, options in wanted.items():
        with pytest.raises(SystemExit) as stop:
            main([*words, "--help"])
        told = capsys.readouterr().out
        assert stop.value.code == 0 and all(re.search(rf"{option}\b", told) for option in options), (words, options)


def script(name):
    """A script of the documentation as a module."""
    spec = spec_from_file_location(name, DOCS / f"{name}.py")
    spec.loader.exec_module(module := module_from_spec(spec))
    return module


def test_a_tree_is_drawn_with_its_words_multiplicities_and_places():
    drawing = script("drawing")
    tree = drawing.example()
    svg = tree_svg(tree, ["<the>", "a", "cat", "dog"], {0: "0.5"}, {1: 0.25, 2: 0.0})
    assert svg.count("<line") == tree.size - 1 and svg.count("×2") == 1
    assert svg.count('fill-opacity="0.25"') == 1 and "&lt;the&gt;" in svg and "<the>" not in svg
    assert svg.count("<circle") == tree.size + 1
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', svg)[1])
    assert all(15 <= float(x) <= width - 15 for x in re.findall(r'cx="([\d.]+)"', svg))
    shares = [float(share) for share in re.findall(r">(0\.\d\d)<", drawing.step_picture("specinfer"))]
    assert sum(shares) == pytest.approx(1, abs=0.005 * tree.size)


def test_published_headlines_are_held_against_todays_runs():
    """The table is made of the runs' cells; here its synthetic numbers are sought in the texts that studies wrote."""
    page = (DOCS / "claims.md").read_text()
    assert script("claiming").updated(page) == page, "run: make tables"
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ") and "arxiv.org" in line]
    texts = {name: next((ROOT / "reports" / "runs" / name).glob("*.txt")).read_text()
             for name in ("actions", "tree-rules", "shapes")}  # fmt: skip
    study = {"2605.04543": "tree-rules", "2505.12398": "tree-rules", "2410.11744": "shapes"}
    found = [(study[key], cell) for _, source, cell, _ in rows for key in study if key in source]
    assert len(found) == 7
    for name, cell in found:
        number, verdict = cell.split(" %: ")
        assert number in texts[name] and verdict in texts[name]
    gains = re.findall(r"(?:specinfer |action |root, )([+-][\d.]+) ±", rows[1][2] + rows[2][2])
    assert len(gains) == 3
    for gain in gains:
        assert f"times {1 + float(gain) / 100:.3f} (" in texts["actions"]


def test_pictures_are_todays(tmp_path):
    subprocess.run([sys.executable, DOCS / "drawing.py", tmp_path], check=True)
    drawn = {path.name: path.read_text() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text() for path in (DOCS / "pictures").iterdir()}
    assert drawn == committed, "draw them anew: python docs/drawing.py docs/pictures"


def test_formulas_are_made_outside_code_alone(monkeypatch):
    pytest.importorskip("latex2mathml")
    monkeypatch.syspath_prepend(DOCS)
    building = script("building")
    text = building.on_page_markdown("at $p$ and `$q$`\n\n```\n$r$\n```\n", None, None, None)
    assert text.count("<math") == 1 and "`$q$`" in text and "$r$" in text
    page = building.on_page_markdown((DOCS / "notebook.md").read_text(), None, None, None)
    assert "LOSSY: verify, form chain" in page and "data:image/png;base64," in page and "ipynb -->" not in page


def test_the_workflow_for_others_fails_for_a_lossy_engine_and_passes_for_a_lossless_one(tmp_path):
    yaml = pytest.importorskip("yaml")
    steps = yaml.safe_load((DOCS / "ci" / "lossless.yml").read_text())["jobs"]["audit"]["steps"]
    push, nightly = (step["run"] for step in steps if "pytest test" in step.get("run", ""))
    (tmp_path / "test_lossless.py").write_text((DOCS / "ci" / "test_lossless.py").read_text())
    engines = [block.text for block in blocks(TUTORIAL.read_text()) if block.name == "engine.py"]
    for engine, command, status in ((engines[0], push, 1), (engines[1], nightly.replace("200000", "300"), 0)):
        (tmp_path / "engine.py").write_text(engine)
        own = os.environ | {"GITHUB_RUN_NUMBER": "7", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        run = subprocess.run(command, shell=True, cwd=tmp_path, env=own, capture_output=True, text=True, timeout=300)
        assert run.returncode == status, run.stdout + run.stderr
        report = (tmp_path / "lossless.xml").read_text()
        assert ("LOSSY" in report) is bool(status) and f'failures="{status}"' in report
