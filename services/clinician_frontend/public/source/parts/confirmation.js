/** A question that has to be answered before something is done that cannot be taken back. */

import { useEffect, useRef } from "preact/hooks";

import { html } from "../html.js";

/** Shows `{title, text, no, yes, then}` when there is a new one, and calls `then` when the answer is yes. */
export function Confirmation({ question }) {
  const dialog = useRef(null);
  useEffect(() => {
    if (!question) return;
    // Whoever leaves with Escape answers nothing, and would give the answer of the time before.
    dialog.current.returnValue = "no";
    dialog.current.showModal();
  }, [question]);
  return html`<dialog ref=${dialog} aria-labelledby="confirmation-title" onClose=${() => dialog.current.returnValue === "yes" && question.then()}>
    <h2 id="confirmation-title">${question?.title}</h2><p>${question?.text}</p>
    <form method="dialog" class="actions"><button value="no" autofocus>${question?.no}</button><button value="yes" class="danger">${question?.yes}</button></form>
  </dialog>`;
}
