/** What the viewer shows of a report, fetched once and kept for as long as its case is looked at. */

import { getFrame, getHeat } from "../api/reports.js";
import { readNpy } from "./npy.js";

const KEPT = 64;
const frames = new Map();

/** `{image, isHounsfield, isInverted, window, frame, frames}` of a report's frame; `image` holds modality values. */
export function fetchFrame(reportId, frame) {
  return kept(`${reportId}/${frame ?? ""}`, async () => {
    const answer = await getFrame(reportId, frame);
    const number = (name) => Number(answer.headers.get(name));
    return {
      image: readNpy(await answer.arrayBuffer()),
      isHounsfield: answer.headers.get("Rescale-Type") === "HU",
      isInverted: answer.headers.get("Presentation-LUT-Shape") === "INVERSE",
      window: {
        center: number("Window-Center"),
        width: number("Window-Width"),
        isExact: answer.headers.get("VOI-LUT-Function") === "LINEAR_EXACT",
      },
      frame: number("Frame-Number"),
      frames: number("Number-Of-Frames"),
    };
  });
}

/** The heat of a report, or null where none was kept. */
export function fetchHeat(reportId) {
  return kept(`${reportId}/heat`, async () => {
    try {
      return readNpy(await (await getHeat(reportId)).arrayBuffer());
    } catch (error) {
      if (error.status === 404) return null;
      throw error;
    }
  });
}

/** Forget everything: whoever signs in next fetches it anew. */
export function forgetFrames() {
  frames.clear();
}

function kept(key, fetcher) {
  if (!frames.has(key)) {
    const promise = fetcher();
    frames.set(key, promise);
    promise.catch(() => frames.delete(key)); // asked for again the next time
    if (frames.size > KEPT) frames.delete(frames.keys().next().value);
  }
  return frames.get(key);
}
