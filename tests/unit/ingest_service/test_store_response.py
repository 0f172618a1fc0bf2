import json
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest

from ingest_service.api.store_response import DICOM_JSON, DICOM_XML, ENCODERS, preferred_type, store_response
from ingest_service.domain.identity import SopReference
from ingest_service.domain.model import Accepted, Rejected
from ingest_service.domain.reasons import RejectReason

ACCEPTED = Accepted("a.dcm", uuid4(), SopReference("1.2.840.10008.5.1.4.1.1.2", "2.25.1"), repeated=False)
CONFLICTING = Rejected(
    "b.dcm", RejectReason.CONFLICTING_SOP_INSTANCE, "why", SopReference("1.2.840.10008.5.1.4.1.1.2", "2.25.2")
)
UNREADABLE = Rejected("c.dcm", RejectReason.NOT_DICOM, "why")
NAMESPACE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


def test_the_module_in_json_lists_what_was_stored_what_failed_and_what_has_no_name() -> None:
    content = json.loads(ENCODERS[DICOM_JSON](store_response([ACCEPTED], [CONFLICTING, UNREADABLE])))
    ct_image = {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]}
    assert content == {
        "00081190": {"vr": "UR"},
        "00081198": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": ct_image,
                    "00081155": {"vr": "UI", "Value": ["2.25.2"]},
                    "00081197": {"vr": "US", "Value": [0x0111]},
                }
            ],
        },
        "00081199": {
            "vr": "SQ",
            "Value": [
                {"00081150": ct_image, "00081155": {"vr": "UI", "Value": ["2.25.1"]}, "00081190": {"vr": "UR"}},
            ],
        },
        "0008119A": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xC000]}}]},
    }


def test_sequences_without_items_are_left_out() -> None:
    assert [element.keyword for element in store_response([ACCEPTED], [])] == ["RetrieveURL", "ReferencedSOPSequence"]
    assert [element.keyword for element in store_response([], [CONFLICTING])] == ["RetrieveURL", "FailedSOPSequence"]
    assert [element.keyword for element in store_response([], [UNREADABLE])] == ["RetrieveURL", "OtherFailuresSequence"]


def test_the_module_in_xml_follows_the_native_model() -> None:
    content = ENCODERS[DICOM_XML](store_response([ACCEPTED, ACCEPTED], [CONFLICTING]))
    assert content.startswith(b"<?xml version='1.0' encoding='utf-8'?>")
    root = ET.fromstring(content)
    assert root.tag == f"{NAMESPACE}NativeDicomModel"
    url, failed, stored = root
    assert (url.attrib, len(url)) == ({"tag": "00081190", "vr": "UR", "keyword": "RetrieveURL"}, 0)
    assert failed.attrib == {"tag": "00081198", "vr": "SQ", "keyword": "FailedSOPSequence"}
    assert [item.attrib for item in stored] == [{"number": "1"}, {"number": "2"}]
    (item,) = failed
    assert item.tag == f"{NAMESPACE}Item"
    assert [(each.get("keyword"), each[0].tag, each[0].attrib, each[0].text) for each in item] == [
        ("ReferencedSOPClassUID", f"{NAMESPACE}Value", {"number": "1"}, "1.2.840.10008.5.1.4.1.1.2"),
        ("ReferencedSOPInstanceUID", f"{NAMESPACE}Value", {"number": "1"}, "2.25.2"),
        ("FailureReason", f"{NAMESPACE}Value", {"number": "1"}, str(0x0111)),
    ]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("*/*", DICOM_JSON),
        ("application/*", DICOM_JSON),
        ("application/dicom+json", DICOM_JSON),
        ("application/dicom+xml", DICOM_XML),
        ("application/dicom+xml, application/dicom+json;q=0.9", DICOM_XML),
        ("application/dicom+xml;q=0.5, application/dicom+json;q=0.9", DICOM_JSON),
        ("application/dicom+json;q=0, */*;q=0.1", DICOM_XML),
        ("text/html, */*;q=0.8", DICOM_JSON),
        ("application/dicom", None),
        ("text/html", None),
        ("application/dicom+json;q=0", None),
        ("nonsense", None),
        (",", None),
    ],
)
def test_the_accept_header_chooses_the_type(accept: str, chosen: str | None) -> None:
    assert preferred_type(accept) == chosen
