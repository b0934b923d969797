"""
How do I spread a search over many machines?
============================================

scikit-learn runs its fits through joblib, and joblib can hand them to dask, whose workers may stand anywhere. The scores
are those of one machine. It needs ``pip install distributed``.
"""

# %%
# A search over sigma and the width of the network, first without dask. A few images and epochs keep it short: its best
# parameters mean little, and the warnings that its networks have not learnt to count yet are left out.

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
alone = search.fit(X, points).cv_results_["mean_test_score"]

# %%
# A cluster of two workers, here within this process. On real machines start ``dask scheduler`` on one of them and
# ``dask worker tcp://ADDRESS:8786`` on the others, and write ``Client("tcp://ADDRESS:8786")`` instead of a cluster. Images
# travel to the workers with the search, or as the path of a file that all of them can read, if they are those of
# ``load_hdf5``.

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
    spread = search.fit(X, points).cv_results_["mean_test_score"]

# %%
# An integer ``random_state`` and equal numbers of threads give equal scores, to the last bit. Workers that are processes
# have one thread each unless dask is told otherwise: there, ``OMP_NUM_THREADS=1`` makes both sides equal.

assert (spread == alone).all()
print(f"best: {search.best_params_}, MAE {-search.best_score_:.2f} cells")

# %%
# What was searched:

import matplotlib.pyplot as plt

from skcount.plotting import SearchDisplay

SearchDisplay.from_estimator(search)
plt.show()
