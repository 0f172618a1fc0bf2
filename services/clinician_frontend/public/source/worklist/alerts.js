/** A sound and a number in the tab's title for new stat cases: only for whoever asks for it. */

import { signal } from "@preact/signals";

const KEY = "radrelay.alerts";
const TITLE = "Radrelay";

export const alertsAreOn = signal(localStorage.getItem(KEY) === "on");

let known = null;
let unseen = 0;

/** Turn alerts on or off, here and at the next visit. */
export function chooseAlerts(on) {
  localStorage.setItem(KEY, on ? "on" : "off");
  alertsAreOn.value = on;
  if (on) beep(); // so that one knows it, and the browser lets the page make sounds
  if (!on) seen();
}

/** Tell how many unreviewed stat cases there are now. */
export function noteStatCases(number) {
  const fresh = known === null ? 0 : number - known;
  known = number;
  if (!alertsAreOn.value || fresh <= 0) return;
  unseen += fresh;
  document.title = `(${unseen}) ${TITLE}`;
  beep();
}

/** Somebody looks at the worklist. */
export function seen() {
  unseen = 0;
  document.title = TITLE;
}

function beep() {
  const context = new AudioContext();
  const tone = context.createOscillator();
  const volume = context.createGain();
  tone.frequency.value = 880;
  volume.gain.setValueAtTime(0.15, context.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.001, context.currentTime + 0.4);
  tone.connect(volume).connect(context.destination);
  tone.start();
  tone.stop(context.currentTime + 0.4);
  tone.onended = () => context.close();
}
