"""A report as FHIR R4 resources (HL7 FHIR 4.0.1)."""
