/** The worklist: the most urgent first, live, and to be worked through by keyboard. */

import { useLocation } from "preact-iso/router";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { watchSummary } from "../api/dashboard.js";
import { fetchPages } from "../api/pages.js";
import { countReports, searchReports } from "../api/reports.js";
import { html } from "../html.js";
import { LiveMark, ReviewBadge, UrgencyBadge } from "../parts/badges.js";
import { useKeys } from "../parts/keyboard.js";
import { Failure, Loading, useFetched } from "../parts/loading.js";
import { age, count, moment, probability } from "../parts/numbers.js";
import { Scrolling } from "../parts/scrolling.js";
import { capitalised, suspicion, URGENCIES } from "../parts/words.js";
import { QuickReview } from "../report/quick_review.js";
import { isAdministrator } from "../signing_in/session.js";
import { alertsAreOn, chooseAlerts, noteStatCases, seen } from "./alerts.js";
import { addressOfFilters, Filters, filtersOf } from "./filters.js";
import { remember } from "./neighbours.js";

export function WorklistPage() {
  const { query, route } = useLocation();
  const [secret, setSecret] = useState({});
  const [pages, setPages] = useState(1);
  const [at, setAt] = useState(0);
  const [verdict, setVerdict] = useState(null);
  const filters = useMemo(() => filtersOf(query), [JSON.stringify(query)]);
  const asked = { ...filters, ...secret };
  const list = useFetched(() => fetchPages((cursor) => searchReports(asked, cursor), "reports", pages), [JSON.stringify(asked), pages]);
  const counts = useFetched(() => countReports(asked), [JSON.stringify(asked)]);
  const live = useLiveness(() => {
    list.reload();
    counts.reload();
  });
  const reports = list.value?.items ?? [];
  const here = Math.min(at, Math.max(0, reports.length - 1));
  const rows = useRef(null);

  useEffect(() => remember(reports.map(({ report_id }) => report_id)), [list.value]);
  useEffect(() => {
    const unreviewed = (counts.value?.counts ?? []).filter(({ urgency, review_state }) => urgency === "stat" && review_state === "unreviewed");
    if (counts.value) noteStatCases(unreviewed.reduce((sum, each) => sum + each.reports, 0));
    if (document.hasFocus()) seen();
  }, [counts.value]);
  useEffect(() => {
    addEventListener("focus", seen);
    return () => removeEventListener("focus", seen);
  }, []);

  const go = (step) => () => {
    const next = Math.max(0, Math.min(reports.length - 1, here + step));
    setAt(next);
    rows.current?.children[next]?.scrollIntoView({ block: "nearest" });
  };
  const open = () => reports[here] && route(`/reports/${reports[here].report_id}`);
  const review = (what) => () => reports[here] && setVerdict(what);
  useKeys({ j: go(1), ArrowDown: go(1), k: go(-1), ArrowUp: go(-1), Enter: verdict ? () => {} : open, a: review("agree"), d: review("disagree"), u: review("unsure") });

  return html`<section>
    <div class="title"><h1>Worklist</h1><${LiveMark} live=${live} />
      <label class="quiet"><input type="checkbox" checked=${alertsAreOn.value} onChange=${(event) => chooseAlerts(event.target.checked)} /> Sound for new stat cases</label></div>
    <${Counts} counts=${counts.value} filters=${filters} />
    <${Filters} filters=${filters} secret=${secret} onPrivate=${setSecret} onChange=${(chosen) => {
      setAt(0);
      setPages(1);
      route(addressOfFilters(chosen));
    }} />
    <${Failure} error=${list.error} again=${list.reload} />
    <${Loading} when=${list.loading && !list.value} />
    ${verdict && reports[here] && html`<${QuickReview} report=${reports[here]} verdict=${verdict} onEnd=${(saved) => {
      setVerdict(null);
      if (saved) list.reload();
    }} />`}
    ${list.value && reports.length === 0 && html`<p class="quiet">No case here. <a href="/batches">Send images</a>, or take filters away.</p>`}
    ${reports.length > 0 && html`<${Scrolling} label="Worklist"><table class="worklist">
      <thead><tr><th scope="col">Urgency</th><th scope="col">Finding</th><th scope="col" class="number">Probability</th><th scope="col" class="number">Confidence</th>
        <th scope="col">Image</th><th scope="col">Patient</th>${isAdministrator() && html`<th scope="col">Owner</th>`}<th scope="col">Received</th><th scope="col">Review</th></tr></thead>
      <tbody ref=${rows}>${reports.map((report, place) => html`<${Row} key=${report.report_id} report=${report} isHere=${place === here} onPoint=${() => setAt(place)} />`)}</tbody>
    </table><//>`}
    ${list.value?.cursor && html`<button onClick=${() => setPages(pages + 1)}>More cases</button>`}
    <p class="fine">Keys: <kbd>j</kbd> next, <kbd>k</kbd> previous, <kbd>Enter</kbd> open, <kbd>a</kbd> agree, <kbd>d</kbd> disagree, <kbd>u</kbd> unsure.</p>
  </section>`;
}

function Row({ report, isHere, onPoint }) {
  const address = `/reports/${report.report_id}`;
  return html`<tr class=${isHere ? "here" : ""} aria-current=${isHere ? "true" : undefined} onPointerDown=${onPoint}>
    <td><${UrgencyBadge} urgency=${report.urgency} /></td>
    <td><a href=${address}>${capitalised(report.finding)}: ${suspicion(report)}</a></td>
    <td class="number">${probability(report.probability)}</td><td class="number">${probability(report.confidence)}</td>
    <td>${[report.modality, report.body_part].filter(Boolean).join(" ")}</td><td>${report.patient?.patient_id ?? "–"}</td>
    ${isAdministrator() && html`<td>${report.owner_id}</td>`}
    <td title=${moment(report.received_at)}>${age(report.received_at)}</td><td><${ReviewBadge} state=${report.review_state} /></td>
  </tr>`;
}

function Counts({ counts, filters }) {
  const number = (urgency) => (counts?.counts ?? []).filter((each) => each.urgency === urgency && each.review_state === "unreviewed");
  return html`<div class="tiles">${Object.keys(URGENCIES).map((urgency) => {
    const parts = number(urgency);
    const sum = parts.reduce((total, each) => total + each.reports, 0);
    return html`<a class="tile link" href=${addressOfFilters({ ...filters, urgency, review_state: "unreviewed" })}>
      <${UrgencyBadge} urgency=${urgency} /><strong>${counts ? count(sum) + (parts.some(({ is_more }) => is_more) ? "+" : "") : "–"}</strong><span class="quiet">not reviewed</span></a>`;
  })}</div>`;
}

/** Call `onChange` whenever a report comes, is reviewed or goes, as the dashboard's live figures say. */
function useLiveness(onChange) {
  const [live, setLive] = useState(false);
  const latest = useRef(onChange);
  latest.current = onChange;
  useEffect(() => {
    let isFirst = true;
    const scope = isAdministrator() ? "tenant" : "own";
    return watchSummary({ scope }, () => {
      if (!isFirst) latest.current();
      isFirst = false;
    }, setLive);
  }, []);
  return live;
}
