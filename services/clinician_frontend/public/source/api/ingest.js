/** The ingest API: batches, their files, refused files, quotas. */

import { send, sendJson } from "./http.js";
import { listen } from "./live.js";

export const listBatches = (cursor) => sendJson("ingest", "/v1/batches", { query: { limit: 50, cursor } });
export const getBatch = (id) => sendJson("ingest", `/v1/batches/${id}`);
export const listFiles = (id, cursor) => sendJson("ingest", `/v1/batches/${id}/files`, { query: { limit: 200, cursor } });
export const closeBatch = (id) => sendJson("ingest", `/v1/batches/${id}/close`, { method: "POST" });
export const cancelBatch = (id) => once(`/v1/batches/${id}/cancel`);
export const retryBatch = (id) => once(`/v1/batches/${id}/retry`);
export const createBatch = (label, priority) => once("/v1/batches", { label: label || null, priority });
export const getQuota = () => sendJson("ingest", "/v1/quota");

/** Live progress; `done` is the last event. */
export function watchBatch(id, onEvent, onState) {
  return listen("ingest", `/v1/batches/${id}/events`, { events: ["progress", "done"], onEvent, onState });
}

export const listRejected = (cursor) => sendJson("ingest", "/v1/rejected-files", { query: { limit: 50, cursor } });
export const getRejectedContent = (id) => send("ingest", `/v1/rejected-files/${id}/content`);
export const resubmitRejected = (id) => sendJson("ingest", `/v1/rejected-files/${id}/resubmit`, { method: "POST" });
export const listIntakeAudit = (after) => sendJson("ingest", "/v1/audit", { query: { limit: 100, after } });
export const intakeAuditHead = () => sendJson("ingest", "/v1/audit/head");

/** A request that is carried out once, however often the network makes us send it. */
function once(path, body) {
  return sendJson("ingest", path, { method: "POST", body, headers: { "Idempotency-Key": crypto.randomUUID() } });
}
