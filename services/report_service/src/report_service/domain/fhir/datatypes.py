"""Building blocks of FHIR R4 resources, and the systems that codes and identifiers are of."""

import re
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

Element = dict[str, Any]
"""A resource, or a part of one, as it is written in JSON."""

DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
"""Codes of PS3.16 annex D; those of modalities are the values of Modality (0008,0060)."""
DICOM_UID: Final = "urn:dicom:uid"
"""Of identifiers: the value is a DICOM UID as `urn:oid:`."""
INTERPRETATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
LOINC: Final = "http://loinc.org"
OBSERVATION_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
PRIORITY: Final = "http://hl7.org/fhir/request-priority"
SERVICE_SECTION: Final = "http://terminology.hl7.org/CodeSystem/v2-0074"
UNITS: Final = "http://unitsofmeasure.org"
URI: Final = "urn:ietf:rfc:3986"
OURS: Final = "urn:radrelay:report"
"""What no standard has a code for."""
SUBJECTS: Final = "urn:radrelay:subject"
"""Of identifiers: the `sub` of a person, as in the export of the audit trail."""

_ABSENT_REASON: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_UNWRITABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""What no FHIR string may hold."""
_OTHER_SPACE: Final = re.compile(r"[^\S \t\r\n]")
"""What some readers take for no character of a string."""
_NOTHING: Final = "not stated"


def said(text: str) -> str:
    """A text that came from outside, as a FHIR string: without control characters, and never blank."""
    return _OTHER_SPACE.sub(" ", _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)).strip() or _NOTHING


def coding(system: str, code: str, display: str) -> Element:
    """A code of a system."""
    return {"system": system, "code": code, "display": display}


def concept(text: str, *codings: Element) -> Element:
    """What is meant in words, and by codes where there are any."""
    return ({"coding": list(codings)} if codings else {}) | {"text": said(text)}


def identifier(system: str, value: str) -> Element:
    """A name that something has in a system."""
    return {"system": system, "value": value}


def annotation(text: str) -> Element:
    """A remark."""
    return {"text": said(text)}


def instant(at: datetime) -> str:
    """A moment in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def urn(resource_id: UUID) -> str:
    """Where a resource is found in its bundle."""
    return f"urn:uuid:{resource_id}"


def oid(uid: str) -> str:
    """A DICOM UID as a URI."""
    return f"urn:oid:{uid}"


def reference(resource_id: UUID) -> Element:
    """A pointer to another resource of the bundle."""
    return {"reference": urn(resource_id)}


def person(subject: str) -> Element:
    """A pointer to somebody who is not in the bundle, by their `sub`."""
    return {"type": "Practitioner", "identifier": identifier(SUBJECTS, said(subject))}


def withheld() -> Element:
    """In the place of what has to be there and is not told (code `masked` of HL7's data-absent-reason)."""
    return {"extension": [{"url": _ABSENT_REASON, "valueCode": "masked"}]}
