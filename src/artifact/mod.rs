//! What a mis-tilt can fake: sensitivity of the shift to tilt, estimates of the tilt from an image, correction, bound and verdict.
