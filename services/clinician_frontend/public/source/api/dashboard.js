/** The dashboard API: figures of a period, of one clinician (`own`) or of the tenant. */

import { send, sendJson } from "./http.js";
import { listen } from "./live.js";

const ask = (path, query) => sendJson("dashboard", `/v1/${path}`, { query });

export const getTrend = (chosen, step) => ask("trends", { ...chosen, step });
export const getBreakdown = (chosen, by) => ask("breakdown", { ...chosen, by });
export const getHistogram = (chosen) => ask("histogram", chosen);
export const getTurnaround = (chosen) => ask("turnaround", chosen);
export const getFailures = (chosen) => ask("failures", chosen);
export const getAgreement = (chosen) => ask("agreement", chosen);
export const getExport = (chosen) => send("dashboard", "/v1/export", { query: chosen });

/** The summary, now and whenever it changes. */
export function watchSummary(chosen, onSummary, onState) {
  return listen("dashboard", "/v1/summary/events", {
    query: chosen,
    events: ["summary"],
    onEvent: (_, summary) => onSummary(summary),
    onState,
  });
}
