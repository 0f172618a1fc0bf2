"""Takes DICOM in, validates it, stores it and announces it."""
