import hashlib
import io
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.uid import UID

from ingest_service.deidentification.files import Deidentified, deidentify_file
from ingest_service.deidentification.profile import METHOD
from ingest_service.deidentification.pseudonyms import pseudonym_keys
from ingest_service.domain.dicom import validate_dicom
from ingest_service.domain.limits import DicomLimits
from ingest_service.domain.reasons import Refusal, RejectReason
from support.dicom_files import compressed, encode, image, new_uid, set_pixels
from support.identified import CANARY, DESCRIBE_THE_IMAGE, encode_identified, identified_image

KEYS = pseudonym_keys(b"k" * 32, "north")
LIMITS = DicomLimits()
Convert = Callable[[bytes], tuple[Deidentified, bytes]]


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """De-identifies a file, and says what is known of it and what was written."""

    def run(content: bytes) -> tuple[Deidentified, bytes]:
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_bytes(content)
        validate_dicom(source, LIMITS)
        return deidentify_file(source, target, KEYS, LIMITS), target.read_bytes()

    return run


def read(content: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(content))


NATIVE = [
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
]


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.name)
def test_no_canary_survives_and_the_pixels_do(convert: Convert, syntax: UID) -> None:
    original = identified_image()
    pixels = bytes(range(48))
    set_pixels(original, pixels)
    done, written = convert(encode_identified(original, syntax))
    result = read(written)
    plain = io.BytesIO()
    result.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian if syntax.is_deflated else syntax
    result.save_as(plain, enforce_file_format=True)
    assert CANARY.encode() not in written
    assert CANARY.encode() not in plain.getvalue()
    assert CANARY.lower() not in str(result).lower()
    assert result.PixelData == pixels
    assert (done.size_bytes, done.sha256) == (len(written), hashlib.sha256(written).hexdigest())
    assert done.patient is not None
    assert done.patient.patient_id == CANARY
    assert result.PatientID == str(result.PatientName) == done.patient.pseudonym == KEYS.pseudonym_of(CANARY)


def test_the_result_says_how_it_was_made_and_its_meta_information_follows(convert: Convert) -> None:
    original = image()
    done, written = convert(encode(original))
    result = read(written)
    assert (result.PatientIdentityRemoved, result.DeidentificationMethod) == ("YES", METHOD)
    assert result.LongitudinalTemporalInformationModified == "REMOVED"
    (code,) = result.DeidentificationMethodCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113100", "DCM")
    assert result.SOPInstanceUID == KEYS.map_uid(original.SOPInstanceUID) == done.facts.sop_instance_uid
    assert result.file_meta.MediaStorageSOPInstanceUID == result.SOPInstanceUID
    assert result.file_meta.MediaStorageSOPClassUID == result.SOPClassUID == original.SOPClassUID
    assert written[:128] == bytes(128)
    assert "SourceApplicationEntityTitle" not in result.file_meta


def test_what_describes_the_image_is_kept(convert: Convert) -> None:
    original = image()
    for keyword in DESCRIBE_THE_IMAGE:
        setattr(original, keyword, "B30f")
    original.PixelSpacing, original.RescaleSlope = [0.5, 0.25], "1.5"
    original.ImageType = ["ORIGINAL", "PRIMARY"]
    plane = Dataset()
    plane.ImagePositionPatient = [1, 2, 3]
    group = Dataset()
    group.PlanePositionSequence = [plane]
    original.PerFrameFunctionalGroupsSequence = [group]
    _, written = convert(encode(original))
    result = read(written)
    assert all(result[keyword].value == "B30f" for keyword in DESCRIBE_THE_IMAGE)
    assert (result.PixelSpacing, result.RescaleSlope, result.ImageType) == ([0.5, 0.25], 1.5, ["ORIGINAL", "PRIMARY"])
    assert result.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient == [1, 2, 3]
    assert result.BodyPartExamined == "HEAD"


def test_references_between_files_still_fit(convert: Convert) -> None:
    first, second = image(), image()
    second.StudyInstanceUID = first.StudyInstanceUID
    first.FrameOfReferenceUID = second.FrameOfReferenceUID = new_uid()
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = first.SOPClassUID, first.SOPInstanceUID
    second.ReferencedImageSequence = [reference]
    (_, one), (_, two) = convert(encode(first)), convert(encode(second))
    a, b = read(one), read(two)
    assert b.ReferencedImageSequence[0].ReferencedSOPInstanceUID == a.SOPInstanceUID != first.SOPInstanceUID
    assert b.ReferencedImageSequence[0].ReferencedSOPClassUID == first.SOPClassUID
    assert (a.StudyInstanceUID, a.FrameOfReferenceUID) == (b.StudyInstanceUID, b.FrameOfReferenceUID)
    assert a.SeriesInstanceUID != b.SeriesInstanceUID


