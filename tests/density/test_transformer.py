import warnings

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import Pipeline, make_pipeline

from skcount import DensityMapTransformer, PointAnnotations
from skcount.density import gaussian_density

law = settings(max_examples=50, deadline=None)
POINTS = [[(0, 0), (10, 12.5)], [], [(31.4, 39.4), (5, 5), (5, 5)]]
SHAPE = (32, 40)


@pytest.fixture
def transformer():
    return DensityMapTransformer(sigma=1.5, image_shape=SHAPE)


def annotations(shape, max_images=3, max_points=6):
    one = st.lists(
        st.tuples(*(st.floats(-0.5, size - 0.5, exclude_max=True) for size in shape)), max_size=max_points
    )
    return st.lists(one, min_size=1, max_size=max_images)


@law
@given(annotations(SHAPE), st.floats(0.3, 20), st.floats(1, 6))
def test_each_map_is_the_density_function_of_its_points(points, sigma, truncate):
    maps = DensityMapTransformer(sigma, truncate=truncate, image_shape=SHAPE).fit_transform(points)
    assert maps.dtype == np.float32
    assert maps.shape == (len(points), *SHAPE)
    for density, p in zip(maps, PointAnnotations(points), strict=True):
        np.testing.assert_array_equal(density, gaussian_density(p, SHAPE, sigma, truncate))


@law
@given(annotations(SHAPE), st.floats(0.3, 20))
def test_there_and_back_keeps_the_counts_and_stays_inside(points, sigma):
    transformer = DensityMapTransformer(sigma, image_shape=SHAPE)
    back = transformer.inverse_transform(transformer.transform(points))
    np.testing.assert_array_equal(back.counts, PointAnnotations(points).counts)
    assert back == back.inside(SHAPE)


# scikit-learn's rules


def test_clone_keeps_parameters_and_set_params_changes_them(transformer):
    assert clone(transformer).get_params() == transformer.get_params()
    for params in ParameterGrid({"sigma": [1, 2.5], "kernel": ["adaptive"], "outside": ["raise"]}):
        changed = clone(transformer).set_params(**params).get_params()
        assert changed == {**transformer.get_params(), **params}


def test_a_pipeline_takes_points_as_its_x_and_goes_back(transformer):
    pipeline = Pipeline([("density", transformer)])
    maps = pipeline.fit_transform(POINTS)
    np.testing.assert_array_equal(maps, transformer.transform(POINTS))
    np.testing.assert_array_equal(pipeline.inverse_transform(maps).counts, [2, 0, 3])


@pytest.mark.parametrize("output", ["pandas", "default"])
def test_maps_stay_arrays_whatever_output_is_asked_for(transformer, output):
    assert isinstance(transformer.set_output(transform=output).fit_transform(POINTS), np.ndarray)
    assert isinstance(
        make_pipeline(transformer).set_output(transform=output).fit_transform(POINTS), np.ndarray
    )
    with sklearn.config_context(transform_output=output):
        assert isinstance(clone(transformer).fit_transform(POINTS), np.ndarray)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("sigma", value) for value in (0, -1.0, np.nan, np.inf, "2")),
        *[("kernel", "box"), ("truncate", 0.5), ("outside", "drop"), ("image_shape", "large")],
    ],
)
@pytest.mark.parametrize("method", ["fit", "transform", "inverse_transform"])
def test_a_wrong_parameter_is_refused_by_name_at_every_door(name, value, method):
    transformer = DensityMapTransformer(**{"image_shape": SHAPE, name: value})
    given = [np.zeros((3, 3))] if method == "inverse_transform" else POINTS
    with pytest.raises(ValueError, match=f"'{name}' parameter of DensityMapTransformer"):
        getattr(transformer, method)(given)


# points outside


def test_points_outside_are_named_with_image_and_position():
    points = [[(1, 2)], [(11, 3), (2.5, 2)]]
    transformer = DensityMapTransformer(image_shape=(10, 12))
    with pytest.warns(
        UserWarning, match="1 of 3 points .* image 1 of 10 x 12 pixels: row 11, col 3"
    ) as caught:
        density = transformer.transform(points)
    assert caught[0].filename == __file__
    np.testing.assert_allclose(density.sum(axis=(1, 2)), 1, rtol=1e-5)
    with pytest.raises(ValueError, match="image 1 of 10 x 12 pixels: row 11, col 3"):
        transformer.set_params(outside="raise").transform(points)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ignored = transformer.set_params(outside="ignore").transform(points)
    np.testing.assert_array_equal(ignored, density)


