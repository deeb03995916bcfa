"""Pictures to frozen features: safe decoding, and encoders whose digest names weights and preprocessing."""

from karma.vision.decoding import MAX_PIXELS, ImageReason, UndecodableImageError, decode_image
from karma.vision.encoders import VisionEncoder, load_vision_encoder

__all__ = ["MAX_PIXELS", "ImageReason", "UndecodableImageError", "VisionEncoder", "decode_image", "load_vision_encoder"]
