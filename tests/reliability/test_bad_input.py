"""Bad and odd images, points, targets and side data: a clear error, a warning, or the right answer, at every door.

What readers of files refuse is tested with them, in tests/io.
"""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from outcomes import (
    COLOURS,
    COUNTS,
    FLOATS,
    IMAGES,
    MAPS,
    ONE,
    POINTS,
    ROI,
    SCALES,
    SHAPE,
    TABLE,
    WEIGHTS,
    assert_says,
    check,
    counts_inside,
    dataset,
    each,
    fit,
    invert,
    mae,
    masked,
    objects,
    partial_fit,
    predict,
    put,
    refused,
    right,
    same,
    score,
    transform,
    warned,
)
from PIL import Image

from skcount import DensityMapTransformer, ImageSet, PointAnnotations
from skcount.metrics import grid_average_mean_absolute_error as game

# Odd pixels are unlike those of the training, which has cases of its own.
pytestmark = pytest.mark.filterwarnings("ignore::skcount.OutOfDistributionWarning")

# One line a case, which the formatter is not to break.
# fmt: off

# --- What is no array of numbers, at every door ------------------------------------------------------------------

# Name of a door -> what its messages call it, a value that is right, and what takes it.
DOORS = {
    "X of fit": ("X", FLOATS, fit),
    "X of fit, to be held out": ("X", FLOATS, partial(fit, validation_fraction=0.5)),
    "X of partial_fit": ("X", FLOATS, partial_fit),
    "X of predict": ("X", FLOATS, predict),
    "X of predict_density": ("X", FLOATS, partial(predict, method="predict_density")),
    "X of predict_points": ("X", FLOATS, partial(predict, method="predict_points")),
    "X of iter_density": ("X", FLOATS, lambda X: list(predict(X, "iter_density"))),
    "X of score": ("X", FLOATS, lambda X: score(POINTS, X)),
    "counts of fit": ("y|points", COUNTS, lambda y: fit(y=y)),
    "counts of partial_fit": ("y|points", COUNTS, lambda y: partial_fit(y=y)),
    "counts of score": ("y|points", COUNTS, score),
    "counts of a metric": ("y_true|points", COUNTS, mae),
    "predictions of a metric": ("y_pred|points", COUNTS, lambda y: mae(COUNTS, y)),
    "maps of fit": ("y|density map|points", MAPS, lambda y: fit(y=y)),
    "maps of inverse_transform": ("density map", MAPS, invert),
    "maps of GAME": ("y_pred|points|counts", MAPS, lambda y: game(MAPS, y, 1)),
    "points": ("point", np.ones((3, 4, 2)), PointAnnotations),
    "points of fit": ("point|y", np.ones((3, 4, 2)), lambda y: fit(y=y)),
    "roi of fit": ("roi", ROI, lambda roi: fit(roi=roi)),
    "roi of predict": ("roi", ROI, lambda roi: predict(roi=roi)),
    "roi of score": ("roi", ROI, lambda roi: score(roi=roi)),
    "roi of a transformer": ("roi", ROI, lambda roi: transform(roi=roi)),
    "perspective of fit": ("perspective", SCALES, lambda scales: fit(perspective=scales)),
    "perspective of predict_points": ("perspective", SCALES,
                                      lambda scales: predict(method="predict_points", perspective=scales)),
    "perspective of a transformer": ("perspective", SCALES, lambda scales: transform(perspective=scales)),
    "weights of fit": ("sample_weight", WEIGHTS, lambda weights: fit(sample_weight=weights)),
    "weights of score": ("sample_weight", WEIGHTS, lambda weights: score(sample_weight=weights)),
    "weights of a metric": ("sample_weight", WEIGHTS, lambda weights: mae(sample_weight=weights)),
}
# Name of a fault -> what a message tells of the value, and the value made of one that is right.
FAULTS = {
    "NaN": ("nan|float", lambda right: put(right.astype(float), (1,) * right.ndim, np.nan)),
    "infinity": ("inf|infinity|float", lambda right: put(right.astype(float), (1,) * right.ndim, np.inf)),
    "minus infinity": ("inf|infinity|float", lambda right: put(right.astype(float), (1,) * right.ndim, -np.inf)),
    "complex": ("complex|no numbers", lambda right: right * 1j),
    "text": ("<U|str|no numbers", lambda right: right.astype(str)),
    "dates": ("datetime64|no numbers", lambda right: right.astype(float).astype("datetime64[s]")),
    "records": ("", lambda right: np.zeros(right.shape, dtype=[("r", "u1"), ("g", "u1")])),
    "masked": ("masked", lambda right: masked(right, (1,) * right.ndim)),
    "rows of two lengths": ("", lambda right: [[[1], [1, 2]]] * len(right)),
    "a sparse matrix": ("", lambda right: scipy.sparse.csr_matrix(np.atleast_2d(right.reshape(len(right), -1)))),
    "names of files": ("", lambda right: ["a.png"] * len(right)),
    "the name of a file": ("str|a.png|<U|shape", lambda right: "a.png"),
    "a number": ("", lambda right: 5),
    "a dictionary": ("dict|shape", lambda right: {0: 1}),
    "a set": ("", lambda right: {1, 2, 3}),
    "None among them": ("", lambda right: [*right[:1], None, *right[2:]]),
}
TAKEN = {("weights of fit", "a number")}  # by scikit-learn's own rule

