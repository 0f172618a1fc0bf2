/** The destinations of the report API: places that results are sent to. */

import { send, sendJson } from "./http.js";

export const listDestinations = () => sendJson("reports", "/v1/destinations");

/** The answer holds the secret, this once. */
export const createDestination = (destination) => sendJson("reports", "/v1/destinations", { method: "POST", body: destination });

/** Changes name what was seen; 412 where somebody else was faster. */
export const changeDestination = ({ destination_id, etag }, changes) =>
  sendJson("reports", `/v1/destinations/${destination_id}`, { method: "PATCH", body: changes, headers: { "If-Match": etag } });
export const removeDestination = ({ destination_id, etag }) =>
  send("reports", `/v1/destinations/${destination_id}`, { method: "DELETE", headers: { "If-Match": etag } });
export const rotateSecret = ({ destination_id, etag }) =>
  sendJson("reports", `/v1/destinations/${destination_id}/secret`, { method: "POST", headers: { "If-Match": etag } });

export const testDestination = (id) => sendJson("reports", `/v1/destinations/${id}/test`, { method: "POST" });
export const listDeliveries = (id) => sendJson("reports", `/v1/destinations/${id}/deliveries`, { query: { limit: 50 } });
export const redeliver = (id, eventId) =>
  sendJson("reports", `/v1/destinations/${id}/deliveries/${encodeURIComponent(eventId)}/redeliver`, { method: "POST" });
