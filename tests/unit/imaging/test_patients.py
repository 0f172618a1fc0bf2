import io

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from radrelay_imaging import Refusal, RefusalReason, read_patient
from support.dicom_files import encode, image


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_the_identifier_and_its_issuer_are_read_without_padding(syntax: object) -> None:
    dataset = image()
    dataset.PatientID, dataset.IssuerOfPatientID = "PAT-7301 ", "North"
    assert read_patient(io.BytesIO(encode(dataset, syntax))) == ("PAT-7301", "North")  # type: ignore[arg-type]  # parametrized


def test_the_character_set_of_the_file_holds() -> None:
    dataset = image()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientID = "B\u00d6-1"
    assert read_patient(io.BytesIO(encode(dataset))) == ("B\u00d6-1", None)


@pytest.mark.parametrize("patient_id", [None, "", "  "])
def test_an_image_that_names_nobody_gives_nobody(patient_id: str | None) -> None:
    dataset = image()
    if patient_id is not None:
        dataset.PatientID = patient_id
    assert read_patient(io.BytesIO(encode(dataset))) is None


def test_a_backslash_stays_part_of_the_identifier() -> None:
    dataset = image()
    dataset.PatientID = ["A", "B"]
    assert read_patient(io.BytesIO(encode(dataset))) == ("A\\B", None)


@pytest.mark.filterwarnings("ignore:The value length:UserWarning")
def test_an_identifier_that_is_too_long_is_refused_without_being_quoted() -> None:
    dataset = image()
    dataset.PatientID = "7301" * 17
    with pytest.raises(Refusal) as caught:
        read_patient(io.BytesIO(encode(dataset)))
    assert caught.value.reason is RefusalReason.MALFORMED_ATTRIBUTES
    assert "7301" not in caught.value.detail


@pytest.mark.parametrize("content", [b"", b"no DICOM file", bytes(200)])
def test_what_is_no_dicom_file_is_refused_without_being_quoted(content: bytes) -> None:
    with pytest.raises(Refusal):
        read_patient(io.BytesIO(content))
