"""The model: logits, calibrated probabilities and Grad-CAM maps from one forward pass."""