def test_swapped_rows_and_columns_are_hinted_at_only_where_swapping_helps():
    transformer = DensityMapTransformer(outside="raise")
    with pytest.raises(ValueError, match=r"swapped.*PointAnnotations\.from_xy"):
        transformer.transform([[(30, 4)], [(2, 2)]], image_shape=(10, 40))
    with pytest.raises(ValueError, match=r"col 50 and 1 more\."):
        transformer.transform([[(-1, 0), (0, -2), (5, 50), (6, 60)]], image_shape=(10, 12))
    with pytest.raises(ValueError, match=r"^(?!.*swapped)"):
        transformer.transform([[(30, 4), (50, 60)]], image_shape=(10, 40))


# the size of the images


def test_images_of_many_sizes_give_a_list_of_maps_and_those_of_one_an_array(transformer):
    shapes = [(5, 6), (1, 1), (7, 3)]
    maps = DensityMapTransformer().transform([[(1, 1)], [(0, 0)], []], image_shape=shapes)
    assert [m.shape for m in maps] == shapes
    assert [round(float(m.sum()), 5) for m in maps] == [1, 1, 0]
    assert DensityMapTransformer(image_shape=[(5, 6), (5, 6)]).transform([[], []]).shape == (2, 5, 6)
    assert transformer.transform([[]], image_shape=(3, 4)).shape == (1, 3, 4)


def test_no_images_give_no_maps_and_back(transformer):
    assert len(transformer.fit_transform([])) == 0
    assert len(transformer.inverse_transform([])) == 0


# regions of interest and perspective


def test_one_region_for_all_and_one_for_each_say_the_same(transformer):
    roi = np.zeros((12, 14), dtype=bool)
    roi[3:, :9] = True
    scale = np.linspace(0.5, 2, 12 * 14).reshape(12, 14)
    points = [[(5, 5), (1, 1)], [(2.4, 3), (2.6, 3), (11, 8.4)]]
    shared = transformer.transform(points, (12, 14), roi=roi, perspective=scale)
    each = transformer.transform(points, (12, 14), roi=[roi, roi], perspective=np.stack([scale] * 2))
    np.testing.assert_array_equal(shared, each)
    np.testing.assert_allclose(shared.sum(axis=(1, 2)), [1, 2], rtol=1e-6)
    back = transformer.inverse_transform(shared, roi=roi, perspective=scale)
    assert back == back.inside((12, 14), roi)
    assert back.counts.tolist() == [1, 2]


# adaptive kernels


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.floats(0.05, 2), st.booleans())
def test_adaptive_kernels_keep_every_point(seed, n_neighbors, beta, in_a_region):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-3, (33, 43), (rng.integers(0, 12), 2)).repeat(1 + rng.integers(2), axis=0)
    roi = rng.random((30, 40)) < 0.5 if in_a_region else None
    transformer = DensityMapTransformer(
        kernel="adaptive", n_neighbors=n_neighbors, beta=beta, outside="ignore"
    )
    annotations = PointAnnotations([points])
    density = transformer.transform(annotations, (30, 40), roi=roi)
    np.testing.assert_allclose(density.sum(), annotations.inside((30, 40), roi).counts, rtol=1e-5, atol=1e-6)
    window = (5, 7, 12, 20)
    inside = annotations.inside((30, 40), roi)[0]  # which the door decides
    part = transformer.make_map(inside, (30, 40), window, roi=roi)
    np.testing.assert_allclose(part, density[0, 5:17, 7:27], rtol=1e-5, atol=1e-9)


def test_an_adaptive_kernel_is_as_wide_as_its_neighbours_are_far():
    points = np.array([[20.0, 20.0], [20.0, 30.0], [80.0, 80.0]])
    transformer = DensityMapTransformer(kernel="adaptive", n_neighbors=1, beta=0.2)
    sigmas = transformer.local_sigma(points, (100, 100), perspective=np.full((100, 100), 9.0))
    np.testing.assert_allclose(sigmas, [2, 2, 0.2 * np.hypot(60, 50)])
    by_hand = [
        DensityMapTransformer(sigma=s).make_map(p[None], (100, 100))
        for s, p in zip(sigmas, points, strict=True)
    ]
    np.testing.assert_allclose(transformer.make_map(points, (100, 100)), sum(by_hand), rtol=1e-5, atol=1e-9)
    alone = DensityMapTransformer(3.0, kernel="adaptive").make_map(points[:1], (100, 100))
    np.testing.assert_array_equal(alone, DensityMapTransformer(3.0).make_map(points[:1], (100, 100)))
