/** Windows that radiologists know by name (centre, width), in Hounsfield units; the same as the report API has. */

export const WINDOWS_HU = {
  brain: { words: "Brain", center: 40, width: 80 },
  subdural: { words: "Subdural", center: 80, width: 200 },
  stroke: { words: "Stroke", center: 40, width: 40 },
  bone: { words: "Bone", center: 600, width: 2800 },
  soft_tissue: { words: "Soft tissue", center: 50, width: 350 },
  lung: { words: "Lung", center: -600, width: 1500 },
  mediastinum: { words: "Mediastinum", center: 50, width: 350 },
  abdomen: { words: "Abdomen", center: 50, width: 400 },
};
const LEAST_WIDTH = 1e-3;

/**
 * Show values in a window as grey pixels, `pixels` being RGBA, four bytes for each value: by DICOM's function
 * LINEAR_EXACT, or LINEAR, which is half a value beside it (PS3.3 section C.11.2.1.2 and C.11.2.1.3.2).
 */
export function applyWindow(values, { center, width, inverted, isExact }, pixels) {
  const shift = isExact || width <= 1 ? 0 : 0.5;
  const scale = 255 / Math.max(width - 2 * shift, LEAST_WIDTH);
  const offset = 127.5 - (center - shift) * scale;
  const flip = inverted ? 255 : 0;
  const words = new Uint32Array(pixels.buffer);
  for (let i = 0; i < values.length; i += 1) {
    const linear = values[i] * scale + offset;
    const grey = (linear < 0 ? 0 : linear > 255 ? 255 : linear + 0.5) ^ flip;
    words[i] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
  }
}
