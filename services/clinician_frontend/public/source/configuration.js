/** What an installation sets, read when the page starts: see the README for each field. */

let current = null;

/** Fetch `/config.json`. Throws an Error that says what is wrong with it. */
export async function loadConfiguration() {
  const answer = await fetch("/config.json", { cache: "no-store" });
  if (!answer.ok) throw new Error(`/config.json is answered ${answer.status}.`);
  const given = await answer.json();
  for (const field of ["issuer", "client_id", "apis"]) {
    if (!given[field]) throw new Error(`/config.json has no "${field}".`);
  }
  for (const api of ["ingest", "reports", "dashboard"]) {
    if (!given.apis[api]) throw new Error(`/config.json has no "apis.${api}".`);
  }
  current = Object.freeze({
    scope: "openid",
    idle_sign_out_minutes: 15,
    model_cards: {},
    ...given,
    issuer: new URL(given.issuer, location.origin).href,
    apis: Object.fromEntries(Object.entries(given.apis).map(([name, address]) => [name, address.replace(/\/+$/, "")])),
  });
  return current;
}

/** What was loaded. */
export function configuration() {
  return current;
}
