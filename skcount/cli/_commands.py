"""All commands, and what they share: errors and warnings in one line, and what the exit code says."""

import re
import sys
import warnings
from contextlib import contextmanager

import click

import skcount
from skcount.cli._data import data
from skcount.cli._evaluate import evaluate
from skcount.cli._export import export
from skcount.cli._fit import fit
from skcount.cli._info import info
from skcount.cli._predict import predict

INTERRUPTED = 130
# What the public API raises where data, files or the machine are to blame. Anything else is a mistake of skcount's,
# whose traceback is worth a report.
EXPECTED = (ValueError, TypeError, OSError, ImportError, FloatingPointError, MemoryError, RuntimeError)


class Commands(click.Group):
    """A group of commands that say in one line what is wrong."""

    def invoke(self, ctx):
        """Run a command.

        Parameters
        ----------
        ctx : click.Context
            What was parsed.

        Returns
        -------
        object
            What the command returns.
        """
        try:
            with warnings_in_one_line():
                return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):  # click's own, and `| head`
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
  skcount fit pictures/ cells.csv --out model.skcount
  skcount predict model.skcount new_pictures/ --csv counts.csv
  skcount fit --help""",
)
@click.version_option(skcount.__version__, message="%(prog)s %(version)s")
def commands():
    """Count objects in images, having been shown some with one dot on each object."""


for command in (fit, predict, evaluate, info, export, data):
    commands.add_command(command)


@contextmanager
def warnings_in_one_line():
    """Print what users are warned of, one line each; what only developers are warned of is left out.

    Yields
    ------
    None
        Until then.
    """
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
    r"""Join the lines of a message, and name the options that stand for Python's arguments.

    Parameters
    ----------
    message : object
        An exception, a warning, or text.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> in_one_line(ValueError("It lies outside;\n  outside='warn' keeps it. out_of_range='ignore' is no option."))
    "It lies outside; --outside warn keeps it. out_of_range='ignore' is no option."
    """
    text = " ".join(str(message).split())
    return re.sub(r"\b(\w+)=(?:'(\w+)'|\.\.\.)", _as_option, text)


def _as_option(argument):
    """An argument as an option, where there is one of its name."""
    name, value = argument.groups()
    if not any(isinstance(param, click.Option) and param.name == name for param in fit.params):
        return argument[0]
    return f"--{name.replace('_', '-')}" + (f" {value}" if value else "")
