/** How an image lies on a canvas: fitted to it, then enlarged and moved. Lengths are in canvas pixels. */

export const START = { zoom: 1, x: 0, y: 0 };
const MOST_ZOOM = 32;

/** `{scale, left, top}` of an image of that size on a canvas of that size. */
export function placed(view, image, canvas) {
  const scale = Math.min(canvas.width / image.columns, canvas.height / image.rows) * view.zoom;
  return {
    scale,
    left: (canvas.width - image.columns * scale) / 2 + view.x,
    top: (canvas.height - image.rows * scale) / 2 + view.y,
  };
}

/** The view enlarged by a factor, with the point of the canvas where it is. */
export function zoomed(view, factor, point, canvas) {
  const zoom = Math.min(MOST_ZOOM, Math.max(0.25, view.zoom * factor));
  const real = zoom / view.zoom;
  const from = { x: point.x - canvas.width / 2, y: point.y - canvas.height / 2 };
  return { zoom, x: from.x - (from.x - view.x) * real, y: from.y - (from.y - view.y) * real };
}

/** The view moved. */
export function moved(view, dx, dy) {
  return { ...view, x: view.x + dx, y: view.y + dy };
}