# --- What is of another shape, or odd ----------------------------------------------------------------------------


IMAGE_CASES = [
    refused("pixels: NaN in one channel", lambda: fit(put(COLOURS.astype(float), (1, 3, 4, 2), np.nan)),
            "image 1", "nan", "row 3", "column 4", "channel 2"),
    refused("pixels: NaN in one of two groups", lambda: fit(FLOATS * np.nan, groups=[1, 1, 2], validation_fraction=0.5),
            "nan"),
    refused("pixels: too large for float32", lambda: fit(put(FLOATS, (1, 0, 0), 1e300)), "image 1", "float32|inf", "row 0"),
    refused("pixels: too large in predict", lambda: predict(FLOATS * 1e300), "image 0", "float32|inf", "row 0"),
    refused("pixels: half precision infinity", lambda: fit(put(FLOATS, (0, 1, 2), np.inf).astype(np.float16)),
            "image 0", "inf|infinity"),
    refused("pixels: objects", lambda: fit(IMAGES.astype(object)), "X", "object"),
    refused("pixels: masked in one of a list", lambda: fit([FLOATS[0], masked(FLOATS[1], (3, 4)), FLOATS[2]]),
            "image 1", "masked"),
    right("pixels: a mask of nothing", lambda: predict(np.ma.array(IMAGES)), same()),
    refused("images: one without its sample axis", lambda: fit(IMAGES[0], POINTS[:1]), "(12, 16)", ONE),
    refused("images: one of colour without it", lambda: fit(COLOURS[0], POINTS[:1]), "(12, 16, 3)", ONE),
    refused("images: a tensor without it", lambda: predict(torch.zeros(12, 16)), "(12, 16)", ONE),
    refused("images: one dimension", lambda: fit(IMAGES[0, 0]), "X", "(16,)|()"),
    refused("images: five dimensions", lambda: fit(IMAGES[None, None]), "X", "(1, 1, 3, 12, 16)"),
    refused("images: one of four dimensions in a list", lambda: fit([IMAGES[0], COLOURS, IMAGES[2]]),
            "image 1", "(3, 12, 16, 3)"),
    refused("images: None", lambda: fit(None), "X", "None"),
    refused("images: a generator", lambda: fit(image for image in IMAGES), "X", "generator"),
    refused("images: none", lambda: fit([], []), "X|y", "no images|empty"),
    refused("images: none in an array", lambda: fit(IMAGES[:0], []), "X|y", "(0, 12, 16)|empty"),
    refused("images: none of a set", lambda: fit(ImageSet(IMAGES)[:0], []), "X|y", "no images|empty"),
    refused("images: none predicted", lambda: predict(IMAGES[:0]), "X", "(0, 12, 16)"),
    refused("images: no rows", lambda: fit(IMAGES[:, :0]), "X", "(3, 0, 16)"),
    refused("images: no columns", lambda: fit(IMAGES[:, :, :0]), "X", "(3, 12, 0)"),
    refused("images: no channels", lambda: fit(COLOURS[..., :0]), "X", "(3, 12, 16, 0)"),
    refused("images: no pixels in one", lambda: fit([IMAGES[0], IMAGES[1][:0], IMAGES[2]]), "image 1", "(0, 16)"),
    refused("images: grey and colour", lambda: fit([IMAGES[0], COLOURS[1], IMAGES[2]]), "image 0", "1", "image 1", "3"),
    refused("images: channels first", lambda: fit(np.zeros((3, 3, 20, 24), dtype=np.uint8)),
            "(3, 3, 20, 24)", "channels first"),
    refused("images: tensors with channels first", lambda: fit(torch.zeros(3, 3, 20, 24)),
            "(3, 3, 20, 24)", "channels first"),
    refused("images: channels first in a file", lambda folder: predict(dataset(folder, np.zeros((3, 3, 20, 24)))),
            "channels first"),
    refused("images: a tensor with a gradient", lambda: predict(torch.zeros(3, 12, 16, requires_grad=True)),
            "X", "grad|numpy"),
    refused("images: bfloat16", lambda: predict(torch.zeros(3, 12, 16, dtype=torch.bfloat16)), "X", "bfloat16"),
    refused("images: sparse matrices", lambda: fit([scipy.sparse.csr_matrix(image) for image in IMAGES]),
            "image 0", "csr_matrix"),
    refused("images: a data frame", lambda: fit(pd.DataFrame(IMAGES[0])), "X", "DataFrame"),
    refused("images: points in their place", lambda: fit(PointAnnotations(POINTS), IMAGES), "X", "(0, 2)"),
    right("images: big-endian", lambda: predict(FLOATS.astype(">f8")), same(FLOATS)),
    right("images: big-endian integers", lambda: predict(IMAGES.astype(">u2")), same(IMAGES.astype(np.uint16))),
    right("images: half precision", lambda: predict(FLOATS.astype(np.float16)), same(FLOATS)),
    right("images: long double", lambda: predict(FLOATS.astype(np.longdouble)), same(FLOATS)),
    right("images: negative strides", lambda: predict(IMAGES[::-1, ::-1, ::-1]), same(IMAGES[::-1, ::-1, ::-1].copy())),
    right("images: broadcast", lambda: predict(np.broadcast_to(IMAGES[0], (3, *SHAPE))), same(IMAGES[[0, 0, 0]])),
    right("images: booleans", lambda: predict(IMAGES > 99), same((IMAGES > 99).astype(float))),
    right("images: negative integers", lambda: predict(IMAGES.view(np.int8)), same(IMAGES.view(np.int8) / np.float32(127))),
    right("images: 64-bit integers", lambda: predict(IMAGES.astype(np.int64)), same(IMAGES)),
    right("images: subnormal", lambda: np.isfinite(predict(FLOATS * 1e-310)).all(), True),
    right("images: subnormal and trained on", lambda: np.isfinite(fit(FLOATS * 1e-310).predict(FLOATS)).all(), True),
    right("images: all alike", lambda: np.isfinite(fit(FLOATS * 0 + 7).predict(FLOATS)).all(), True),
    right("images: nested lists", lambda: predict(FLOATS.tolist()), same(FLOATS)),
    right("images: a series", lambda: predict(pd.Series(list(IMAGES), index=[7, 8, 9])), same()),
    right("images: tensors", lambda: predict([torch.from_numpy(image) for image in IMAGES]), same()),
    right("images: one tensor", lambda: predict(torch.from_numpy(IMAGES)), same()),
    right("images: pictures", lambda: predict([Image.fromarray(image) for image in IMAGES]), same()),
    right("images: a dataset of a file", lambda folder: predict(dataset(folder, IMAGES)), same()),
    right("images: 1 x 1 pixel", lambda: predict(np.ones((2, 1, 1))).shape, (2,)),
]

