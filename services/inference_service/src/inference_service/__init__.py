"""Screens stored images with a calibrated, explained model."""
