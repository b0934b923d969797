"""Format "nwpu": the JSON of NWPU-Crowd, (x, y) of one image, in pixels from 0."""

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._annotations._load import as_pair, has_lists, load_json, shown


def read_nwpu(content):
    """Return the points, whose number the file also gives."""
    points = [as_pair(point, "each point") for point in content["points"]]
    if content["human_num"] != len(points):
        raise ValueError(
            f"human_num must be the number of points, {len(points)}; got {shown(content['human_num'])}."
        )
    name = content.get("img_id")
    return Contents(
        np.array(points).reshape(-1, 2), [(name if isinstance(name, str) and name else None, None)]
    )


NWPU = Format(
    "nwpu",
    (".json",),
    load_json,
    read_nwpu,
    order="xy",
    origin=0,
    matches=lambda content: has_lists(content, "points") and "human_num" in content,
    signs="'human_num' and the list 'points' of NWPU-Crowd",
)
