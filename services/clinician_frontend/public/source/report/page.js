/** One case: the image, what the model says and what that means, the review, and the way to the next case. */

import { useLocation } from "preact-iso/router";
import { useEffect } from "preact/hooks";

import { fetchPages } from "../api/pages.js";
import { getReport, getStudy, searchReports } from "../api/reports.js";
import { html } from "../html.js";
import { UrgencyBadge } from "../parts/badges.js";
import { useKeys } from "../parts/keyboard.js";
import { Failure, Loading, useFetched } from "../parts/loading.js";
import { capitalised, suspicion } from "../parts/words.js";
import { neighboursOf } from "../worklist/neighbours.js";
import { Downloads } from "./downloads.js";
import { Explanation } from "./explanation.js";
import { fetchFrame } from "./frames.js";
import { ReviewPanel } from "./review_panel.js";
import { SeriesStrip } from "./series.js";
import { Viewer } from "./viewer.js";

/** Of a series: so many pages of so many images. */
const MOST_PAGES = 10;
const IMAGES_A_PAGE = 200;

const byUid = new Intl.Collator("en", { numeric: true });

/** Where an image stands in its series; those that do not say come last. */
const placeOf = ({ instance_number }) => instance_number ?? Number.MAX_SAFE_INTEGER;

export function ReportPage({ id }) {
  const { route } = useLocation();
  const { value, error, loading, reload } = useFetched(() => getReport(id), [id]);
  const report = value?.report.report_id === id ? value.report : null;
  // Of what is known so far, so that the next image of the same series asks for nothing.
  const latest = value?.report;
  const series = useFetched(() => fetchSeries(latest), [latest?.series_instance_uid, latest?.model.digest]);
  const { previous, next } = neighboursOf(id);
  const go = (to) => () => to && route(`/reports/${to}`);

  const images = series.value?.reports ?? [];
  const place = images.findIndex(({ report_id }) => report_id === id);
  const step = (by) => {
    const other = images[Math.min(images.length - 1, Math.max(0, place + by))];
    if (other && other.report_id !== id) route(`/reports/${other.report_id}`, true);
  };
  useEffect(() => {
    for (const near of [images[place + 1], images[place - 1]]) if (near) fetchFrame(near.report_id, null).catch(() => {}); // asked for again when it is shown
  }, [place, images.length]);
  useKeys({ j: go(next), k: go(previous) });

  if (!report) return html`<section><${Failure} error=${error} again=${reload} /><${Loading} when=${loading} /></section>`;
  return html`<section class="case">
    <div class="title">
      <p class="crumb"><a href="/">Worklist</a></p>
      <h1>${capitalised(report.finding)}: ${suspicion(report)}</h1><${UrgencyBadge} urgency=${report.urgency} />
      <span class="actions"><button disabled=${!previous} onClick=${go(previous)}>Previous (k)</button><button disabled=${!next} onClick=${go(next)}>Next (j)</button></span>
    </div>
    <p class="notice warn">${report.notice}</p>
    <div class="columns">
      <div><${Viewer} report=${report} onStep=${images.length > 1 ? step : null} />
        <${SeriesStrip} images=${images} at=${id} keyImages=${series.value?.keyImages ?? []} error=${series.error} /></div>
      <div class="panel"><${ReviewPanel} key=${report.report_id} report=${report} etag=${value.etag} onSaved=${reload} /><${Explanation} report=${report} /><${Downloads} report=${report} /></div>
    </div>
  </section>`;
}

/** The images of a report's series that the same model saw, in the order of their numbers, and the key images. */
async function fetchSeries(report) {
  if (!report) return null;
  const asked = { series_instance_uid: report.series_instance_uid, model_digest: report.model.digest };
  const [found, study] = await Promise.all([
    fetchPages((cursor) => searchReports(asked, cursor, IMAGES_A_PAGE), "reports", MOST_PAGES),
    getStudy(report.study_instance_uid),
  ]);
  const reports = found.items.filter(({ owner_id }) => owner_id === report.owner_id);
  reports.sort((one, other) => placeOf(one) - placeOf(other) || byUid.compare(one.sop_instance_uid, other.sop_instance_uid));
  return { reports, keyImages: study.key_images.map(({ report_id }) => report_id) };
}
