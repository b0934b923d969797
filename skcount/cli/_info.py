"""`skcount info`: what the file of a model holds."""

import json

import click

from skcount.cli._inputs import json_option
from skcount.cli._outputs import report

EPILOG = """\b
Examples:
  skcount info model.skcount
  skcount info model.skcount --json"""


@click.command(epilog=EPILOG)
@click.argument("model")
@json_option
def info(model, as_json):
    """Say what a model is, how it was trained, and what wrote it."""
    from safetensors import safe_open

    from skcount import load

    regressor = load(model)  # whose checks come first
    with safe_open(model, framework="numpy") as file:
        versions = json.loads(file.metadata()["skcount"])["versions"]
    result = {
        "file": model,
        "class": type(regressor).__name__,
        "params": regressor.get_params(deep=False),
        "sigma": regressor.density_.sigma,
        "n_channels": regressor.n_channels_in_,
        "n_weights": sum(weights.numel() for weights in regressor.module_.parameters()),
        "n_epochs": regressor.n_iter_,
        "last_epoch": regressor.history_[-1],
        "versions": versions,
    }
    # Of what is no plain value, such as a transformer, the words that make it.
    result["params"] = {k: v if _is_plain(v) else repr(v) for k, v in result["params"].items()}
    last = ", ".join(f"{name} {value:.4g}" for name, value in result["last_epoch"].items())
    text = [
        " ".join(repr(regressor).split()),
        f"  sigma: {result['sigma']:g} pixels",
        f"  channels: {result['n_channels']}",
        f"  weights: {result['n_weights']:,}",
        f"  epochs: {result['n_epochs']}",
        f"  last epoch: {last}",
        f"  written by: {', '.join(f'{name} {version}' for name, version in versions.items())}",
    ]
    report(as_json, result, "\n".join(text))


def _is_plain(value):
    return value is None or isinstance(value, bool | int | float | str)
