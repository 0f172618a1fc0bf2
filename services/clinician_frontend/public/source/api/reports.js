/** The report API: worklist, reports, their pictures and reviews, erasures, retention. */

import { send, sendJson } from "./http.js";

/** A page of the worklist. The Patient ID goes into the body, never into an address. */
export const searchReports = (filters, cursor, limit = 50) =>
  sendJson("reports", "/v1/worklist/search", { method: "POST", body: { ...set(filters), limit, cursor: cursor ?? null } });
export const countReports = (filters) =>
  sendJson("reports", "/v1/worklist/counts", { method: "POST", body: set(filters) });
export const getStudy = (uid) => sendJson("reports", `/v1/studies/${encodeURIComponent(uid)}`);

/** A report and the tag of its state, which a review has to name. */
export async function getReport(id) {
  const answer = await send("reports", `/v1/reports/${id}`);
  return { report: await answer.json(), etag: answer.headers.get("ETag") };
}

export const listReviews = (id) => sendJson("reports", `/v1/reports/${id}/review/versions`, { query: { limit: 20 } });

/** Say what somebody thinks of a report whose state was `etag`; 412 where somebody else was faster. */
export const putReview = (id, etag, review) =>
  sendJson("reports", `/v1/reports/${id}/review`, { method: "PUT", body: review, headers: { "If-Match": etag } });

export const getFrame = (id, frame) => send("reports", `/v1/reports/${id}/frame.npy`, { query: { frame } });
export const getHeat = (id) => send("reports", `/v1/reports/${id}/heatmap.npy`);
export const getSource = (id) => send("reports", `/v1/reports/${id}/source`);
export const getDocument = (id) =>
  send("reports", `/v1/reports/${id}/document`, { headers: { Accept: "application/pdf" } });
export const getFhir = (id) => send("reports", `/v1/reports/${id}/fhir`);

export const requestErasure = (erasure) => sendJson("reports", "/v1/erasures", { method: "POST", body: erasure });
export const getErasure = (id) => sendJson("reports", `/v1/erasures/${id}`);
export const getRetention = () => sendJson("reports", "/v1/retention");
export const listReportAudit = (after) => sendJson("reports", "/v1/audit", { query: { limit: 100, after } });
export const reportAuditHead = () => sendJson("reports", "/v1/audit/head");

function set(filters) {
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== null && value !== undefined && value !== ""));
}
