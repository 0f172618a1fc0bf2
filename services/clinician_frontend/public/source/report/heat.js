/** Heat as a picture to lie over the image: colours as in the report API, opaque in proportion to the evidence. */

export const COLOUR_MAPS = {
  inferno: { words: "Inferno", stops: "000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d24644 e45a31 f1731d f98e09 fcac11 f9cb35 f2ea69 fcffa4" },
  viridis: { words: "Viridis", stops: "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725" },
  magma: { words: "Magma", stops: "000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 d0416f e75263 f56b5c fc8961 fea772 fec488 fde2a3 fcfdbf" },
  cividis: { words: "Cividis", stops: "00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 8c8878 9b9476 aba072 bcae6c cdbb63 dec958 f0d846 fee838" },
};
const SIDE_PX = 256;

/**
 * A canvas that is to be stretched over exactly the image. Scaled to the map's own maximum: it shows where the evidence
 * lies, not how strong it is. With `opaque` it is the heat alone.
 */
export function drawHeat({ rows, columns, values }, colourMap, { opaque = false } = {}) {
  const colours = COLOUR_MAPS[colourMap].stops.split(" ").map((stop) => [0, 2, 4].map((at) => parseInt(stop.slice(at, at + 2), 16)));
  const canvas = new OffscreenCanvas(SIDE_PX, SIDE_PX);
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE_PX, SIDE_PX);
  const peak = values.reduce((most, each) => Math.max(most, each), 0);
  for (let y = 0; y < SIDE_PX; y += 1) {
    for (let x = 0; x < SIDE_PX; x += 1) {
      const heat = peak > 0 ? Math.max(0, at(values, rows, columns, y, x)) / peak : 0;
      const step = Math.min(heat, 1) * (colours.length - 1);
      const [low, high] = [colours[Math.floor(step)], colours[Math.ceil(step)]];
      const place = 4 * (y * SIDE_PX + x);
      for (let channel = 0; channel < 3; channel += 1) {
        image.data[place + channel] = low[channel] + (high[channel] - low[channel]) * (step % 1);
      }
      image.data[place + 3] = opaque ? 255 : 255 * Math.min(heat, 1);
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The map between its cells, linear in both directions; cells cover the image and are known at their centres. */
function at(values, rows, columns, y, x) {
  const [top, down] = between(((y + 0.5) * rows) / SIDE_PX - 0.5, rows);
  const [left, right] = between(((x + 0.5) * columns) / SIDE_PX - 0.5, columns);
  const row = (r) => values[r * columns + left.cell] * left.weight + values[r * columns + right.cell] * right.weight;
  return row(top.cell) * top.weight + row(down.cell) * down.weight;
}

function between(place, length) {
  const clamped = Math.max(0, Math.min(length - 1, place));
  const first = Math.floor(clamped);
  return [
    { cell: first, weight: 1 - (clamped - first) },
    { cell: Math.min(first + 1, length - 1), weight: clamped - first },
  ];
}
