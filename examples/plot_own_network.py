"""
Can I bring my own network?
===========================

Any `torch.nn.Module` that maps (n, n_channels, height, width) to (n, 1, height, width) will do. Its class, or any function
that builds one from the number of channels, goes in as `architecture`.
"""

# %%
# A network without pooling: each convolution looks twice as far as the one before. Nothing has to be said about pixels,
# about density or about counts: the images come standardised, negative output becomes 0, and training, tiles and
# saving are the regressor's affair. (A network that pools says so in an attribute: ``stride = 8``.)

from torch import nn


class Dilated(nn.Module):
    """Convolutions of one size, with a dilation of 1, 2, 4, ..."""

    def __init__(self, in_channels, filters=16, depth=4):
        super().__init__()
        layers = []
        for i in range(depth):
            channels = filters if i else in_channels
            layers += [
                nn.Conv2d(channels, filters, 3, padding=2**i, dilation=2**i, bias=False),
                nn.BatchNorm2d(filters),
                nn.ReLU(),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(filters, 1, 1))

    def forward(self, x):
        """Map images (n, in_channels, height, width) to densities (n, 1, height, width)."""
        return self.layers(x)


# %%
# Its parameters are `architecture_params`, and a search finds them like any others.

from sklearn.model_selection import GridSearchCV

from skcount import DensityMapRegressor
from skcount.datasets import make_cells

X, points = make_cells(n_samples=40, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)
X_train, X_test, points_train, points_test = X[:24], X[24:], points[:24], points[24:]

regressor = DensityMapRegressor(Dilated, sigma=2, batch_size=4, max_epochs=20, random_state=0)
search = GridSearchCV(regressor, {"architecture_params": [{"depth": 1}, {"depth": 3}, {"depth": 5}]}, cv=2)
search.fit(X_train, points_train)
print(search.best_params_)

# %%
# How far a network looks is measured by `reach`, in pixels to each side. With a depth of 1 it sees no more than a pixel and
# its neighbours; the bars of the others overlap, so depth 3 and 5 have not been told apart.

import matplotlib.pyplot as plt

from skcount.networks import reach
from skcount.plotting import SearchDisplay

for depth in (1, 3, 5):
    print(f"depth {depth} looks {reach(Dilated(3, depth=depth), 3, 1)} pixels far")
SearchDisplay.from_estimator(search)
plt.show()

# %%
# Beside the built-in U-Net, trained for as many steps, and the mean training count, which looks at no image.

from sklearn.dummy import DummyRegressor

from skcount.metrics import count_mean_absolute_error
from skcount.plotting import CountErrorDisplay

built_in = DensityMapRegressor("unet", sigma=2, batch_size=4, max_epochs=20, random_state=0)
built_in.fit(X_train, points_train)
blind = DummyRegressor().fit(X_train, points_train)

figure, axes = plt.subplots(1, 2, figsize=(8, 4.4), layout="constrained")
for ax, name, model in zip(axes, ["Dilated", "unet"], [search, built_in], strict=True):
    display = CountErrorDisplay.from_estimator(model, X_test, points_test, ax=ax)
    ax.set_title(f"{name}\n{display.ax_.get_title()}", fontsize="medium")
plt.show()

error, built_in_error, blind_error = (
    count_mean_absolute_error(points_test, model.predict(X_test)) for model in (search, built_in, blind)
)
print(f"MAE: Dilated {error:.2f}, unet {built_in_error:.2f}, mean count {blind_error:.2f} cells")
assert error < blind_error / 2

# %%
# With so few steps the one or the other is ahead, as `random_state` will have it: that a network of twenty lines counts is
# shown, and not that it counts better.

# %%
# What a network should not do is look at all of an image at once: then a tile's map is not the tile of the map, and images
# larger than memory cannot be counted in pieces. Squeeze-and-excitation does so, by a mean over the whole image, and
# so does an instance normalisation. Such a network counts images as a whole, and is refused with `tile_size`.


class SqueezeExcite(nn.Module):
    """Weigh the channels by what their means over the image say."""

    def __init__(self, channels):
        super().__init__()
        self.weigh = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Sigmoid())

    def forward(self, x):
        """Map (n, channels, height, width) to the same."""
        return x * self.weigh(x)


refusal = ""
try:
    reach(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), SqueezeExcite(8), nn.Conv2d(8, 1, 1)), 3, 1)
except ValueError as error:
    refusal = str(error)
print(refusal)
assert "statistics over the image" in refusal

# %%
# Encoders of `segmentation_models_pytorch <https://smp.readthedocs.io>`_ go in the same way, where it is installed. Take one
# without squeeze-and-excitation (RegNetX, not RegNetY). This one is not trained beforehand and sees two epochs, so it
# only shows that it fits in; ``encoder_weights="imagenet"`` downloads weights to begin with.

from importlib.util import find_spec


def regnet_unet(in_channels):
    """Build a U-Net with a RegNetX encoder, which halves its maps five times."""
    import segmentation_models_pytorch as smp

    network = smp.Unet("tu-regnetx_002", encoder_weights=None, in_channels=in_channels, classes=1)
    network.stride = 32
    return network


if find_spec("segmentation_models_pytorch") is None:
    print("segmentation_models_pytorch is not installed")
else:
    encoded = DensityMapRegressor(regnet_unet, sigma=2, max_epochs=2, random_state=0).fit(
        X_train, points_train
    )
    print(encoded.predict(X_test[:3]))
    assert encoded.predict_density(X_test[:3]).shape == (3, 64, 64)