OUTSIDE = [[(1, 2)], [(99, 99)], []]
SWAPPED = [[(15, 2), (14, 4)], [], [(13, 5)]]
POINT_CASES = [
    refused("points: NaN", lambda: fit(y=[[(1, 2)], [(3, 4), (np.nan, 1)], []]), "point 1", "image 1", "nan"),
    refused("points: None as a coordinate", lambda: fit(y=[[(1, 2)], [(None, 1)], []]), "image 1", "nan|None"),
    refused("points: None for an image", lambda: fit(y=[[(1, 2)], None, []]), "y", "1", "None"),
    refused("points: (row, col, label)", lambda: fit(y=[[(1, 2, 0)], [(3, 4, 1)], [(5, 6, 1)]]),
            "point|y", "image 0|entry 0", "(1, 3)"),
    refused("points: (k, 3) of one image", lambda: fit(y=[[(1, 2)], np.zeros((4, 3)), []]),
            "point|y", "image 1|entry 1", "(4, 3)"),
    refused("points: lengths of two kinds", lambda: fit(y=[[(1, 2)], [(3,), (4, 5)], []]), "point|y", "image 1|entry 1"),
    refused("points: without the sample axis", lambda: fit(y=[(1, 2), (3, 4), (5, 6)]),
            "point|y", "image 0|entry 0", "(2,)"),
    refused("points: text", lambda: fit(y=[[("1", "2")], [], []]), "points", "image 0", "<U1"),
    refused("points: an integer too large for a float", lambda: PointAnnotations([[(10**400, 1)]]), "points", "image 0"),
    refused("points: complex in an object array", lambda: PointAnnotations([[(None, np.array(0j))]]), "points", "complex"),
    refused("points: dictionaries", lambda: fit(y=[{"row": 1, "col": 2}] * 3), "y", "dict"),
    refused("points: dictionaries in PointAnnotations", lambda: PointAnnotations([[{"row": 1, "col": 2}]]),
            "points", "image 0"),
    refused("points: a generator", lambda: fit(y=(points for points in POINTS)), "y", "generator"),
    refused("points: None", lambda: fit(y=None), "y", "None"),
    refused("points: a data frame", lambda: fit(y=pd.DataFrame({"row": [1, 2, 3], "col": [1, 2, 3]})), "y", "(3, 2)"),
    refused("points: a data frame of one", lambda: PointAnnotations(pd.DataFrame({"row": [1], "col": [2]})),
            "points", "DataFrame"),
    refused("points: nested too deep", lambda: fit(y=[[[(1, 2)]], [], []]), "point|y", "image 0|entry 0", "(1, 1, 2)"),
    refused("points: an array too deep", lambda: fit(y=np.zeros((3, 1, 1, 2))), "y", "(3, 1, 1, 2)"),
    refused("points: a number for an image", lambda: PointAnnotations([[(1, 2)], 5]), "points", "image 1"),
    refused("points: (x, y)", lambda: fit(y=SWAPPED), "3 of 3 points", "15", "outside"),
    refused("points: (x, y) in score", lambda: score(SWAPPED), "3 of 3 points", "15", "outside"),
    warned("points: outside", lambda: fit(y=OUTSIDE), "1 of 2 points", "outside", "image 1", "row 99, col 99"),
    warned("points: negative", lambda: fit(y=[[(1, 2)], [(-3, 4)], []]), "1 of 2 points", "outside", "row -3, col 4"),
    warned("points: enormous", lambda: fit(y=[[(1, 2)], [(1e300, -1e300)], []]), "1 of 2 points", "row 1e+300"),
    warned("points: outside in a transformer", lambda: transform(OUTSIDE), "1 of 2 points", "outside", "image 1"),
    refused("points: outside, to be refused",
            lambda: fit(y=[[], [(9, 16)], []], density=DensityMapTransformer(outside="raise")),
            "1 of 1 points", "outside", "image 1", "row 9, col 16"),
    right("points: all outside", lambda: transform([[(99, 99)]], outside="ignore").sum(), 0),
    warned("points: nowhere any", lambda: fit(y=[[], [], []]), "None of the 3 training images", "object"),
    right("points: two on one place", lambda: transform([[(3, 4), (3, 4)]]).sum().round(4), 2),
    right("points: integers", lambda: transform([np.array([[3, 4]], dtype=np.int8)]), lambda: transform([[(3.0, 4.0)]])),
    right("points: unsigned and outside", lambda: counts_inside([np.array([[255, 4]], np.uint8)]), [0]),
    right("points: an array of objects", lambda: PointAnnotations(objects([[(1, 2)], []])).counts, [1, 0]),
    right("points: objects that are numbers", lambda: PointAnnotations([np.array([[1, 2.5]], dtype=object)]).coordinates,
          [[1, 2.5]]),
    right("points: data frames", lambda: PointAnnotations([pd.DataFrame({"row": [1], "col": [2]})]).coordinates, [[1, 2]]),
    right("points: tensors", lambda: PointAnnotations([torch.ones(2, 2)]).counts, [2]),
    right("points: a generator in PointAnnotations", lambda: PointAnnotations(p for p in POINTS).counts, COUNTS),
    right("points: one array", lambda: PointAnnotations(np.ones((3, 4, 2))).counts, [4, 4, 4]),
    right("points: empty arrays of any shape", lambda: counts_inside([[], np.empty((0, 2)), np.empty((0, 3)), np.empty(0)]),
          [0] * 4),
    right("points: on the border", lambda: counts_inside([[(-0.5, 0), (11.5, 0), (0, 15.49), (0, 15.5)]]), [2]),
    refused("from_flat: too few", lambda: PointAnnotations.from_flat([(1, 2)], [2]), "lengths", "2", "1"),
    refused("from_flat: a negative length", lambda: PointAnnotations.from_flat([(1, 2)], [2, -1]), "lengths", "-1"),
    refused("from_flat: lengths of floats", lambda: PointAnnotations.from_flat([(1, 2)], [1.0]), "lengths", "float64"),
    refused("from_flat: two dimensions", lambda: PointAnnotations.from_flat([(1, 2)], [[1]]), "lengths", "(1, 1)"),
    refused("from_flat: rows of two lengths", lambda: PointAnnotations.from_flat([(1, 2)], [[1], []]), "lengths"),
    refused("from_flat: points that are not flat", lambda: PointAnnotations.from_flat([[(1, 2)]], [1]),
            "points", "(1, 1, 2)"),
    refused("from_flat: three numbers", lambda: PointAnnotations.from_flat([(1, 2, 3), (4, 5, 6)], [3]), "points", "(2, 3)"),
    refused("from_flat: NaN", lambda: PointAnnotations.from_flat([(1, 2), (np.nan, 3)], [1, 1]), "point 1", "nan"),
    refused("from_flat: text", lambda: PointAnnotations.from_flat([("a", "b")], [1]), "points", "not numbers"),
    refused("from_flat: a number of lengths", lambda: PointAnnotations.from_flat([(1, 2)], 1), "lengths", "()"),
    refused("from_xy: three numbers", lambda: PointAnnotations.from_xy([[(1, 2, 3)]]), "points", "(1, 3)"),
    refused("from_mask: without its sample axis", lambda: PointAnnotations.from_mask(ROI), "mask 0", "(16,)"),
    refused("from_mask: colour", lambda: PointAnnotations.from_mask(COLOURS), "mask 0", "(12, 16, 3)"),
    refused("from_mask: NaN", lambda: PointAnnotations.from_mask([FLOATS[0] * np.nan]), "mask 0", "nan"),
    refused("from_mask: one of colour", lambda: PointAnnotations.from_mask([ROI, COLOURS[0]]), "mask 1", "(12, 16, 3)"),
    refused("from_mask: text", lambda: PointAnnotations.from_mask([[["a"]]]), "mask 0", "<U1"),
    refused("from_mask: a number", lambda: PointAnnotations.from_mask(5), "masks", "int"),
    refused("from_mask: rows of two lengths", lambda: PointAnnotations.from_mask([[[1], [1, 2]]]), "mask 0"),
    *(
        refused(f"inside: {fault}", partial(PointAnnotations(POINTS).inside, sizes), "image shapes|image_shape", shown)
        for fault, sizes, shown in (
            ("no size", None, ""), ("a negative size", (-12, 16), "(-12, 16)"), ("the images themselves", IMAGES, ""),
        )
    ),
    refused("inside: a mask of another size", lambda: PointAnnotations(POINTS).inside(SHAPE, ROI.T), "roi", "(16, 12)"),
    refused("index: two", lambda: PointAnnotations(POINTS)[0, 1], "(0, 1)", error=IndexError),
    refused("index: a name", lambda: PointAnnotations(POINTS)["first"], "integers", error=IndexError),
    refused("index: beyond the last", lambda: PointAnnotations(POINTS)[3], "3", error=IndexError),
]

