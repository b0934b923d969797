"""Fitted networks as ONNX files, for programs without torch."""

import io
import logging
import math
import warnings
from contextlib import contextmanager, redirect_stdout
from copy import deepcopy

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from skcount._files import check_target, replacing
from skcount._optional import import_optional
from skcount.images import ImageSet
from skcount.inference._predictor import Predictor
from skcount.networks import inference_copy

# Largest allowed difference between the counts of ONNX Runtime and torch, in objects, plus a millionth of the count.
TOLERANCE = 1e-3


class ExportedNetwork(nn.Module):
    """A `DensityNetwork` in evaluation mode with its change of size, written so that it treats all sizes alike."""

    def __init__(self, module, factor=1):
        super().__init__()
        self.network = module.network
        self.stride = module.stride
        self.factor = factor
        for name in ("mean", "std", "output_scale"):
            self.register_buffer(name, getattr(module, name))

    def forward(self, images):
        """Map images (n, n_channels, height, width) to densities (n, height, width) and counts (n,), in float64."""
        density = self._density(self._reduce(images))
        return self._spread(density, images), density.double().sum(dim=(1, 2))

    def _density(self, images):
        height, width = images.shape[-2:]
        more = self.stride - 1
        # Pad by the largest amount that may be needed, then crop to the amount that is needed.
        padded = functional.pad((images - self.mean) / self.std, (0, more, 0, more), mode="replicate")
        rows, cols = ((size + more) // self.stride * self.stride for size in (height, width))
        density = self.network(padded[..., :rows, :cols])[:, 0, :height, :width]
        return density.clamp(min=0) * self.output_scale

    def _reduce(self, images):
        """Return images at the working size, as `scale_images` does."""
        if self.factor == 1:
            return images
        if self.factor < 1:
            return _repeat(images, round(1 / self.factor))
        return _block_sums(images, self.factor) / _block_sums(torch.ones_like(images), self.factor)

    def _spread(self, density, images):
        """Return maps at the size of the images, as `unscale_density` does."""
        if self.factor == 1:
            return density
        if self.factor < 1:
            return _block_sums(density, round(1 / self.factor))
        height, width = images.shape[-2:]
        n_pixels = _block_sums(torch.ones_like(images[:, 0]), self.factor)
        return _repeat(density / n_pixels, self.factor)[..., :height, :width]


def _block_sums(maps, side):
    """Return the sums over blocks of pixels, which are smaller at the bottom and at the right."""
    padded = functional.pad(maps, (0, side - 1, 0, side - 1))
    return functional.avg_pool2d(padded, side) * side**2


def _repeat(maps, side):
    return maps.repeat_interleave(side, -1).repeat_interleave(side, -2)


def export_onnx(module, path, factor=1):
    """Write a DensityNetwork to an ONNX file completely or not at all, if ONNX Runtime gives the same counts."""
    path = check_target(path)
    for name in ("onnx", "onnxscript"):
        import_optional(name, "export_onnx", "onnx")
    onnxruntime = import_optional("onnxruntime", "export_onnx", "onnx")
    network = ExportedNetwork(inference_copy(deepcopy(module).cpu().float()), factor).eval()
    content = _to_onnx(network)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    _compare(Predictor(module, factor=factor), session)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _to_onnx(network):
    """Return the content of the file."""
    # Use odd sizes, so that the exporter does not specialise on multiples of a number.
    sides = (math.ceil(n * network.stride * network.factor) for n in (5, 7))
    images = _noise(network, (2, *(side + more for side, more in zip(sides, (3, 1), strict=True))))
    content = io.BytesIO()
    with _quiet():
        try:
            free = torch.export.Dim.DYNAMIC
            program = torch.onnx.export(
                network,
                (images,),
                dynamo=True,
                dynamic_shapes=({0: free, 2: free, 3: free},),
                input_names=["images"],
                output_names=["density", "counts"],
            )
        except Exception as error:
            raise ValueError(
                f"torch cannot export this network for images of any size ({type(error).__name__}, see above). Use "
                "operations that it supports, and avoid branches that depend on the size of an image."
            ) from error
        program.save(content)
    return content.getvalue()


def _compare(predictor, session):
    """Reject a file whose counts differ from those of a Predictor, on its own device and in its own precision."""
    stride = math.ceil(predictor.module.stride * predictor.factor)
    for shape in [(1, 1, 1), (1, 4 * stride, 4 * stride), (3, 9 * stride + 2, 3 * stride - 1)]:
        images = _noise(predictor.module, shape)
        expected = predictor.counts(ImageSet(images.permute(0, 2, 3, 1).numpy()))
        found = session.run(["counts"], {"images": images.numpy()})[0]
        if not np.allclose(found, expected, rtol=1e-6, atol=TOLERANCE):
            raise RuntimeError(
                f"ONNX Runtime counts {found.tolist()} objects on noise of {shape[1]} x {shape[2]} pixels, but torch "
                f"counts {expected.tolist()}. No file was written. Please report the versions of both."
            )


def _noise(network, shape):
    """Return noise with the mean and standard deviation of the training images."""
    n, height, width = shape
    noise = torch.randn(n, network.mean.shape[1], height, width, generator=torch.Generator().manual_seed(0))
    return noise * network.std.cpu().float() + network.mean.cpu().float()


@contextmanager
def _quiet():
    """Silence the exporter's messages about packages that are not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
