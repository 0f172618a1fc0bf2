"""Synthetic head-CT phantoms written as DICOM."""
