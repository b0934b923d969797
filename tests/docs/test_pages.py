"""The code that README and the pages of the documentation show runs, from top to bottom of a page.

A page is read like this:

- ```` ```python ```` is run, and so is what stands in ``<!-- set-up`` ... ``-->``, which readers do not see;
- ```` ```console ```` holds commands, ``$ skcount ...``, which are run; what is printed must be what the page shows,
  but for the numbers;
- code after ``<!-- not run: REASON -->`` must only be Python;
- anything else is in a language that nobody takes for code that was run (`OTHERS`).
"""

import re
import shlex
import textwrap
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import pytest

from skcount.cli._commands import commands
from skcount.training._net import CountingNet

ROOT = Path(__file__).parents[2]
MADE = {"_build", "api", "auto_examples"}  # by `make docs`
PAGES = sorted(ROOT.glob("*.md")) + sorted(
    path for path in (ROOT / "docs").rglob("*.md") if not MADE & {*path.relative_to(ROOT / "docs").parts}
)
OTHERS = {"", "bibtex", "csv", "json", "sh", "text", "toml", "yaml"}
LEARNS = {"docs/evaluation.md", "docs/tutorial.md"}  # show what takes a training of its full length
BLOCK = re.compile(
    r"^<!-- set-up\n(?P<hidden>.*?)^-->"
    r"|(?:^[ ]*<!-- not run: (?P<reason>[^\n]+) -->\n\s*?)?"
    r"^[ ]*(?P<fence>`{3,}|~{3,}|:{3,})(?P<language>[^\n`]*)\n(?P<code>.*?)^[ ]*(?P=fence)[ \t]*$",
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    language: str
    code: str
    line: int
    runs: bool = True


def blocks_of(text, line=1):
    """Blocks of a page and, of MyST's directives, those in them."""
    for match in BLOCK.finditer(text):
        hidden = match["hidden"] is not None
        language = "python" if hidden else match["language"].strip()
        code = match["hidden" if hidden else "code"]
        start = line + text[: match.start("hidden" if hidden else "code")].count("\n")
        if language.startswith("{") and not language.startswith("{code"):
            yield from blocks_of(code, start)
        else:
            yield Block(language, textwrap.dedent(code), start, match["reason"] is None)


def run_python(block, page, names):
    code = "\n" * (block.line - 1) + block.code  # errors name the line of the page
    exec(compile(code, page, "exec"), names)  # noqa: S102 - the page's own code


def run_console(block, page, capsys):
    code = block.code.replace("\\\n", " ")
    for command, shown in re.findall(r"^\$ ([^\n]*)\n((?:(?!\$ )[^\n]*\n)*)", code, re.MULTILINE):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            commands.main(shlex.split(command)[1:], prog_name="skcount")
        printed, errors = capsys.readouterr()
        assert stop.value.code == 0, f"{page}: {command}: {errors}"
        if shown.strip():
            assert without_numbers(printed) == without_numbers(shown), f"{page}: {command}"


def without_numbers(text):
    return re.sub(r"[+-]?\d+(\.\d+)?", "#", " ".join(text.split()))


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def pages_that_run():
    for page in PAGES:
        name, blocks = name_of(page), blocks_of(page.read_text())
        if any(block.language in {"python", "console"} and block.runs for block in blocks):
            if name not in LEARNS:
                yield pytest.param(name, 2, id=f"{name}-brief")
            yield pytest.param(name, 10**6, id=f"{name}-whole", marks=pytest.mark.slow)


@pytest.mark.parametrize(("page", "n_epochs"), list(pages_that_run()))
@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")  # plt.show() without a window
@pytest.mark.filterwarnings("ignore:.*counted no better")  # a brief training
def test_the_code_of_a_page_runs(page, n_epochs, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    # Where a page does not say how long to train, an epoch will do; on every run, no page trains for long.
    monkeypatch.setattr("skcount.regressors._fitting.AUTO_STEPS", 1)
    loop = CountingNet.fit_loop

    def brief(net, X, y=None, epochs=None, **given):
        return loop(net, X, y, min(epochs or net.max_epochs, n_epochs), **given)

    monkeypatch.setattr(CountingNet, "fit_loop", brief)
    names = {"__name__": page}
    for block in blocks_of((ROOT / page).read_text()):
        if block.runs and block.language == "python":
            run_python(block, page, names)
        elif block.runs and block.language == "console":
            run_console(block, page, capsys)
    plt.close("all")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_that_is_not_run_is_marked(page):
    text = page.read_text()
    found = list(blocks_of(text))
    for block in found:
        where = f"{name_of(page)}, line {block.line}"
        assert block.language in {"python", "console", *OTHERS}, f"{where}: write ```python"
        if block.language == "python":
            compile(block.code, where, "exec")
        if block.language == "console":
            commands = re.findall(r"^\$ .*", block.code, re.MULTILINE)
            assert commands, f"{where}: a command starts with $, and text is ```text"
            others = [command for command in commands if not command.startswith("$ skcount ")]
            assert not others, f"{where}: write ```sh, it is not run"
        assert not (block.language in OTHERS and ">>> " in block.code), f"{where}: write ```python"
    # Every mark was understood.
    assert len(re.findall(r"^ *<!-- *not run", text, re.MULTILINE)) == sum(not block.runs for block in found)
    set_up = [re.findall(mark, text, re.MULTILINE) for mark in (r"^ *<!-- *set-up", r"^<!-- set-up\n")]
    assert len(set_up[0]) == len(set_up[1])


def test_pages_that_are_no_markdown_show_no_code():
    for page in (ROOT / "docs" / "api.rst", ROOT / "examples" / "README.rst"):
        found = re.search(r"code-block|code::|>>> |^[^.\s].*::$", page.read_text(), re.MULTILINE)
        assert not found, name_of(page)


def test_blocks_are_found_wherever_they_stand():
    page = textwrap.dedent(
        """
        <!-- set-up
        a = 1

        b = 2
        -->

        <!-- not run: no network -->
        ```python
        c = 3
        ```

        - In a list:

          ```python
          d = 4
          ```

        ````{tab-set}
        ```python
        e = 5
        ```
        ````

        :::{note}
        ```console
        $ skcount --help
        ```
        :::

        ~~~text
        f
        ~~~
        """
    )
    found = list(blocks_of(page))
    assert [block.code.split() for block in found] == [
        ["a", "=", "1", "b", "=", "2"],
        ["c", "=", "3"],
        ["d", "=", "4"],
        ["e", "=", "5"],
        ["$", "skcount", "--help"],
        ["f"],
    ]
    assert [block.runs for block in found] == [True, False, True, True, True, True]
    assert [page.splitlines()[block.line - 1].split()[0] for block in found] == ["a", "c", "d", "e", "$", "f"]
