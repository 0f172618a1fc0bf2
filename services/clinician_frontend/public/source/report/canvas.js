/** One canvas with an image, heat over it, and what mouse, wheel and fingers do to both. */

import { useEffect, useRef } from "preact/hooks";

import { html } from "../html.js";
import { moved, placed, zoomed } from "./view.js";
import { applyWindow } from "./windows.js";

/**
 * Draw `frame` in `window`, with the canvas `heat` over it at an opacity. `onWindow(dx, dy)` is a drag that changes the
 * window, `onView` a view after a move or zoom, `onScroll(step)` a turn of the wheel.
 */
export function ImageCanvas({ frame, window, heat, opacity, showsImage, view, words, onWindow, onView, onScroll }) {
  const element = useRef(null);
  const grey = useRef(null);
  const latest = useRef({});
  latest.current = { frame, window, heat, opacity, showsImage, view, onWindow, onView, onScroll };

  const draw = () => {
    const canvas = element.current;
    if (canvas === null || grey.current === null) return; // left before it was drawn, or not windowed yet
    const now = latest.current;
    const { image } = now.frame;
    const at = placed(now.view, image, canvas);
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = at.scale < 4;
    context.imageSmoothingQuality = "high";
    const size = [at.left, at.top, image.columns * at.scale, image.rows * at.scale];
    if (now.showsImage) context.drawImage(grey.current, ...size);
    if (now.heat) {
      context.imageSmoothingEnabled = true;
      context.globalAlpha = now.showsImage ? now.opacity : 1;
      context.drawImage(now.heat, ...size);
      context.globalAlpha = 1;
    }
  };

  useEffect(() => {
    const { image } = frame;
    const canvas = new OffscreenCanvas(image.columns, image.rows);
    const pixels = new ImageData(image.columns, image.rows);
    applyWindow(image.values, window, pixels.data);
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    grey.current = canvas;
    draw();
  }, [frame, window.center, window.width, window.inverted]);
  useEffect(draw, [heat, opacity, showsImage, view]);
  useEffect(() => {
    const canvas = element.current;
    const observer = new ResizeObserver(() => {
      const dots = devicePixelRatio || 1;
      canvas.width = Math.max(1, Math.round(canvas.clientWidth * dots));
      canvas.height = Math.max(1, Math.round(canvas.clientHeight * dots));
      draw();
    });
    observer.observe(canvas);
    const stop = handlePointers(canvas, latest);
    return () => {
      observer.disconnect();
      stop();
    };
  }, []);
  return html`<canvas ref=${element} class="image" role="img" aria-label=${words}></canvas>`;
}

/** Left drag: window and level. Right drag, or with Shift: move. Wheel: scroll or, with Ctrl, zoom. Two fingers: zoom. */
function handlePointers(canvas, latest) {
  const fingers = new Map();
  const dots = () => canvas.width / Math.max(1, canvas.clientWidth);
  const pointOf = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: (event.clientX - box.left) * dots(), y: (event.clientY - box.top) * dots() };
  };
  const down = (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { ...pointOf(event), moves: event.button === 2 || event.button === 1 || event.shiftKey });
  };
  const move = (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const point = pointOf(event);
    const { view, onView, onWindow } = latest.current;
    const [dx, dy] = [point.x - before.x, point.y - before.y];
    if (fingers.size === 2) {
      const [, other] = [...fingers].find(([id]) => id !== event.pointerId);
      const apart = (one) => Math.max(1, Math.hypot(one.x - other.x, one.y - other.y));
      onView(zoomed(moved(view, dx / 2, dy / 2), apart(point) / apart(before), other, canvas));
    } else if (before.moves) {
      onView(moved(view, dx, dy));
    } else {
      onWindow(dx / dots(), dy / dots());
    }
    fingers.set(event.pointerId, { ...before, ...point });
  };
  const up = (event) => fingers.delete(event.pointerId);
  const wheel = (event) => {
    event.preventDefault();
    const { view, onView, onScroll } = latest.current;
    if (onScroll && !event.ctrlKey) onScroll(Math.sign(event.deltaY));
    else onView(zoomed(view, Math.exp(-event.deltaY / 400), pointOf(event), canvas));
  };
  const nothing = (event) => event.preventDefault();
  const handlers = { pointerdown: down, pointermove: move, pointerup: up, pointercancel: up, wheel, contextmenu: nothing };
  for (const [name, handler] of Object.entries(handlers)) canvas.addEventListener(name, handler, { passive: false });
  return () => {
    for (const [name, handler] of Object.entries(handlers)) canvas.removeEventListener(name, handler);
  };
}
