"""Whether a model of transformers takes a mask of attention as it is."""

from __future__ import annotations

import sys


def takes_masks_as_they_are(model_class: type) -> bool:
    """Whether a mask of four axes goes to the attention as it is.

    So it does where transformers makes the masks of all architectures in one place
    (``transformers.masking_utils``). Version 4 did so for some.
    """
    return hasattr(sys.modules[model_class.__module__], "create_bidirectional_mask")
