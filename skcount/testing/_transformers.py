"""The checks of a transformer of points, each named after the check of scikit-learn that it replaces."""

import pickle
from functools import partial

import numpy as np
from joblib import hash as digest
from sklearn.base import clone

from skcount.points import PointAnnotations
from skcount.testing._data import (
    IMAGE_SHAPE,
    NOT_FINITE,
    badly_typed,
    images_and_points,
    memory_mapped,
    refused,
)


def checks():
    """The checks that hold for a transformer of points."""
    return [
        check_estimators_fit_returns_self,
        check_transformer_general,
        partial(check_transformer_general, readonly_memmap=True),
        check_transformers_unfitted_stateless,
        check_transformer_data_not_an_array,
        check_methods_sample_order_invariance,
        check_methods_subset_invariance,
        check_dict_unchanged,
        check_estimators_pickle,
        check_inplace_ensure_writeable,
        check_estimators_nan_inf,
        check_param_validation,
    ]


def check_estimators_fit_returns_self(name, transformer):
    """`fit` returns the transformer."""
    assert transformer.fit(images_and_points()[1]) is transformer, f"{name}.fit does not return self."


def check_transformer_general(name, transformer, readonly_memmap=False):
    """`transform` gives one finite map of the size that was asked for per image, and `fit_transform` the same."""
    _, points = images_and_points()
    with memory_mapped(points) as mapped:
        y = mapped if readonly_memmap else points
        maps = transformer.fit(y).transform(y)
        again = clone(transformer).fit_transform(y)
    assert np.shape(maps) == (len(points), *IMAGE_SHAPE), (
        f"{name}.transform returns the shape {np.shape(maps)}."
    )
    assert np.isfinite(maps).all(), f"{name}.transform returns what is not finite."
    np.testing.assert_array_equal(
        maps, again, err_msg=f"{name}.fit_transform differs from fit and transform."
    )


def check_transformers_unfitted_stateless(name, transformer):
    """What learns nothing need not be fitted."""
    _, points = images_and_points()
    maps, fitted = transformer.transform(points), clone(transformer).fit(points).transform(points)
    np.testing.assert_array_equal(maps, fitted, err_msg=f"{name}.transform differs after fit.")


def check_transformer_data_not_an_array(name, transformer):
    """Points may be nested lists."""
    _, points = images_and_points()
    maps = transformer.transform([p.tolist() for p in points])
    np.testing.assert_array_equal(
        maps, transformer.transform(points), err_msg=f"{name}: lists make other maps."
    )


def check_methods_sample_order_invariance(name, transformer):
    """The order of the images does not matter."""
    _, points = images_and_points()
    order = np.random.default_rng(0).permutation(len(points))
    what = f"{name} makes other maps in another order."
    np.testing.assert_array_equal(
        transformer.transform(points[order]), transformer.transform(points)[order], err_msg=what
    )


def check_methods_subset_invariance(name, transformer):
    """A map is the same whatever is made beside it."""
    _, points = images_and_points()
    alone = np.concatenate([transformer.transform(points[[i]]) for i in range(len(points))])
    what = f"{name} makes another map of an image alone."
    np.testing.assert_array_equal(alone, transformer.transform(points), err_msg=what)


def check_dict_unchanged(name, transformer):
    """`transform` leaves the transformer as it was."""
    before = digest(vars(transformer))
    transformer.transform(images_and_points()[1])
    assert digest(vars(transformer)) == before, f"{name}.transform changes the transformer."


def check_estimators_pickle(name, transformer):
    """Pickled and loaded, it makes the same maps."""
    _, points = images_and_points()
    loaded = pickle.loads(pickle.dumps(transformer))  # noqa: S301 - our own
    what = f"{name} makes other maps after it was pickled."
    np.testing.assert_array_equal(loaded.transform(points), transformer.transform(points), err_msg=what)


def check_inplace_ensure_writeable(name, transformer):
    """The points that it is given are not changed."""
    given = [np.array(p) for p in images_and_points()[1]]
    before = digest(given)
    transformer.fit_transform(given)
    assert digest(given) == before, f"{name} changes the points that it is given."


def check_estimators_nan_inf(name, transformer):
    """A point that is not finite is refused."""
    for value in (np.nan, np.inf):
        with refused(f"{name}.transform of a point at {value}", *NOT_FINITE):
            transformer.transform(PointAnnotations.from_flat([[value, 1.0]], [1]))


def check_param_validation(name, transformer):
    """A parameter of a wrong type is refused, by its name."""
    _, points = images_and_points()
    for wrong, expected in badly_typed(name, transformer):
        with expected:
            clone(transformer).set_params(**wrong).fit_transform(points)
