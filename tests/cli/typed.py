"""Run commands as users type them."""

from click.testing import CliRunner
from PIL import Image

from skcount.cli._commands import commands

SHAPE = (40, 48)
TINY = ["--max-epochs", "1"]


def run(*arguments):
    """Run a command; a traceback fails the test."""
    try:
        runner = CliRunner(mix_stderr=False)  # click 8.1
    except TypeError:
        runner = CliRunner()
    result = runner.invoke(commands, [str(argument) for argument in arguments], prog_name="skcount")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def succeed(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def fail(*arguments):
    """Run a command that fails; return the line of its error."""
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    *others, line = result.stderr.splitlines()
    assert all(other.startswith(("Warning: ", "Left out of ", "Diameter of an object: ")) for other in others)
    assert line.startswith("Error: ")
    return line


def write_pictures(folder, X):
    folder.mkdir()
    for number, image in enumerate(X):
        Image.fromarray(image).save(folder / f"cell{number}.png")


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())
