"""
Can I use my own network?
=========================

Yes: any `torch.nn.Module` that maps (n, n_channels, height, width) to (n, 1, height, width). Pass its class,
or any function that builds it from the number of channels, as `architecture`.
"""

# %%
# This network has no pooling; each convolution looks twice as far as the previous one. The network itself
# does not deal with pixel scaling or counts: images are already standardized, negative outputs become 0, and
# the regressor handles training, tiles and saving. (A network with pooling declares its stride in an
# attribute, such as ``stride = 8``.)

from torch import nn


class Dilated(nn.Module):
    """Stack 3 x 3 convolutions with dilations of 1, 2, 4, ..."""

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
# Its parameters are passed as `architecture_params`. A search can set each of them by name.

from sklearn.model_selection import GridSearchCV

from skcount import DensityMapRegressor
from skcount.datasets import make_cells

X, points = make_cells(n_samples=40, image_shape=(64, 64), n_cells=(2, 25), random_state=0, return_X_y=True)
X_train, X_test, points_train, points_test = X[:24], X[24:], points[:24], points[24:]

regressor = DensityMapRegressor(Dilated, sigma=2, batch_size=4, max_epochs=20, random_state=0)
search = GridSearchCV(regressor, {"architecture_params__depth": [1, 3, 5]}, cv=2)
search.fit(X_train, points_train)
print(search.best_params_)

# %%
# `receptive_field` measures how far a network looks, in pixels to each side. With a depth of 1, it sees only
# a pixel and its neighbors. The bars of depths 3 and 5 overlap, so they cannot be distinguished.

import matplotlib.pyplot as plt

from skcount.inference import receptive_field
from skcount.plotting import SearchDisplay

for depth in (1, 3, 5):
    print(f"depth {depth}: {receptive_field(Dilated(3, depth=depth), 3, 1)} pixels to each side")
SearchDisplay.from_estimator(search, x="architecture_params__depth", negate_score=True, score_name="MAE")
plt.show()

# %%
# A comparison with the built-in U-Net, trained for the same number of steps, and with the mean training
# count, which ignores the images.

from sklearn.dummy import DummyRegressor

from skcount.metrics import count_mean_absolute_error
from skcount.plotting import CountErrorDisplay

built_in = DensityMapRegressor("unet", sigma=2, batch_size=4, max_epochs=20, random_state=0)
built_in.fit(X_train, points_train)
baseline = DummyRegressor().fit(X_train, points_train)

figure, axes = plt.subplots(1, 2, figsize=(8, 4.4), layout="constrained")
for ax, name, model in zip(axes, ["Dilated", "unet"], [search, built_in], strict=True):
    display = CountErrorDisplay.from_estimator(model, X_test, points_test, ax=ax)
    ax.set_title(f"{name}\n{display.ax_.get_title()}", fontsize="medium")
plt.show()

error, built_in_error, baseline_error = (
    count_mean_absolute_error(points_test, model.predict(X_test)) for model in (search, built_in, baseline)
)
print(f"MAE: Dilated {error:.2f}, unet {built_in_error:.2f}, baseline {baseline_error:.2f} cells")
assert error < baseline_error / 2

# %%
# With so few steps, either network may be ahead, depending on `random_state`. The example shows that a
# network of twenty lines can count, not that it counts better.

# %%
# A network should not look at the whole image at once. Otherwise the map of a tile differs from that part of
# the whole map, and images larger than memory cannot be counted in pieces. Squeeze-and-excitation does this
# with a mean over the whole image, and so does instance normalization. Such a network can count whole images,
# but is rejected if `tile_size` is set.


class SqueezeExcite(nn.Module):
    """Weight the channels by their means over the image."""

    def __init__(self, channels):
        super().__init__()
        self.weigh = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Sigmoid())

    def forward(self, x):
        """Map (n, channels, height, width) to the same."""
        return x * self.weigh(x)


message = ""
try:
    receptive_field(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), SqueezeExcite(8), nn.Conv2d(8, 1, 1)), 3, 1)
except ValueError as error:
    message = str(error)
print(message)
assert "statistics" in message

# %%
# Encoders of `segmentation_models_pytorch <https://smp.readthedocs.io>`_ work in the same way, if it is
# installed. Choose an encoder without squeeze-and-excitation (RegNetX, not RegNetY). This one is not
# pretrained and trains for only two epochs, so it only shows the interface; ``encoder_weights="imagenet"``
# downloads pretrained weights.

from importlib.util import find_spec


def regnet_unet(in_channels):
    """Build a U-Net with a RegNetX encoder, which halves the size five times."""
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