TARGETS = [
    refused("counts: negative", lambda: fit(y=[2.0, -1.0, 0.0]), "y", "image 1", "-1"),
    refused("counts: NaN", lambda: fit(y=[2.0, np.nan, 0.0]), "y", "image 1", "nan"),
    refused("counts: text as objects", lambda: fit(y=np.array(["2", "0", "1"], dtype=object)), "y", "str"),
    refused("counts: two columns", lambda: fit(y=np.ones((3, 2))), "y", "(3, 2)"),
    right("counts: one column", lambda: score(COUNTS[:, None]), lambda: score(COUNTS)),
    right("counts: booleans", lambda: score(np.array([True, False, True])), lambda: score([1, 0, 1])),
    right("counts: a series", lambda: score(pd.Series(COUNTS, index=[7, 8, 9])), lambda: score(COUNTS)),
    right("counts: a tensor", lambda: score(torch.from_numpy(COUNTS)), lambda: score(COUNTS)),
    right("counts: halves", lambda: score(COUNTS / 2), lambda: score(list(COUNTS / 2))),
    right("counts: next to nothing", lambda: np.isfinite(fit(y=COUNTS * 1e-60).predict(IMAGES)).all(), True),
    refused("maps: negative", lambda: fit(y=put(MAPS, (1, 2, 3), -0.5)), "map 1", "-0.5"),
    refused("maps: of another size", lambda: fit(y=MAPS[:, :-1]), "y", "11, 16)"),
    refused("maps: one of another size", lambda: fit(y=[MAPS[0], MAPS[1][:-1], MAPS[2]]), "map 1", "(11, 16)", "(12, 16)"),
    refused("maps: transposed", lambda: fit(y=list(MAPS.transpose(0, 2, 1))), "map 0", "(16, 12)", "(12, 16)"),
    refused("maps: too few", lambda: fit(y=MAPS[:2]), "y", "2"),
    refused("maps: with a channel axis", lambda: fit(y=MAPS[..., None]), "y", "(3, 12, 16, 1)"),
    refused("maps: without their sample axis", lambda: fit(IMAGES[:1], MAPS[0]), "y", "(12, 16)"),
    refused("maps: for a loss that needs points", lambda: fit(y=MAPS, loss="bayesian"), "loss", "bayesian", "points"),
    warned("maps: empty everywhere", lambda: fit(y=MAPS * 0), "None of the 3 training images", "object"),
    right("maps: next to nothing", lambda: np.isfinite(fit(y=MAPS * 1e-30).predict(IMAGES)).all(), True),
    right("maps: the images", lambda: np.isfinite(fit(y=FLOATS / 1e4).predict(IMAGES)).all(), True),
    refused("y: points and counts", lambda: fit(y=[[(1, 2)], 3, []]), "y", "entry 1", "int"),
    refused("y: points and maps", lambda: fit(y=[[(1, 2)], MAPS[1], []]), "point|y", "image 1|entry 1", "(12, 16)"),
    refused("y: maps and counts", lambda: fit(y=[MAPS[0], 3, MAPS[2]]), "y", "1", "int"),
    refused("y: points for a table", lambda: fit(TABLE, [[(0, 1)]] * 6), "(6, 5)", ONE),
    refused("y: None in score", lambda: score(None), "y", "None"),
    refused("y: None for a table", lambda: fit(TABLE, None), "y", "None"),
    refused("table: NaN", lambda: fit(put(TABLE, (1, 2), np.nan), np.arange(6.0)), "X", "nan"),
    refused("table: no columns", lambda: fit(TABLE[:, :0], np.arange(6.0)), "(6, 0)"),
    refused("table: too few counts", lambda: fit(TABLE, np.arange(5.0)), "y", "6", "5"),
    *(
        refused(f"lengths: {len(y)} of {kind} in {act.__name__}", partial(act, y=y), "y", "3", "2|4|0")
        for kind, values in {"points": (POINTS[:2], [*POINTS, []]), "counts": (COUNTS[:2], [1, 2, 3, 4])}.items()
        for y in values for act in (fit, score)
    ),
    refused("lengths: no counts", lambda: fit(y=[]), "y", "0|empty"),
    refused("lengths: points in partial_fit", lambda: partial_fit(y=POINTS[:2]), "y", "3", "2", ONE),
]

