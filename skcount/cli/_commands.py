"""The group of all commands: errors and warnings take one line each, and set the exit code."""

import re
import shlex
import sys
import warnings
from contextlib import contextmanager

import click

import skcount
from skcount.cli._annotate import annotate
from skcount.cli._data import data
from skcount.cli._evaluate import evaluate
from skcount.cli._fit import fit
from skcount.cli._look import look
from skcount.cli._model import export, info
from skcount.cli._outputs import printable
from skcount.cli._predict import predict
from skcount.cli._report import evidence
from skcount.cli._total import total

INTERRUPTED = 130
# name='text', name=['text'], name={'field': 'value'}, name=1, or name=...
_ARGUMENT = re.compile(r"\b(\w+)=(?:\[?'([^']*)'\]?|\{'([^']*)': '([^']*)'\}|(\d+)\b|True\b|\.\.\.)")
# The public API raises these if the data, a file or the machine is the cause. Any other exception is a bug in skcount, whose
# traceback helps to report it.
EXPECTED = (ValueError, TypeError, OSError, ImportError, FloatingPointError, MemoryError, RuntimeError)


class Commands(click.Group):
    """Group of commands that print an error as one line."""

    def invoke(self, ctx):
        """Run a command."""
        try:
            with warnings_in_one_line():
                return super().invoke(ctx)
        except (
            click.exceptions.Exit,
            click.Abort,
            BrokenPipeError,
        ):  # click handles these; the last one comes from `| head`
            raise
        except EXPECTED as error:
            raise click.ClickException(in_one_line(error) or type(error).__name__) from error
        except KeyboardInterrupt:
            click.echo("\nInterrupted.", err=True)
            ctx.exit(INTERRUPTED)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "show_default": True},
    epilog="""\b
Examples:
  skcount look pictures/ cells.csv --out check/
  skcount fit pictures/ cells.csv --out model.skcount
  skcount predict model.skcount new_pictures/ --csv counts.csv
  skcount fit --help""",
)
@click.version_option(skcount.__version__, message="%(prog)s %(version)s")
def commands():
    """Count objects in images, after training on images with one dot per object."""


for command in (look, annotate, fit, predict, evaluate, evidence, total, info, export, data):
    commands.add_command(command)


@contextmanager
def warnings_in_one_line():
    """Print warnings for users as one line each, and no warnings for developers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = _show
        yield


def _show(message, category, filename, lineno, file=None, line=None):  # noqa: ARG001 - Python's signature
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stderr):  # above a progress bar, not into it
        click.echo(f"Warning: {in_one_line(message)}", err=True)


def in_one_line(message):
    """Join the lines of a message, and write Python arguments in it as options."""
    text = " ".join(str(message).split())
    text = re.sub(r"\bsample\.extend\((\d+)\)", r"--extend \1", text)
    text = re.sub(r"\bsample_images\(predicted, (\d+)\)", r"--sample \1", text)
    return printable(_ARGUMENT.sub(_as_option, text))


def _as_option(match):
    """Return ``outside='warn'`` as ``--outside warn``, if there is such an option."""
    name, text, field, value, number = match.groups()
    if not any(isinstance(param, click.Option) and param.name == name for param in fit.params):
        return match[0]
    words = [text, field, value, number]
    return " ".join(
        [f"--{name.replace('_', '-')}", *(shlex.quote(word) for word in words if word is not None)]
    )
