"""The one exception of the encoders."""


class EncoderError(ValueError):
    """An encoder that cannot be used, or text that it does not know; the message says why."""
