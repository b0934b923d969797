"""The command line `skcount`: each command is a few calls of the public API.

`--help` must be fast: torch and other slow imports belong inside the commands that need them.
"""

import sys

from skcount._optional import import_optional

__all__ = ["main"]


def main():
    """Run the command in ``sys.argv`` and exit."""
    try:
        import_optional("click", "The command line", "cli")
    except ImportError as error:
        sys.exit(f"Error: {error}")
    from skcount.cli._commands import commands

    # click would expand patterns on Windows, but load_folder expects the pattern itself.
    commands(prog_name="skcount", windows_expand_args=False)
