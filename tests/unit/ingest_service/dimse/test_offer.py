import re
from pathlib import Path

from pydicom import uid
from pynetdicom import AllStoragePresentationContexts

from ingest_service.dimse.server import presentation_contexts, transfer_syntaxes
from ingest_service.domain.dicom import SUPPORTED_SYNTAXES


def test_every_storage_class_is_offered_with_every_syntax_that_validation_takes() -> None:
    verification, *storage = presentation_contexts()
    assert verification.abstract_syntax == "1.2.840.10008.1.1"
    assert {each.abstract_syntax for each in storage} == {
        each.abstract_syntax for each in AllStoragePresentationContexts
    }
    assert {frozenset(each.transfer_syntax) for each in storage} == {SUPPORTED_SYNTAXES}


def test_a_choice_falls_on_uncompressed_and_last_on_lossy() -> None:
    order = transfer_syntaxes()
    assert order[:2] == [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian]
    assert set(order[-5:]) == {
        uid.JPEGBaseline8Bit,
        uid.JPEGExtended12Bit,
        uid.JPEGLSNearLossless,
        uid.JPEG2000,
        uid.HTJ2K,
    }
    assert len(order) == len(set(order)) == len(SUPPORTED_SYNTAXES)


def test_the_conformance_statement_lists_the_syntaxes_in_the_order_of_choice() -> None:
    statement = (Path(__file__).parents[4] / "docs" / "dicom-conformance.md").read_text()
    listed = re.findall(r"^\| (1\.2\.840\.[\d.]+) \| ", statement, re.MULTILINE)
    assert listed == transfer_syntaxes()
