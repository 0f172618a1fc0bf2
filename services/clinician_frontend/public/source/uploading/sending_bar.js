/** What is being sent, on every page. */

import { html } from "../html.js";
import { fileSize, share } from "../parts/numbers.js";
import { cancelSending, dismiss, isUnderWay, sendings, STATES } from "./sending.js";

export function SendingBar() {
  if (sendings.value.length === 0) return null;
  return html`<aside class="sendings" aria-label="What this page sends">
    ${sendings.value.map((each) => html`<${Sending} key=${each.key} sending=${each} />`)}
  </aside>`;
}

function Sending({ sending }) {
  const { key, label, files, bytes, sent, state, words } = sending;
  const isOver = !isUnderWay(state);
  return html`<div class=${`sending ${state}`}>
    <a href=${`/batches/${key}`}>${label || "Upload"}</a>
    <progress max=${bytes || 1} value=${Math.min(sent, bytes) || (isOver ? 1 : 0)} aria-label=${`Sent of ${label || "the upload"}`}></progress>
    <span role="status">${STATES[state]} ${state === "sending" ? share(bytes ? sent / bytes : 0) : ""} · ${files} ${files === 1 ? "file" : "files"}, ${fileSize(bytes)}${words && ` · ${words}`}</span>
    ${isOver
      ? html`<button onClick=${() => dismiss(key)} aria-label=${`Dismiss ${label || "the upload"}`}>Dismiss</button>`
      : html`<button onClick=${() => cancelSending(key)} aria-label=${`Cancel ${label || "the upload"}`}>Cancel</button>`}
  </div>`;
}
