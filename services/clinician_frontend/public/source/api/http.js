/** Requests to the public APIs: with the token of now, and with errors that people can read. */

import { configuration } from "../configuration.js";
import { accessToken, tokenWasRefused } from "../signing_in/session.js";

/** An answer that is an error: `code` and `detail` are the API's own (problem details, RFC 9457). */
export class ApiError extends Error {
  constructor(status, code, detail, retryAfterS) {
    super(detail);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

/** The service did not answer at all: no network, or nobody there. */
export class Unreachable extends Error {
  constructor() {
    super("Radrelay cannot be reached. Is the network there?");
    this.name = "Unreachable";
  }
}

/** The address of a path of one of the APIs `ingest`, `reports` and `dashboard`, without parameters that are not set. */
export function addressOf(api, path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const parameters = new URLSearchParams(given).toString();
  return configuration().apis[api] + path + (parameters ? `?${parameters}` : "");
}

/** Send a request and return the answer. Throws ApiError or Unreachable. */
export async function send(api, path, { query, headers = {}, ...options } = {}) {
  let answer;
  try {
    answer = await fetchWithToken(addressOf(api, path, query), { ...options, headers });
  } catch (error) {
    if (error instanceof TypeError) throw new Unreachable();
    throw error;
  }
  if (!answer.ok) throw await errorOf(answer);
  return answer;
}

/** `fetch` with the token of now, and once more with a new one where that was not taken. */
export async function fetchWithToken(address, options) {
  const attempt = async () =>
    fetch(address, { ...options, headers: { ...options.headers, Authorization: `Bearer ${await accessToken()}` } });
  const answer = await attempt();
  return answer.status === 401 && (await tokenWasRefused()) ? attempt() : answer;
}

/** Send a request and return the JSON of the answer. */
export async function sendJson(api, path, { body, headers = {}, ...options } = {}) {
  const content = body === undefined ? {} : { body: JSON.stringify(body) };
  const typed = body === undefined ? headers : { "Content-Type": "application/json", ...headers };
  return (await send(api, path, { ...options, ...content, headers: typed })).json();
}

async function errorOf(answer) {
  let problem = {};
  try {
    problem = await answer.json();
  } catch {
    // Something between us and the service answered, and not in its language.
  }
  return makeError(answer.status, problem, answer.headers.get("Retry-After"));
}

/** An error out of a status, problem details, and the header Retry-After. */
export function makeError(status, problem, retryAfter) {
  const detail = problem?.detail || problem?.title || USUAL[status] || `The service answered with status ${status}.`;
  const pause = Number(retryAfter);
  return new ApiError(status, problem?.code ?? "", detail, Number.isFinite(pause) && pause > 0 ? pause : null);
}

const USUAL = {
  401: "You are signed in no longer.",
  403: "That is not yours to do.",
  404: "That is not there, or not yours.",
  429: "Too many requests; wait a moment.",
  502: "The service is not there just now.",
  503: "The service is busy or starting; try again in a moment.",
};

/** Whether the same request may well succeed in a moment. */
export function mayPass(error) {
  return error instanceof Unreachable || (error instanceof ApiError && [408, 425, 429, 500, 502, 503, 504].includes(error.status));
}
