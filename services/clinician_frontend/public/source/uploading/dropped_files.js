/** What somebody drops or chooses, as `{file, name}`: folders are walked, and names are paths inside what was dropped. */

const LITTER = new Set([".ds_store", "thumbs.db", "desktop.ini"]);

/** Everything in a drop. */
export async function filesOfDrop(transfer) {
  // Taken at once: what was dropped is there only until the event is over.
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const entries = items.map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const found = [];
  for (const { entry, file } of entries) {
    if (entry) await walk(entry, found);
    else if (file && wanted(file)) found.push({ file, name: file.name });
  }
  return found;
}

/** Everything in a file input, which may have chosen a folder. */
export function filesOfInput(input) {
  return [...input.files].filter(wanted).map((file) => ({ file, name: file.webkitRelativePath || file.name }));
}

async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    if (wanted(file)) found.push({ file, name: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // A reader gives a hundred or so at a time, and none when it is at the end.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const each of some) await walk(each, found);
  }
}

function wanted(file) {
  return !LITTER.has(file.name.toLowerCase());
}