def test_the_same_patient_has_the_same_pseudonym_however_the_identifier_is_padded(convert: Convert) -> None:
    pseudonyms = set()
    for patient_id in ("P-17", "P-17 ", " P-17"):
        original = image()
        original.PatientID = patient_id
        pseudonyms.add(read(convert(encode(original))[1]).PatientID)
    assert pseudonyms == {KEYS.pseudonym_of("P-17")}


def test_identifiers_and_texts_in_other_scripts_are_understood(convert: Convert) -> None:
    original = image()
    original.SpecificCharacterSet, original.PatientID, original.Manufacturer = "ISO_IR 192", "患者-17", "島津"
    done, written = convert(encode(original))
    assert done.patient is not None
    assert done.patient.patient_id == "患者-17"
    assert read(written).Manufacturer == "島津"
    assert "患者".encode() not in written


def test_without_a_patient_id_there_is_nobody_to_remember(convert: Convert) -> None:
    done, written = convert(encode(image()))
    assert done.patient is None
    assert str(read(written).PatientName) == ""


def test_compressed_fragments_are_copied_and_the_same_file_gives_the_same_bytes(convert: Convert) -> None:
    content = compressed([b"first frame", b"second"], uid.JPEG2000Lossless)
    (_, written), (_, again) = convert(content), convert(content)
    assert written == again
    at, there = content.index(b"\xe0\x7f\x10\x00OB"), written.index(b"\xe0\x7f\x10\x00OB")
    assert written[there:] == content[at:]


@pytest.mark.parametrize(
    ("sop_class", "said", "refused"),
    [
        (uid.CTImageStorage, "YES", True),
        (uid.CTImageStorage, None, False),
        (uid.UltrasoundImageStorage, None, True),
        (uid.UltrasoundImageStorage, "", True),
        (uid.UltrasoundImageStorage, "NO", False),
        (uid.SecondaryCaptureImageStorage, None, True),
        (uid.SecondaryCaptureImageStorage, "YES", True),
    ],
)
def test_pixels_that_may_name_the_patient_are_refused(
    convert: Convert, sop_class: UID, said: str | None, *, refused: bool
) -> None:
    original = image()
    original.SOPClassUID = sop_class
    if said is not None:
        original.BurnedInAnnotation = said
    if not refused:
        assert convert(encode(original))[0].facts.sop_class_uid == sop_class
        return
    with pytest.raises(Refusal) as caught:
        convert(encode(original))
    assert caught.value.reason is RejectReason.BURNED_IN_ANNOTATION


def test_files_that_pydicom_ships_keep_their_pixels_and_lose_their_patient_or_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    refused: dict[RejectReason, set[str]] = defaultdict(set)
    converted = 0
    for path in valid_files():
        try:
            deidentify_file(path, target, KEYS, LIMITS)
        except Refusal as refusal:
            refused[refusal.reason].add(path.name)
            continue
        converted += 1
        original, result = pydicom.dcmread(path), pydicom.dcmread(target)
        assert result.PixelData == original.PixelData
        assert result.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID
        assert result.get("PixelSpacing") == original.get("PixelSpacing")
        assert not str(original.get("PatientName", "")) or str(original.PatientName) not in str(result)
        assert not [element for element in result.iterall() if element.tag.is_private]
    assert converted >= 15
    assert refused.keys() == {RejectReason.BURNED_IN_ANNOTATION, RejectReason.MALFORMED}
    assert refused[RejectReason.MALFORMED] == {"SC_rgb_jpeg.dcm"}  # its data set is not encoded as it says
    assert refused[RejectReason.BURNED_IN_ANNOTATION] > {"JPEG2000.dcm", "JPEG-lossy.dcm", "SC_rgb_rle.dcm"}


def valid_files() -> Iterator[Path]:
    for path in sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm")):
        with suppress(Refusal):
            validate_dicom(path, LIMITS)
            yield path


def test_sequences_nested_past_what_can_be_walked_are_refused(convert: Convert, tmp_path: Path) -> None:
    content = encode(image())
    at = content.index(b"\xe0\x7f\x10\x00")
    nested = b""
    for _ in range(2000):
        item = b"\xfe\xff\x00\xe0" + len(nested).to_bytes(4, "little") + nested
        nested = b"\x54\x00\x10\x04SQ\0\0" + len(item).to_bytes(4, "little") + item  # explicit lengths: read late
    source = tmp_path / "nested"
    source.write_bytes(content[:at] + nested + content[at:])
    with pytest.raises(Refusal) as caught:
        deidentify_file(source, tmp_path / "out", KEYS, LIMITS)
    assert caught.value.reason is RejectReason.MALFORMED
