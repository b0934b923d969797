"""`skcount info` and `skcount export`: describe a model, and convert it to ONNX."""

import json
from pathlib import Path

import click

from skcount.cli._inputs import is_ready, json_option, open_model
from skcount.cli._outputs import report


@click.command(
    epilog="""\b
Examples:
  skcount info model.skcount
  skcount info nuclei
  skcount info model.skcount --json"""
)
@click.argument("model")
@json_option
def info(model, as_json):
    """Describe a model: its parameters, its training, and the versions that wrote it; and its card, if it has one."""
    from safetensors import safe_open

    from skcount.regressors import pretrained_file

    regressor, card = open_model(model), None  # first, because it checks the file
    file = pretrained_file(model) if is_ready(model) else Path(model)
    if is_ready(model):
        card = file.with_suffix(".md").read_text(encoding="utf-8").rstrip()
    with safe_open(file, framework="numpy") as file:
        versions = json.loads(file.metadata()["skcount"])["versions"]
    params = regressor.get_params(deep=False)
    result = {
        "file": model,
        "class": type(regressor).__name__,
        "params": {
            k: v if isinstance(v, bool | int | float | str | None) else repr(v) for k, v in params.items()
        },
        "diameter": regressor.diameter_,
        "reduction": regressor.reduction_,
        "sigma": regressor.density_.sigma,
        "n_channels": regressor.n_channels_in_,
        "n_weights": sum(weights.numel() for weights in regressor.module_.parameters()),
        "n_epochs": regressor.n_iter_,
        "last_epoch": regressor.history_[-1],
        "trained_on": getattr(regressor, "trained_on_", None),
        "held_out": getattr(regressor, "held_out_", None),
        "versions": versions,
        "card": card,
    }
    diameter = "not known" if result["diameter"] is None else f"{result['diameter']:.3g} pixels"
    if result["reduction"] is None:
        diameter = f"estimated for each image, and brought to {diameter}"
    text = [
        " ".join(repr(regressor).split()),
        *(f"  {line}" for line in regressor._describe_quality()),
        f"  diameter of an object: {diameter}",
        f"  sees images reduced by: {'chosen for each image' if result['reduction'] is None else result['reduction']}",
        f"  sigma: {result['sigma']:.3g} pixels",
        f"  channels: {result['n_channels']}",
        f"  weights: {result['n_weights']:,}",
        f"  epochs: {result['n_epochs']}",
        f"  last epoch: {', '.join(f'{name} {value:.4g}' for name, value in result['last_epoch'].items())}",
        f"  written by: {', '.join(f'{name} {version}' for name, version in versions.items())}",
    ]
    if card:
        text = [card, "", *text]
    report(as_json, result, "\n".join(text))


@click.command(
    epilog="""\b
Examples:
  skcount export model.skcount model.onnx
  skcount export model.skcount model.onnx --json"""
)
@click.argument("model")
@click.argument("out", metavar="ONNX")
@json_option
def export(model, out, as_json):
    """Write a model as an ONNX file, and check that it counts the same. Needs skcount[onnx]."""
    from skcount import load

    load(model).export_onnx(out)
    report(as_json, {"model": model, "onnx": out}, f"ONNX: {out}")
