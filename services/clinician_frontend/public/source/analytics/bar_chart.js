/** Bars with a part of each in another colour, drawn by uPlot; the same numbers stand in a table, where bars are links. */

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

import { theme } from "../appearance/theme.js";
import { html } from "../html.js";
import { Scrolling } from "../parts/scrolling.js";

const HEIGHT_PX = 220;

/**
 * `bars` are `{label, total, part, cells, address}`: `cells` are what the table says besides the label, `address` is
 * where the cases of the bar are, or null. `columns` names the cells.
 */
export function BarChart({ title, bars, totalName, partName, columns }) {
  const element = useRef(null);
  useEffect(() => {
    const host = element.current;
    const plot = new uPlot(optionsOf(bars, host.clientWidth, { totalName, partName }), dataOf(bars), host);
    const onClick = () => {
      const bar = bars[plot.cursor.idx];
      if (bar?.address) host.parentElement.querySelector(`a[href="${CSS.escape(bar.address)}"]`)?.click();
    };
    plot.over.addEventListener("click", onClick);
    const observer = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height: HEIGHT_PX }));
    observer.observe(host);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [JSON.stringify(bars), theme.value]);
  return html`<figure class="chart"><figcaption>${title}</figcaption>
    <div ref=${element} aria-hidden="true"></div>
    <details><summary>As a table</summary><${Scrolling} label=${title}><table>
      <thead><tr><th scope="col"></th>${columns.map((name) => html`<th scope="col" class="number">${name}</th>`)}</tr></thead>
      <tbody>${bars.map(({ label, cells, address }) => html`<tr key=${label}><th scope="row">${address ? html`<a href=${address}>${label}</a>` : label}</th>
        ${cells.map((cell) => html`<td class="number">${cell}</td>`)}</tr>`)}</tbody>
    </table><//></details>
  </figure>`;
}

function dataOf(bars) {
  return [bars.map((_, place) => place), bars.map(({ total }) => total), bars.map(({ part }) => part)];
}

function optionsOf(bars, width, { totalName, partName }) {
  const colours = getComputedStyle(document.documentElement);
  const colour = (name) => colours.getPropertyValue(name).trim();
  const axis = { stroke: colour("--ink-quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
  const paths = uPlot.paths.bars({ size: [0.8, 60] });
  const series = (label, fill) => ({ label, fill, stroke: fill, width: 0, paths, points: { show: false } });
  const name = (place) => bars[place]?.label ?? "";
  return {
    width,
    height: HEIGHT_PX,
    legend: { live: true },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { time: false, range: [-0.6, Math.max(bars.length - 0.4, 0.6)] }, y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
    axes: [
      { ...axis, grid: { show: false }, splits: (plot) => ticks(bars.length, plot.width), values: (_, places) => places.map(name) },
      { ...axis, size: 48, values: (_, values) => values.map((each) => (Number.isInteger(each) ? each.toLocaleString("en") : "")) },
    ],
    series: [{ label: "Of", value: (_, place) => (place === null ? "" : name(place)) }, series(totalName, colour("--bar")), series(partName, colour("--bar-part"))],
  };
}

/** As many labels as there is room for. */
function ticks(bars, width) {
  const every = Math.max(1, Math.ceil(bars / Math.max(1, Math.floor(width / 90))));
  return Array.from({ length: Math.ceil(bars / every) }, (_, place) => place * every);
}
