/** Batches that this page is sending. They go on while other pages are looked at. */

import { signal } from "@preact/signals";

import { ApiError, mayPass } from "../api/http.js";
import { cancelBatch, closeBatch, createBatch } from "../api/ingest.js";
import { parcelsOf } from "./parcels.js";
import { sendResumable, sendTogether } from "./requests.js";

const AT_ONCE = 2;
const MOST_TRIES = 30;
const LONGEST_PAUSE_S = 30;
const UNPACKING_PAUSE_S = 2;
const SHOWN_WHEN_DONE_MS = 6000;

/** `{key, label, batchId, files, bytes, sent, state, words}`: `sent` in bytes, `state` as in `STATES`. */
export const sendings = signal([]);
export const STATES = { sending: "Sending", waiting: "Waiting for the connection", unpacking: "Being taken in", done: "Sent", failed: "Not sent", cancelled: "Cancelled" };

const controllers = new Map();

/** Send files as a batch. Returns its identifier as soon as there is one; throws where there is none. */
export async function sendBatch(files, { label, priority }) {
  const batch = await createBatch(label, priority);
  const key = batch.batch_id;
  const bytes = files.reduce((sum, { file }) => sum + file.size, 0);
  const start = { key, label, batchId: key, files: files.length, bytes, sent: 0, state: "sending", words: "" };
  sendings.value = [start, ...sendings.value];
  controllers.set(key, new AbortController());
  run(key, files).catch((error) => fail(key, error));
  return key;
}

/** Stop sending a batch, and cancel what nobody has begun with. */
export async function cancelSending(key) {
  controllers.get(key)?.abort(new DOMException("cancelled", "AbortError"));
  change(key, { state: "cancelled", words: "" });
  await cancelBatch(key);
}

/** Take a batch that is no longer being sent from the list. */
export function dismiss(key) {
  sendings.value = sendings.value.filter((each) => each.key !== key);
}

/** Whether something is still to be done in a state. */
export function isUnderWay(state) {
  return ["sending", "waiting", "unpacking"].includes(state);
}

// Leaving the page would lose what is under way.
addEventListener("beforeunload", (event) => sendings.value.some(({ state }) => isUnderWay(state)) && event.preventDefault());

async function run(key, files) {
  const { signal } = controllers.get(key);
  const { together, resumable } = parcelsOf(files);
  const shares = new Map();
  const progress = (job, bytes) => (share) => {
    shares.set(job, share * bytes);
    change(key, { sent: [...shares.values()].reduce((sum, each) => sum + each, 0), state: "sending", words: "" });
  };
  const jobs = [
    ...together.map((group, place) => {
      const bytes = group.reduce((sum, { file }) => sum + file.size, 0);
      return () => sendTogether(key, group, { onProgress: progress(`group ${place}`, bytes), signal });
    }),
    ...resumable.map((each, place) => () => {
      return sendResumable(key, each, { onProgress: progress(`file ${place}`, each.file.size), signal });
    }),
  ];
  const turns = Array.from({ length: AT_ONCE }, async () => {
    for (let job = jobs.shift(); job; job = jobs.shift()) await persist(key, job, signal);
  });
  await Promise.all(turns);
  await closeWhenTakenIn(key, signal);
  change(key, { state: "done", sent: find(key).bytes, words: "" });
  setTimeout(() => dismiss(key), SHOWN_WHEN_DONE_MS);
}

/** Do it until it works, or is refused for a reason that stays. The same file sent again is the same file. */
async function persist(key, job, signal) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await job();
    } catch (error) {
      signal.throwIfAborted();
      if (!mayPass(error) || tries === MOST_TRIES) throw error;
      change(key, { state: "waiting", words: error.message });
      await pause(error.retryAfterS ?? Math.min(LONGEST_PAUSE_S, 2 ** tries / 2), signal);
    }
  }
}

/** Close the batch, once what came in pieces is taken in, which takes as long as the archives are large. */
async function closeWhenTakenIn(key, signal) {
  for (;;) {
    try {
      return await persist(key, () => closeBatch(key), signal);
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== "uploads_pending") throw error;
      change(key, { state: "unpacking", words: "" });
      await pause(error.retryAfterS ?? UNPACKING_PAUSE_S, signal);
    }
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, 1000 * seconds);
    function done() {
      clearTimeout(timer);
      removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    }
    addEventListener("online", done);
    signal.addEventListener("abort", done);
  });
}

function fail(key, error) {
  controllers.get(key)?.abort(error);
  if (find(key)?.state !== "cancelled") change(key, { state: "failed", words: error.message });
}

function find(key) {
  return sendings.value.find((each) => each.key === key);
}

function change(key, values) {
  sendings.value = sendings.value.map((each) => (each.key === key && each.state !== "cancelled" ? { ...each, ...values } : each));
}
