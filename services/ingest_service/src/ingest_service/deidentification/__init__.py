"""The Basic Application Level Confidentiality Profile of DICOM PS3.15 Annex E, with consistent UIDs and pseudonyms."""
