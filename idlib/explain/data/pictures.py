"""The embedded images: how many of each class, how they look, and which are there twice."""

from __future__ import annotations

import math
from collections import Counter

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor

from idlib.data.images import ImageData
from idlib.explain.style import closed, white_grid
from idlib.report.figures.style import FONT_SCALE, WIDTH


def class_counts(data: ImageData) -> pd.DataFrame:
    """Images by class and split, and ``all`` of each split."""
    counts = pd.DataFrame(
        {name: Counter(split.labels.tolist()) for name, split in data.splits.items()}
    )
    counts = counts.reindex(range(len(data.classes))).fillna(0).astype(int)
    counts.index = pd.Index(data.classes)
    counts.loc["all"] = counts.sum()
    return counts


def classes_figure(data: ImageData) -> Figure:
    """The first test image of each class."""
    test = data.splits["test"]
    first = [int((test.labels == label).nonzero()[0]) for label in range(len(data.classes))]
    images = test.batch(first)["image"].mean(1)  # [classes, H, W]
    with white_grid(FONT_SCALE):
        columns = min(5, len(first))
        shape = math.ceil(len(first) / columns), columns
        figure, axes = plt.subplots(*shape, figsize=(WIDTH, 1.6 * shape[0]), squeeze=False)
        for axis in axes.flat:
            axis.axis("off")
        for axis, image, name in zip(axes.flat, images, data.classes, strict=False):
            axis.imshow(image.numpy(), cmap="gray_r")
            axis.set_title(name.replace(" / ", "/\n"), fontsize="small")
        return closed(figure)


def seen_in_training(images: Tensor, training: Tensor) -> int:
    """How many images [N, C, H, W] are among those of training [M, C, H, W], pixel by pixel."""
    seen = {image.numpy().tobytes() for image in training}
    return sum(image.numpy().tobytes() in seen for image in images)
