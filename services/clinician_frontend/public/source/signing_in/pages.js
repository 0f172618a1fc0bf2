/** What is shown to whoever is not signed in, and the warning before that. */

import { useEffect, useRef } from "preact/hooks";

import { html } from "../html.js";
import { idleSecondsLeft, stayActive } from "./idle.js";
import { signedOutBecause, signIn, signOut } from "./session.js";

/** The door. */
export function SignInPage() {
  return html`<main class="door">
    <h1>Radrelay</h1>
    <p>Screens images, explains every result, and puts the most urgent first.</p>
    ${signedOutBecause.value && html`<p class="notice" role="status">${signedOutBecause.value}</p>`}
    <button class="primary" onClick=${() => signIn()}>Sign in</button>
    <p class="fine">No medical device. The demonstration model is trained on synthetic phantoms and is not for clinical use.</p>
  </main>`;
}

/** A dialog for the last minute. */
export function IdleWarning() {
  const dialog = useRef(null);
  const left = idleSecondsLeft.value;
  useEffect(() => {
    if (left !== null && !dialog.current.open) dialog.current.showModal();
    if (left === null && dialog.current.open) dialog.current.close();
  }, [left]);
  return html`<dialog ref=${dialog} aria-labelledby="idle-title" onClose=${stayActive}>
    <h2 id="idle-title">Are you still there?</h2>
    <p>You will be signed out in ${left ?? 0} seconds.</p>
    <form method="dialog" class="actions">
      <button class="primary" autofocus>Stay signed in</button>
      <button type="button" onClick=${() => signOut()}>Sign out</button>
    </form>
  </dialog>`;
}
