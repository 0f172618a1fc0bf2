"""Intake over the DICOM network: a Verification and Storage SCP as a process of its own (PS3.4 annexes A and B)."""
