/** Signs out whoever does nothing for a while, after a warning. */

import { signal } from "@preact/signals";

import { configuration } from "../configuration.js";
import { account, signOut } from "./session.js";

const WARNING_S = 60;
const ACTS = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"];

/** Seconds until who is signed in is signed out, once that is near, or null. */
export const idleSecondsLeft = signal(null);

let lastAct = Date.now();

/** Begin to look; called once. */
export function watchIdleness() {
  for (const act of ACTS) addEventListener(act, () => idleSecondsLeft.value ?? stayActive(), { passive: true, capture: true });
  setInterval(look, 1000);
}

/** Somebody is there. */
export function stayActive() {
  lastAct = Date.now();
  idleSecondsLeft.value = null;
}

function look() {
  if (account.value === null) return stayActive();
  const leftS = Math.ceil(60 * configuration().idle_sign_out_minutes - (Date.now() - lastAct) / 1000);
  if (leftS <= 0) signOut("idle");
  else idleSecondsLeft.value = leftS <= WARNING_S ? leftS : null;
}
