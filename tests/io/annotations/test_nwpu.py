import pytest
from numpy.testing import assert_array_equal

from skcount.io import read_points

NAME = "0001.json"


def test_points_of_one_image(write):
    content = {"img_id": "0001.jpg", "human_num": 2, "points": [[10.5, 20.5], [30, 40]], "boxes": []}
    heads = read_points(write(content))
    assert heads.names == ["0001.jpg"]
    assert_array_equal(heads.points[0], [[20.5, 10.5], [40, 30]])


def test_a_number_that_is_not_that_of_the_points_is_refused(write):
    with pytest.raises(ValueError, match="human_num must be the number of points, 1; got 2"):
        read_points(write({"img_id": "0001.jpg", "human_num": 2, "points": [[10.5, 20.5]]}))
