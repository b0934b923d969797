"""Whatever users call refuses a parameter of a wrong type by its name, with scikit-learn's message."""

import inspect
import re
from operator import attrgetter
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import InvalidParameterError, make_constraint
from torch import nn

import skcount
from skcount.evaluation import estimate_total, sample_images

API = Path(__file__).parents[1] / "docs" / "api.rst"

EXEMPT = {
    "OutOfDistributionWarning": "is a warning",
    "ImageSet": "takes data alone, whose own checks say more",
    "PointAnnotations": "takes data alone, and importing it must not import scikit-learn",
    "annotate.Page": "is made by annotate",
    "evaluation.AnnotationCurve": "is made by annotation_curve, and takes data alone",
    "evaluation.CountReportWarning": "is a warning",
    "evaluation.CountingReport": "is made by counting_report",
    "evaluation.ExpectedCoverage": "is a named tuple of numbers",
    "evaluation.ImageSample": "is made by sample_images, and takes data alone",
    "evaluation.SequenceKFold.get_n_splits": "takes data alone, and does not look at it",
    "evaluation.SequenceKFold.set_split_request": "is made by scikit-learn",
    "evaluation.SequenceKFold.split": "takes data alone",
    "evaluation.Table": "takes data alone, whose lengths it checks",
    "evaluation.TotalEstimate": "is made by estimate_total",
    "evaluation.CarriedGroups.split": "takes data alone, which the splitter of scikit-learn checks",
    "evaluation.CarriedGroups.get_n_splits": "takes data alone, which the splitter of scikit-learn checks",
    "evaluation.CarriedGroups.set_split_request": "is made by scikit-learn",
    "io.GeoTransform": "is a named tuple of numbers",
    "networks.rectify": "takes a tensor alone, in every forward pass",
    "networks.upsample_conv": "takes tensors alone, in every forward pass",
}

SAMPLE = sample_images(np.ones(8), 6)
# What is passed for a required parameter while another one is wrong: the first that satisfies its constraints.
VALUES = [None, "text", "nuclei", 1, [], np.zeros((4, 4)), nn.Identity(), Mock()]
VALUES += [2, SAMPLE, estimate_total(SAMPLE, np.ones(6))]
VALUES += [skcount.ImageSet(np.zeros((1, 4, 4))), skcount.PointAnnotations([[]])]


class BadType:
    pass


def load(name):
    return attrgetter(name)(skcount)


def listed():
    """Names in the reference; of a class that scikit-learn and torch do not call, the methods too."""
    for name in re.findall(r"^   (\w[\w.]*)$", API.read_text(encoding="utf-8"), re.MULTILINE):
        yield name
        found = load(name)
        if inspect.isclass(found) and not issubclass(found, BaseEstimator | nn.Module):
            methods = (method for method in vars(found) if not method.startswith("_"))
            yield from (f"{name}.{method}" for method in methods if callable(getattr(found, method)))


NAMES = list(listed())
CONSTRAINED = [name for name in NAMES if not any(f"{name}.".startswith(f"{exempt}.") for exempt in EXEMPT)]


def parameters(name):
    """The parameters that users pass by name."""
    found = load(name)
    given = inspect.signature(found).parameters.values()
    bound = inspect.isfunction(found) and "." in found.__qualname__
    return {p.name: p for p in list(given)[bound:] if p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}}


def constraints(name):
    """The constraints on them."""
    found = load(name)
    checked = found.__init__ if inspect.isclass(found) else found
    own = getattr(checked, "_skl_parameter_constraints", None)
    return own if own is not None else getattr(found, "_parameter_constraints", {})


def satisfies(value, constraint):
    return constraint == "no_validation" or any(make_constraint(c).is_satisfied_by(value) for c in constraint)


def call(name, /, **given):
    """Call with these parameters, and any value for the others that are required."""
    found, required = load(name), {}
    for key, parameter in parameters(name).items():
        if parameter.default is parameter.empty:
            required[key] = next(v for v in VALUES if satisfies(v, constraints(name)[key]))
    arguments = {**required, **given}
    if inspect.isclass(found) and issubclass(found, BaseEstimator):
        # Constructors only store: what sees data first refuses the parameter, before it looks at them.
        estimator = found(**arguments)
        estimator.fit(None, None) if hasattr(estimator, "fit") else estimator.score(None, None, None)
    elif inspect.isfunction(found) and "." in found.__qualname__:
        found(Mock(), **arguments)
    else:
        found(**arguments)


def test_the_reference_lists_what_is_exempt_and_more():
    assert set(EXEMPT) < set(NAMES)
    assert {"io.load_hdf5", "networks.UNet", "plotting.DensityMapDisplay.from_estimator"} < set(CONSTRAINED)


@pytest.mark.parametrize("name", CONSTRAINED)
def test_each_parameter_has_constraints_and_nothing_else_has(name):
    assert set(constraints(name)) == set(parameters(name))


@pytest.mark.parametrize("name", CONSTRAINED)
def test_each_default_satisfies_its_constraints(name):
    for key, parameter in parameters(name).items():
        if parameter.default is not parameter.empty:
            assert satisfies(parameter.default, constraints(name)[key]), key


@pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, key) for name in CONSTRAINED for key, c in constraints(name).items() if c != "no_validation"],
)
def test_a_parameter_of_a_wrong_type_is_refused_by_its_name(name, parameter):
    message = rf"The '{parameter}' parameter of .*{load(name).__name__}.* must be .* Got <.*BadType object"
    with pytest.raises(InvalidParameterError, match=message):
        call(name, **{parameter: BadType()})
