/** Server-sent events with the token of now, opened again whenever they end or break off. */

import { EventSource } from "eventsource";

import { addressOf, fetchWithToken } from "./http.js";

const AGAIN_MS = 3000;
const PACE_MS = 1000;

/**
 * Call `onEvent(name, data)` for events until the function that is returned is called. `onState` is told whether the
 * stream is open. A stream that ends is opened again: servers end them now and then, so that tokens are looked at.
 *
 * Each event says how things stand, so of those of a name that come within a second only the last is passed on: pages
 * fetch more with each.
 */
export function listen(api, path, { query, events, onEvent, onState = () => {} }) {
  let stopped = false;
  let source = null;
  let timer = null;
  let passing = null;
  let passedAt = 0;
  const waiting = new Map();

  const pass = () => {
    passing = null;
    passedAt = Date.now();
    const events = [...waiting];
    waiting.clear();
    for (const [name, data] of events) if (!stopped) onEvent(name, data);
  };
  const take = (name, data) => {
    waiting.delete(name); // it is the last now
    waiting.set(name, data);
    passing ??= setTimeout(pass, Math.max(0, passedAt + PACE_MS - Date.now()));
  };
  const again = () => {
    source?.close();
    onState(false);
    if (!stopped) timer = setTimeout(open, AGAIN_MS);
  };
  const open = () => {
    source = new EventSource(addressOf(api, path, query), { fetch: fetchWithToken });
    source.onopen = () => onState(true);
    source.onerror = again;
    for (const name of events) source.addEventListener(name, (event) => take(name, JSON.parse(event.data)));
  };

  open();
  return () => {
    stopped = true;
    clearTimeout(timer);
    clearTimeout(passing);
    source.close();
  };
}
