/** Keeps an answer as a file on the reader's machine. */

/** Offer an answer's body under a name. */
export async function saveAs(answer, name) {
  const address = URL.createObjectURL(await answer.blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
