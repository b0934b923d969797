"""`skcount export`: a model for programs that have no Python."""

import click

from skcount.cli._inputs import json_option
from skcount.cli._outputs import report

EPILOG = """\b
Examples:
  skcount export model.skcount model.onnx
  skcount export model.skcount model.onnx --json"""


@click.command(epilog=EPILOG)
@click.argument("model")
@click.argument("out", metavar="ONNX")
@json_option
def export(model, out, as_json):
    """Write a model as an ONNX file, and see that it counts the same. Needs skcount[onnx]."""
    from skcount import load

    load(model).export_onnx(out)
    report(as_json, {"model": model, "onnx": out}, f"ONNX: {out}")
