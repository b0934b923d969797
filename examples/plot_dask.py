"""
How do I distribute a search over many machines?
================================================

scikit-learn runs the fits of a search through joblib, and joblib can pass them to dask, whose workers may run
on any machine. The scores are the same as on one machine. This example needs ``pip install distributed``.
"""

# %%
# A search over sigma and the width of the network, first without dask. Few images and epochs keep the example
# short, so the best parameters mean little. Warnings about networks that have not learned to count yet are
# hidden.

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skcount import UNetRegressor
from skcount.datasets import make_cells

X, points = make_cells(n_samples=12, image_shape=(48, 48), n_cells=(1, 15), random_state=0, return_X_y=True)
search = GridSearchCV(
    UNetRegressor(max_epochs=20, batch_size=2, random_state=0), {"sigma": [1, 2], "filters": [4, 8]}, cv=2
)
warnings.simplefilter("ignore", ConvergenceWarning)
local_scores = search.fit(X, points).cv_results_["mean_test_score"]

# %%
# A cluster of two workers, here inside this process. On real machines, start ``dask scheduler`` on one of
# them and ``dask worker tcp://ADDRESS:8786`` on the others, and use ``Client("tcp://ADDRESS:8786")`` instead
# of a cluster. Images are sent to the workers with the search. Images from ``load_hdf5`` are sent as the path
# of their file, which all workers must be able to read.

import tempfile

import joblib
from distributed import Client, LocalCluster

with (
    tempfile.TemporaryDirectory() as folder,
    LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        dashboard_address=None,
        local_directory=folder,
    ) as cluster,
    Client(cluster),
    joblib.parallel_backend("dask"),
):
    distributed_scores = search.fit(X, points).cv_results_["mean_test_score"]

# %%
# An integer ``random_state`` and the same number of threads give equal scores, to the last bit. Workers that
# are processes have one thread each by default. Set ``OMP_NUM_THREADS=1`` to make both sides equal in that
# case.

assert (distributed_scores == local_scores).all()
print(f"best: {search.best_params_}, MAE {-search.best_score_:.2f} cells")

# %%
# The results of the search:

import matplotlib.pyplot as plt

from skcount.plotting import SearchDisplay

SearchDisplay.from_estimator(search, x="sigma", hue="filters", negate_score=True, score_name="MAE")
plt.show()
