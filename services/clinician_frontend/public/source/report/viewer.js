/** The image viewer: window and level, zoom, heat, frames and the images of the series. */

import { useMemo, useState } from "preact/hooks";

import { html } from "../html.js";
import { Choice } from "../parts/choice.js";
import { useKeys } from "../parts/keyboard.js";
import { Failure, Loading, useFetched } from "../parts/loading.js";
import { share } from "../parts/numbers.js";
import { suspicion } from "../parts/words.js";
import { ImageCanvas } from "./canvas.js";
import { fetchFrame, fetchHeat } from "./frames.js";
import { COLOUR_MAPS, drawHeat } from "./heat.js";
import { START, zoomed } from "./view.js";
import { WINDOWS_HU } from "./windows.js";

const MODES = { overlay: "Heat over the image", side: "Side by side", image: "Image alone", heat: "Heat alone" };
const STEP = 0.15;

/** `onStep(step)` goes to another image of the series; null where there is none. */
export function Viewer({ report, onStep }) {
  const [chosenFrame, setChosenFrame] = useState({});
  const frameNumber = chosenFrame[report.report_id] ?? null;
  const setFrameNumber = (number) => setChosenFrame({ [report.report_id]: number });
  const { value: frame, error, loading, reload } = useFetched(() => fetchFrame(report.report_id, frameNumber), [report.report_id, frameNumber]);
  const heat = useFetched(() => fetchHeat(report.report_id), [report.report_id]);
  const [mode, setMode] = useState("overlay");
  const [opacity, setOpacity] = useState(0.6);
  const [colourMap, setColourMap] = useState("inferno");
  const [chosen, setChosen] = useState(null);
  const [view, setView] = useState(START);

  const window = windowOf(chosen, frame);
  const resultFrame = report.provenance?.frame_number ?? 1;
  const isOfResult = !frame || frame.frame === resultFrame;
  const over = useMemo(() => (heat.value ? drawHeat(heat.value, colourMap) : null), [heat.value, colourMap]);
  const alone = useMemo(() => (heat.value ? drawHeat(heat.value, colourMap, { opaque: true }) : null), [heat.value, colourMap]);

  const change = (values) => setChosen({ ...window, ...values, preset: "" });
  const drag = (dx, dy) => change({
    width: Math.max(minimum(frame), window.width * Math.exp(dx / 200)),
    center: window.center + (dy * window.width) / 300,
  });
  const preset = (name) => frame && setChosen(name === "own" ? null : { ...window, ...WINDOWS_HU[name], isExact: true, preset: name });
  const reset = () => {
    setChosen(null);
    setView(START);
  };
  const manyFrames = (frame?.frames ?? 1) > 1;
  const scroll = manyFrames ? (step) => setFrameNumber(Math.min(frame.frames, Math.max(1, frame.frame + step))) : onStep;
  const zoom = (factor) => setView((before) => zoomed(before, factor, { x: 0, y: 0 }, { width: 0, height: 0 }));
  const presets = frame?.isHounsfield ? Object.entries(WINDOWS_HU) : [];
  useKeys({
    i: () => frame && change({ inverted: !window.inverted }),
    h: () => setMode(mode === "image" ? "overlay" : "image"),
    s: () => setMode(mode === "side" ? "overlay" : "side"),
    0: reset,
    "+": () => zoom(1 + STEP),
    "-": () => zoom(1 / (1 + STEP)),
    ArrowDown: () => scroll?.(1),
    ArrowUp: () => scroll?.(-1),
    ...Object.fromEntries(presets.map(([name], place) => [String(place + 1), () => preset(name)])),
  });

  const canvas = (kind) => html`<${ImageCanvas} frame=${frame} window=${window} view=${view} opacity=${opacity} showsImage=${kind !== "heat"}
    heat=${kind === "image" || !isOfResult ? null : kind === "heat" ? alone : over} words=${wordsOf(report, kind)}
    onWindow=${drag} onView=${setView} onScroll=${scroll} />`;
  return html`<div class="viewer">
    <div class=${`canvases ${mode === "side" ? "two" : ""}`}>
      ${frame && (mode === "side" ? html`${canvas("image")}${canvas("overlay")}` : canvas(mode))}
      <${Loading} when=${loading && !frame} />
      <${Failure} error=${error} again=${reload} />
    </div>
    <div class="tools" role="group" aria-label="How the image is shown">
      <${Choice} label="Show" value=${mode} options=${MODES} onChange=${setMode} />
      <label>Heat <input type="range" min="0" max="1" step="0.05" value=${opacity} aria-valuetext=${share(opacity)} onInput=${(event) => setOpacity(Number(event.target.value))} /></label>
      <${Choice} label="Colours" value=${colourMap} options=${wordsBy(COLOUR_MAPS)} onChange=${setColourMap} />
      <${Choice} label="Window" value=${window?.preset ?? "own"} onChange=${preset} first=${window?.preset === "" && "By hand"}
        options=${{ own: "As the image has it", ...Object.fromEntries(presets.map(([name, { words }], place) => [name, `${words} (${place + 1})`])) }} />
      ${frame && html`<label>Centre <input type="number" step="any" value=${rounded(window.center)} onChange=${(event) => numeric(event, (center) => change({ center }))} /></label>
      <label>Width <input type="number" step="any" min="0" value=${rounded(window.width)} onChange=${(event) => numeric(event, (width) => width > 0 && change({ width }))} /></label>`}
      <button aria-pressed=${Boolean(window?.inverted)} disabled=${!frame} onClick=${() => change({ inverted: !window.inverted })}>Invert</button>
      <button onClick=${() => zoom(1 + STEP)} aria-label="Enlarge">+</button><button onClick=${() => zoom(1 / (1 + STEP))} aria-label="Make smaller">−</button>
      <button onClick=${reset}>Reset</button>
      ${manyFrames && html`<label>Frame <input type="range" min="1" max=${frame.frames} value=${frame.frame} onInput=${(event) => setFrameNumber(Number(event.target.value))} /> ${frame.frame} of ${frame.frames}</label>`}
    </div>
    ${!isOfResult && html`<p class="notice">The result and its heat are of frame ${resultFrame}. <button onClick=${() => setFrameNumber(resultFrame)}>Go there</button></p>`}
    ${heat.value === null && !heat.loading && html`<p class="quiet">${heat.error ? heat.error.message : "No heat was kept for this report."}</p>`}
    <p class="fine">Drag: window and level. Right button or Shift: move. Wheel: ${scroll ? "scroll; with Ctrl: zoom" : "zoom"}. Keys: <kbd>i</kbd> invert, <kbd>h</kbd> heat, <kbd>s</kbd> side by side, <kbd>0</kbd> reset, <kbd>1</kbd>–<kbd>8</kbd> windows, <kbd>Escape</kbd> out of a field.
      Heat is scaled to its own maximum: it shows where the evidence lies, not how strong it is.</p>
  </div>`;
}

function wordsBy(things) {
  return Object.fromEntries(Object.entries(things).map(([name, { words }]) => [name, words]));
}

function windowOf(chosen, frame) {
  if (chosen) return chosen;
  return frame ? { ...frame.window, inverted: frame.isInverted, preset: "own" } : null;
}

/** A window of Hounsfield units is at least one wide; luminance runs from 0 to 1. */
function minimum(frame) {
  return frame.image.values instanceof Int16Array || frame.isHounsfield ? 1 : 1e-3;
}

function rounded(value) {
  return Math.abs(value) >= 10 ? Math.round(value) : Number(value.toFixed(3));
}

function numeric(event, take) {
  const value = event.target.valueAsNumber;
  if (Number.isFinite(value)) take(value);
}

function wordsOf(report, kind) {
  const what = [report.modality, report.body_part?.toLowerCase()].filter(Boolean).join(" of ");
  const said = `${report.finding} ${suspicion(report)}`;
  return kind === "heat" ? `Heat of the evidence for ${report.finding}` : `${what} image, ${said}${kind === "image" ? "" : ", with the heat of the evidence over it"}`;
}
