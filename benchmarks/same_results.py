"""Train the same models from two source trees, and compare weights and counts bit for bit.

``python benchmarks/same_results.py OLD_TREE`` runs eight configurations from a checkout in the folder OLD_TREE and then from
this tree, with one thread, and prints which results differ. Parameters that have other names in the old tree are translated.
OLD_TREE may also be a file that ``--run FILE`` wrote on the same machine.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

TREE = Path(__file__).resolve().parent.parent


def configurations(folder):  # noqa: C901 - a list of functions
    """Yield names, and functions that return a fitted regressor and images to count in."""
    import skcount
    from skcount import DensityMapRegressor, DensityMapTransformer, FCRNRegressor, UNetRegressor
    from skcount.datasets import make_cells

    try:
        from skcount.io import load_hdf5, save_hdf5
    except ImportError:
        from skcount.datasets import load_hdf5, save_hdf5
    try:
        from skcount import ImageSet
    except ImportError:
        from skcount.datasets import ImageSet

    is_new = "precision" in UNetRegressor().get_params()
    known = set(DensityMapRegressor().get_params()) | set(UNetRegressor().get_params())

    old_recipe = {"sigma": 2, "diameter": 12, "augment": "rotations"}
    old_unet = {"filters": 4, "depth": 3, "stem": 1}

    def params(**given):
        """Return the parameters of the former recipe, translated for an older tree."""
        given = {**{name: value for name, value in old_recipe.items() if name in known}, **given}
        if is_new:
            return given
        if given.get("augment", "mirror") != "mirror":
            given["augment"] = given["augment"] == "rotations"
        if not isinstance(given.get("early_stopping", True), bool):
            given["n_iter_no_change"], given["early_stopping"] = given["early_stopping"], True
        if given.pop("precision", "float32") == "float64":
            given["dtype"] = "float64"
        return {**given, "mixed_precision": False} if "mixed_precision" in known else given

    X, points = make_cells(8, image_shape=(72, 64), random_state=0, return_X_y=True)
    X_small, points_small = make_cells(5, image_shape=(48, 40), random_state=1, return_X_y=True)
    roi = np.hypot(*np.mgrid[-36:36, -32:32]) < 30
    perspective = np.linspace(0.5, 2, 72)[:, None] * np.ones(64)
    maps = DensityMapTransformer(sigma=2, image_shape=(72, 64)).fit_transform(points)
    common = {"random_state": 0, "max_epochs": 4, "batch_size": 4}

    def unet(**given):
        """Return a U-Net regressor of the former shape."""
        shape = {name: value for name, value in old_unet.items() if name in known}
        return UNetRegressor(**shape, **params(**given))

    def points_of_cells():
        model = unet(**common, patch_size=40)
        return model.fit(X, points), X

    def counts_alone():
        model = FCRNRegressor("a", **params(**common, augment="mirror"))
        return model.fit(X, points.counts), X

    def maps_and_sizes():
        shape = {"filters": 16, "depth": 3, "stem": 1} if "stem" in known else None
        model = DensityMapRegressor(
            "unet", architecture_params=shape, **params(**common, loss="mse", augment=None)
        )
        return model.fit(X, maps), [*X, *X_small]

    def region_and_perspective():
        model = DensityMapRegressor("fcrn_b", **params(**common, loss="bayesian", patch_size=48))
        return model.fit(X, points, roi=roi, perspective=perspective), ImageSet(X, roi=roi)

    def groups_and_early_stopping():
        model = unet(**{**common, "max_epochs": 8}, early_stopping=2, validation_fraction=0.3)
        weights = [1, 2, 1, 0, 1, 1, 3, 1]
        images = ImageSet(X, groups=[0, 0, 1, 1, 2, 2, 3, 3])
        return model.fit(images, points, sample_weight=weights), X

    def hdf5_and_tiles():
        path = Path(folder) / "cells.h5"
        rois = [*([np.tile(roi, (1, 2))] * 8), *([np.ones((48, 40), bool)] * 5)]
        wide = ImageSet([*np.concatenate([X, X], axis=2), *X_small], roi=rois)
        save_hdf5(path, wide, points + points_small)
        images, annotations = load_hdf5(path, return_X_y=True)
        model = DensityMapRegressor("fcrn_a", **params(**common, tile_size=112, loss="huber"))
        return model.fit(images, annotations), images

    def several_fits():
        model = unet(**common, warm_start=True)
        model.fit(X, points).fit(X, points)
        return model.partial_fit(X, points).partial_fit(X_small, points_small), X

    def table_in_double_precision():
        rng = np.random.default_rng(0)
        table = rng.random((12, 5))
        model = unet(**common, precision="float64")
        return model.fit(table, np.arange(12.0)), table

    print(f"{skcount.__file__}", file=sys.stderr)
    for function in (
        points_of_cells,
        counts_alone,
        maps_and_sizes,
        region_and_perspective,
        groups_and_early_stopping,
        hdf5_and_tiles,
        several_fits,
        table_in_double_precision,
    ):
        yield function.__name__, function


def run(out):
    """Fit every configuration and write its weights, counts and losses to a file."""
    import warnings

    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, function in configurations(folder):
            model, X = function()
            for key, value in model.module_.state_dict().items():
                results[f"{name}/weights/{key}"] = value.numpy(force=True)
            results[f"{name}/counts"] = model.predict(X)
            results[f"{name}/density"] = np.concatenate([m.ravel() for m in model.predict_density(X)])
            results[f"{name}/losses"] = np.array([row["train_loss"] for row in model.history_])
    np.savez(out, **results)


def compare(old, new):
    """Print what differs in each configuration, and return the number of those that differ."""
    n_different = 0
    for name in sorted({key.split("/")[0] for key in old}):
        keys = [key for key in {**old, **new} if key.startswith(f"{name}/")]
        bad = [
            k
            for k in keys
            if k not in old or k not in new or not np.array_equal(old[k], new[k], equal_nan=True)
        ]
        n_different += bool(bad)
        counts = f"counts {old[name + '/counts'][:3].round(4).tolist()}..."
        print(f"{'DIFFERS' if bad else 'same   '} {name}: {len(keys)} arrays, {counts} {bad[:3] or ''}")
    return n_different


def main():
    """Run both trees, each in a process of its own, and compare their results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old_tree", type=Path, nargs="?", help="a checkout, or a file that --run wrote")
    parser.add_argument(
        "--run", type=Path, metavar="FILE", help="only run this tree, and write its results to FILE"
    )
    args = parser.parse_args()
    if args.old_tree is None and not args.run:
        parser.error("OLD_TREE is required without --run.")
    if args.run:
        run(args.run)
        return
    with tempfile.TemporaryDirectory() as folder:
        results = []
        for tree in (args.old_tree, TREE):
            if tree.is_file():
                results.append(dict(np.load(tree)))
                continue
            out = Path(folder) / f"{len(results)}.npz"
            env = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
            command = [sys.executable, "-P", __file__, "--run", str(out)]
            subprocess.run(command, env=env, check=True, cwd=tree)
            results.append(dict(np.load(out)))
        sys.exit(compare(*results))


if __name__ == "__main__":
    main()
