"""The command line `skcount`: each command is a few calls of the public API, and nothing below knows of it.

Help comes at once: torch, and whatever else takes seconds, is imported by the command that needs it.
"""

import sys

from skcount._optional import import_optional

__all__ = ["main"]


def main():
    """Run the command that stands in ``sys.argv``, and exit."""
    try:
        import_optional("click", "The command line", "cli")
    except ImportError as error:
        sys.exit(f"Error: {error}")
    from skcount.cli._commands import commands

    # Patterns of names are for load_folder, on Windows too.
    commands(prog_name="skcount", windows_expand_args=False)
