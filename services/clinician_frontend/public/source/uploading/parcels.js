/** How files are sent: small ones together in requests, large ones each by itself and resumable. */

const RESUMABLE_BYTES = 32 * 1024 * 1024;
const FILES_AT_ONCE = 16;
const BYTES_AT_ONCE = 32 * 1024 * 1024;

/** `{together, resumable}`: groups of files for one request each, and files to be sent in pieces. */
export function parcelsOf(files) {
  const together = [];
  let group = [];
  let bytes = 0;
  for (const each of files.filter(({ file }) => file.size <= RESUMABLE_BYTES)) {
    if (group.length === FILES_AT_ONCE || (group.length && bytes + each.file.size > BYTES_AT_ONCE)) {
      together.push(group);
      group = [];
      bytes = 0;
    }
    group.push(each);
    bytes += each.file.size;
  }
  if (group.length) together.push(group);
  return { together, resumable: files.filter(({ file }) => file.size > RESUMABLE_BYTES) };
}
