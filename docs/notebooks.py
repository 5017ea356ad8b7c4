"""A notebook's cells run in order, and their outputs written anew: ``python docs/notebooks.py docs/notebook.ipynb``.

What Jupyter would show, for what the notebook needs: printed text, the last expression unless a semicolon ends a cell,
matplotlib's open figures, and a cell that is one shell command behind an exclamation mark.  Without a kernel, so that a
test can do it.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

Output = dict[str, Any]


def executed(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with the outputs of today; what a cell raises is raised."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, count = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            cell = cell | {"execution_count": count, "outputs": outputs("".join(cell["source"]), names, count)}
        cells.append(cell)
    return notebook | {"cells": cells}


def outputs(source: str, names: dict[str, Any], count: int) -> list[Output]:
    """What a cell shows when it is run among these names."""
    if source.startswith("!"):
        return printed(shell(source[1:]))
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    with redirect_stdout(io.StringIO()) as said:
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None
    found = printed(said.getvalue())
    if value is not None and not source.rstrip().endswith(";"):
        shown = {"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": bundle(value)}
        found.append(shown)
    return found + [drawn(png) for png in pictures()]


def shell(command: str) -> str:
    """What a command prints, the one of this Python's environment first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "COLUMNS": "100"}
    return subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=True).stdout


def printed(text: str) -> list[Output]:
    """Text on the standard stream, if there is any."""
    return [{"output_type": "stream", "name": "stdout", "text": text.splitlines(True)}] if text else []


def bundle(value: Any) -> dict[str, list[str]]:
    """The value as HTML if it has that, else as it is printed."""
    html = getattr(value, "_repr_html_", lambda: None)()
    return {"text/plain": repr(value).splitlines(True)} if html is None else {"text/html": html.splitlines(True)}


def drawn(png: bytes) -> Output:
    """A picture."""
    data = {"image/png": base64.b64encode(png).decode()}
    return {"output_type": "display_data", "metadata": {}, "data": data}


def pictures() -> list[bytes]:
    """The open figures, which are closed."""
    if "matplotlib.pyplot" not in sys.modules:
        return []
    from matplotlib import pyplot

    found = []
    for number in pyplot.get_fignums():
        buffer = io.BytesIO()
        pyplot.figure(number).savefig(buffer, format="png", dpi=80, metadata={"Software": None})
        pyplot.close(number)
        found.append(buffer.getvalue())
    return found


def as_markdown(notebook: dict[str, Any]) -> str:
    """The notebook as a page: prose, code, and below it what it shows."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        language = "console" if source.startswith("!") else "python"
        parts.append(f"```{language}\n{source}\n```")
        parts += [_shown(one) for one in cell["outputs"]]
    return "\n\n".join(parts) + "\n"


def _shown(output: Output) -> str:
    if output["output_type"] == "stream":
        return "```text\n" + "".join(output["text"]).rstrip("\n") + "\n```"
    data = output["data"]
    if "image/png" in data:
        return f'<p><img alt="What the cell above draws" src="data:image/png;base64,{data["image/png"]}"></p>'
    html = "".join(data.get("text/html", []))
    return html or "```text\n" + "".join(data["text/plain"]) + "\n```"


if __name__ == "__main__":
    os.environ["MPLBACKEND"] = "agg"
    place = Path(sys.argv[1])
    done = executed(json.loads(place.read_text(encoding="utf-8")))
    place.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
