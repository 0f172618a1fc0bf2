/** The APIs' codes in words. A code that is not here is shown as it is. */

export const URGENCIES = { stat: "Stat", urgent: "Urgent", routine: "Routine" };
export const URGENCY_MEANS = {
  stat: "Read it at once.",
  urgent: "Read it before routine images.",
  routine: "Read it in its turn.",
};
export const REVIEW_STATES = { unreviewed: "Not reviewed", agree: "Agreed", disagree: "Disagreed", unsure: "Unsure" };
export const LABELS = {
  finding_present: "The finding is there",
  finding_absent: "The finding is not there",
  other_finding: "Not this finding, but another one",
  not_assessable: "The image cannot be judged",
};
export const BATCH_STATES = { receiving: "Receiving", processing: "Being screened", done: "Done" };
export const FILE_STATUSES = {
  queued: "Waiting",
  processing: "Being screened",
  reported: "Reported",
  failed: "Failed",
  cancelled: "Cancelled",
  rejected: "Refused",
};
export const TOPICS = { "report.created": "New reports", "report.reviewed": "Reviews", "report.erased": "Erasures" };
export const DELIVERY_STATES = { pending: "Waiting", delivered: "Delivered", failed: "Given up" };
const EVENTS = { "report.created": "New report", "report.reviewed": "Review", "report.erased": "Erasure", "destination.tested": "Test" };

const REASONS = {
  empty_file: "The file is empty.",
  too_large: "The file, or what it unpacks to, is larger than the limit.",
  unexpected_field: "It was sent in a part of the form that is not for files.",
  not_dicom: "This is no DICOM file.",
  malformed: "The file is damaged and cannot be read safely.",
  truncated: "The file was cut off before its end.",
  unsupported_transfer_syntax: "The images are compressed in a way that cannot be read here.",
  missing_uid: "The file does not say which image it is (a UID is missing).",
  missing_attribute: "Something that describes the image is missing.",
  invalid_attribute: "Something that describes the image has an impossible value.",
  no_pixel_data: "The file holds no image.",
  pixel_length_mismatch: "The image data do not match the size that the file announces.",
  sop_mismatch: "The sender announced another image than it sent.",
  validation_timeout: "Checking the file took too long.",
  validation_crashed: "The file brought down the process that checked it.",
  malformed_archive: "The ZIP archive is damaged.",
  empty_archive: "The ZIP archive is empty.",
  archive_bomb: "The ZIP archive unpacks to more than the limit, or its entries overlap.",
  encrypted_archive: "The ZIP archive needs a password.",
  unsupported_compression: "The ZIP archive uses a compression that is not read here.",
  unsafe_path: "The name leads out of the archive, or it is a link.",
  nested_archive: "An archive inside an archive is not opened.",
  duplicate_name: "The archive has two files of this name.",
  conflicting_sop_instance: "An image with the same identifier but other content is here already.",
  burned_in_annotation: "The image may show who the patient is, and this hospital removes that.",
  quota_exceeded: "The day's quota is used up.",
  other_study: "The image belongs to another study than was announced.",
  outside_intended_use: "No model here is meant for this kind of image.",
  deadline_exceeded: "Screening took too long. It may work when it is tried again.",
  retries_exhausted: "Screening failed several times. It may work when it is tried again.",
  dead_letter: "Screening gave up. It may work when it is tried again.",
  object_missing: "The stored image was not found. It may work when it is tried again.",
  object_lost: "The stored image is lost. Send the file again.",
  decoder_crashed: "The image brought down the process that decodes it.",
  decoder_timeout: "Decoding the image took too long. It may work when it is tried again.",
  undecodable_pixel_data: "The image data cannot be decoded.",
  unusable_pixel_values: "The image data hold values that are no numbers.",
  unsupported_photometric: "The image's colours are described in a way that is not read here.",
  malformed_attributes: "Something that describes the image is damaged.",
  not_reached: "Nobody answers at the address.",
  timeout: "No answer came in time.",
  tls_failed: "The certificate is not accepted.",
  broken_connection: "The connection broke.",
  address_not_allowed: "The host's name leads to an address that nothing is sent to.",
  destination_host_not_allowed: "The host is not allowed any more.",
  secret_unreadable: "The secret cannot be opened: make a new one.",
  not_sent_in_time: "It could not be sent in time.",
};

/** A reason code as a sentence. */
export function reasonWords(code) {
  return REASONS[code] ?? code.replaceAll("_", " ");
}

/** A CloudEvents type, such as `org.radrelay.report.created.v1`, in words. */
export function eventWords(type) {
  const name = type.split(".").slice(2, 4).join(".");
  return EVENTS[name] ?? name;
}

/** What a report says of its finding. */
export function suspicion({ positive }) {
  return positive ? "suspected" : "not suspected";
}

/** The first letter large. */
export function capitalised(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
