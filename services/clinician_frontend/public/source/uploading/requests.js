/** One request that brings files, with its progress. Both kinds end at once when `signal` is aborted. */

import { addressOf, makeError, Unreachable } from "../api/http.js";
import { accessToken } from "../signing_in/session.js";

const PIECE_BYTES = 8 * 1024 * 1024;
const RESUME_AFTER_MS = [0, 1000, 3000, 5000, 10000, 20000, 30000, 30000, 30000, 30000];

/**
 * Send files in one multipart request and return what became of each. `fetch` tells no progress of what it sends, so
 * this is an XMLHttpRequest. Throws ApiError or Unreachable.
 */
export async function sendTogether(batchId, files, { onProgress, signal }) {
  const form = new FormData();
  for (const { file, name } of files) form.append("files", file, name);
  const token = await accessToken();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", addressOf("ingest", `/v1/batches/${batchId}/files`));
    request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    request.onerror = () => reject(new Unreachable());
    request.onabort = () => reject(signal.reason);
    request.onload = () => {
      if (request.status === 200 && request.response) resolve(request.response);
      else reject(makeError(request.status, request.response, request.getResponseHeader("Retry-After")));
    };
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

/** Send a large file in pieces by tus, which goes on where it was after a lost connection. */
export async function sendResumable(batchId, { file, name }, { onProgress, signal }) {
  await import("../../vendor/tus-js-client/tus.min.js");
  return new Promise((resolve, reject) => {
    const upload = new globalThis.tus.Upload(file, {
      endpoint: new URL(addressOf("ingest", `/v1/batches/${batchId}/uploads`), location.href).href,
      metadata: { filename: name },
      chunkSize: PIECE_BYTES,
      retryDelays: RESUME_AFTER_MS,
      storeFingerprintForResuming: false, // it would keep the file's name in the browser
      onBeforeRequest: async (request) => request.setHeader("Authorization", `Bearer ${await accessToken()}`),
      onProgress: (sent, total) => onProgress(total ? sent / total : 0),
      onSuccess: resolve,
      onError: (error) => reject(errorOfTus(error)),
    });
    signal.addEventListener(
      "abort",
      () => {
        upload.abort(true).catch(() => {}); // what is left there expires
        reject(signal.reason);
      },
      { once: true },
    );
    upload.start();
  });
}

function errorOfTus(error) {
  const answer = error.originalResponse;
  if (!answer) return new Unreachable();
  let problem = {};
  try {
    problem = JSON.parse(answer.getBody());
  } catch {
    // Something between us and the service answered, and not in its language.
  }
  return makeError(answer.getStatus(), problem, answer.getHeader("Retry-After"));
}