SIDE_DATA = [
    *(
        refused(f"lengths: {len(value)} of {name} in {act.__name__}", partial(act, **{name: value}), name, "2|4")
        for name, values, acts in (
            ("sample_weight", ([1, 1], [1] * 4), (fit, score)), ("groups", ([1, 2],), (fit,)),
            ("roi", ([ROI] * 2, [ROI] * 4), (fit, predict, score)), ("perspective", (np.stack([SCALES] * 2),), (fit,)),
        )
        for value in values for act in acts
    ),
    refused("lengths: shapes of a transformer", lambda: transform(image_shape=[SHAPE] * 2), "image_shape", "(12, 16)"),
    refused("lengths: regions of a transformer", lambda: transform(roi=[ROI, ROI]), "roi", "3", "2"),
    refused("lengths: maps to write to", lambda: predict(method="predict_density", out=np.zeros((2, *SHAPE))),
            "out", "3", "2"),
    refused("roi: values of 255", lambda: fit(roi=ROI * np.uint8(255)), "roi", "255", "mask > 0"),
    refused("roi: negative", lambda: fit(roi=-ROI.astype(int)), "roi", "-1"),
    refused("roi: nothing inside", lambda: fit(roi=ROI & False), "roi", "no pixel"),
    refused("roi: nothing inside in score", lambda: score(POINTS, roi=ROI & False), "roi", "no pixel"),
    refused("roi: nothing inside of image 1", lambda: fit(roi=[ROI, ROI & False, ROI]), "roi", "image 1", "no pixel"),
    refused("roi: transposed", lambda: fit(roi=ROI.T), "roi", "(16, 12)", "12 x 16|(12, 16)"),
    refused("roi: of one image transposed", lambda: fit(roi=[ROI, ROI.T, ROI]), "roi", "image 1", "(16, 12)"),
    refused("roi: three channels", lambda: fit(roi=[np.ones((*SHAPE, 3), bool)] * 3), "roi", "image 0", "(12, 16, 3)"),
    refused("roi: None for one image", lambda: fit(roi=[ROI, None, ROI]), "roi", "image 1"),
    refused("roi: for a table", lambda: fit(TABLE, np.arange(6.0), roi=np.ones((1, 5), bool)), "roi", "table"),
    refused("roi: rows split like samples", lambda: fit(roi=ROI[:3]), "(3, 16)", "split", "ImageSet(images, roi=roi)"),
    refused("roi: one for many sizes", lambda: transform(image_shape=[SHAPE, (4, 4), SHAPE], roi=ROI), "roi", "(4, 4)"),
    refused("roi: a number for each image", lambda: fit(roi=np.ones(3, bool)), "roi", "image 0", "()"),
    refused("roi: True", lambda: fit(roi=True), "roi", "bool"),
    right("roi: zeros and ones", lambda: predict(roi=ROI.astype(np.uint8)), lambda: predict(roi=ROI)),
    right("roi: a data frame", lambda: predict(roi=pd.DataFrame(ROI)), lambda: predict(roi=ROI)),
    right("roi: a tensor", lambda: predict(roi=torch.from_numpy(ROI)), lambda: predict(roi=ROI)),
    right("roi: a tensor of one each", lambda: predict(roi=torch.from_numpy(np.stack([ROI] * 3))), lambda: predict(roi=ROI)),
    right("roi: a dataset of a file", lambda folder: predict(roi=dataset(folder, ROI)), lambda: predict(roi=ROI)),
    right("roi: all of it", lambda: predict(roi=ROI | True), same()),
    refused("perspective: zero", lambda: fit(perspective=put(SCALES, (2, 3), 0)), "perspective", "0.0", "row 2", "column 3"),
    refused("perspective: negative", lambda: fit(perspective=-SCALES), "perspective", "-1.0", "row 0"),
    refused("perspective: infinity in image 2", lambda: fit(perspective=[SCALES, SCALES, put(SCALES, (2, 3), np.inf)]),
            "perspective", "image 2", "inf", "row 2", "column 3"),
    refused("perspective: booleans", lambda: fit(perspective=ROI), "perspective", "bool"),
    refused("perspective: transposed", lambda: fit(perspective=SCALES.T), "perspective", "(16, 12)", "12 x 16|(12, 16)"),
    refused("perspective: one dimension", lambda: fit(perspective=SCALES[:, 0]), "perspective", "12"),
    right("perspective: integers", lambda: transform(perspective=np.full(SHAPE, 2)),
          lambda: transform(perspective=np.full(SHAPE, 2.0))),
    refused("sample_weight: negative", lambda: fit(sample_weight=[1, -1, 1]), "sample_weight", "image 1", "-1"),
    refused("sample_weight: negative in a metric", lambda: mae(sample_weight=[1, -1, 1]), "sample_weight", "image 1", "-1"),
    refused("sample_weight: all zero", lambda: fit(sample_weight=[0, 0, 0]), "ample weight|sample_weight", "zero|0"),
    refused("sample_weight: all zero in score", lambda: score(POINTS, sample_weight=[0, 0, 0]),
            "ample weight|sample_weight", "zero|0"),
    refused("sample_weight: all zero in a metric", lambda: mae(sample_weight=[0, 0, 0]),
            "ample weight|sample_weight", "zero|0"),
    refused("sample_weight: two dimensions", lambda: fit(sample_weight=np.ones((3, 1))), "sample_weight", "(3, 1)"),
    right("sample_weight: booleans", lambda: score(sample_weight=[True, False, True]),
          lambda: score(sample_weight=[1, 0, 1])),
    *(
        refused(f"groups: {fault}", partial(fit, groups=groups, validation_fraction=0.5), "group", words)
        for fault, groups, words in (
            ("floats", [0.5, 1, 2], "float64"), ("two dimensions", np.ones((3, 2), int), "(3, 2)"),
            ("only one", [1, 1, 1], "1"),
            ("None among them", ["a", None, "b"], "object"), ("rows of two lengths", [[1], [1, 2], [3]], ""),
        )
    ),
    refused("groups: a single image", lambda: fit(IMAGES[:1], POINTS[:1], early_stopping=True), "1", "image"),
]
# fmt: on


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("door", DOORS)
def test_what_is_no_array_of_numbers_is_refused_by_name_as_documented(door, fault, training):
    (name, value, take), (shown, spoil) = DOORS[door], FAULTS[fault]
    if (door, fault) in TAKEN:
        take(spoil(value))
        return
    with pytest.raises(ValueError) as info:  # noqa: PT011 - the message is looked at below
        take(spoil(value))
    assert_says(str(info.value), [name, shown])
    assert not training


@each(*IMAGE_CASES, *POINT_CASES, *TARGETS, *SIDE_DATA)
def test_bad_data_are_refused_by_name_and_odd_ones_are_taken_as_documented(case, training, tmp_path):
    check(case, training, tmp_path / "data")


def test_the_guard_against_training_sees_one(training):
    fit()
    assert training == ["loop"]
