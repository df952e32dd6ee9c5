// SPDX-License-Identifier: Apache-2.0
// Plots: a line over time, one device's windows, and the small line in a table's row.
"use strict";

(() => {
  const { s } = culvert;

  function palette() {
    const style = getComputedStyle(document.documentElement);
    const pick = (name) => style.getPropertyValue(name).trim();
    return {
      text: pick("--soft"), grid: pick("--line"), accent: pick("--accent"), band: pick("--band"), tail: pick("--tail"),
      panel: pick("--panel"), warn: pick("--warn"),
    };
  }

  // Seconds between marks on the axis of time: none shorter, or a label would stand twice; then months and years.
  const BETWEEN_TIMES = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800,
    432000, 864000, 2592000, 7776000, 31536000];

  // The time of day (UTC), or the day where marks are days apart.
  function clock(u, splits, axis, space, step) {
    const [from, to] = step < 86400 ? [11, 19] : [0, 10];
    return splits.map((at) => new Date(at * 1000).toISOString().slice(from, to));
  }

  // As wide as its longest label, which may say "1 min 15 s".
  const labelled = (u, values) => 16 + 6.6 * Math.max(4, ...(values || []).map((text) => text.length));

  const WHOLE = [1, 2, 5].flatMap((digit) => Array.from({ length: 12 }, (_, power) => digit * 10 ** power)).sort((a, b) => a - b);
  const SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
    3600, 7200, 14400, 21600, 43200, 86400, 172800, 432000, 864000, 2592000, 8640000, 31536000, 315360000];

  function axes(colours, format, steps) {
    const common = {
      stroke: colours.text, font: "12px system-ui, sans-serif",
      grid: { stroke: colours.grid, width: 1 }, ticks: { stroke: colours.grid, width: 1, size: 4 },
    };
    return [
      { ...common, values: clock, space: 90, size: 30, incrs: BETWEEN_TIMES },
      { ...common, size: labelled, space: 34, ...(steps ? { incrs: steps } : {}),
        values: (u, splits) => splits.map((value) => (value === null ? "" : format(value))) },
    ];
  }

  // A plot that is made anew when the theme changes and follows its element's width.
  class Plot {
    constructor(element, height, options) {
      this.element = element;
      this.height = height;
      this.options = options;
      this.data = null;
      this.plot = null;
      this.width = 0;
      this.observer = new ResizeObserver(() => this.resize());
      this.observer.observe(element);
      culvert.onTheme.add(this);
    }
    resize() {
      const width = Math.floor(this.element.clientWidth);
      if (!width || width === this.width) return;
      this.width = width;
      if (this.plot) this.plot.setSize({ width, height: this.height });
      else this.draw();
    }
    themed() {
      if (this.plot) this.plot.destroy();
      this.plot = null;
      this.draw();
    }
    set(data) {
      this.data = data;
      if (this.plot) this.plot.setData(data);
      else this.draw();
    }
    draw() {
      this.width = this.width || Math.floor(this.element.clientWidth);
      if (!this.width || !this.data) return;
      const options = this.options(palette());
      this.plot = new uPlot({ width: this.width, height: this.height, ...options }, this.data, this.element);
    }
    destroy() {
      culvert.onTheme.delete(this);
      this.observer.disconnect();
      if (this.plot) this.plot.destroy();
      this.plot = null;
    }
  }

  culvert.onTheme = new Set();
  culvert.steps = { whole: WHOLE, seconds: SECONDS };

  // `steps`: distances between two labels of the upright axis.
  culvert.linePlot = (element, label, format, steps) =>
    new Plot(element, 200, (colours) => ({
      legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { size: 7 } },
      // At least a minute, so that the first sample has a place.
      scales: { x: { time: true, range: (u, low, high) => [Math.min(low, high - 60), high] }, y: { range: (u, low, high) => [0, Math.max(1e-3, (high || 1) * 1.12)] } },
      axes: axes(colours, format, steps),
      series: [
        {},
        { label, stroke: colours.accent, width: 2, fill: colours.band, points: { show: false }, spanGaps: false,
          value: (u, v) => (v === null ? "–" : format(v)) },
      ],
    }));

  // Marks of the windows that are shown, drawn over the line: closed, open, corrected.
  function drawMarks(plot, windows, colours) {
    const context = plot.ctx;
    const size = devicePixelRatio || 1;
    context.save();
    context.lineWidth = 2 * size;
    for (const window of windows) {
      const x = plot.valToPos(window.x, "x", true);
      const y = plot.valToPos(window.mean, "y", true);
      if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) continue;
      context.beginPath();
      if (window.corrected) {
        const r = 5 * size;
        context.moveTo(x, y - r);
        context.lineTo(x + r, y);
        context.lineTo(x, y + r);
        context.lineTo(x - r, y);
        context.closePath();
        context.fillStyle = colours.warn;
        context.fill();
      } else if (window.closed) {
        context.arc(x, y, 2.6 * size, 0, Math.PI * 2);
        context.fillStyle = colours.accent;
        context.fill();
      } else {
        context.arc(x, y, 4 * size, 0, Math.PI * 2);
        context.fillStyle = colours.panel;
        context.strokeStyle = colours.accent;
        context.fill();
        context.stroke();
      }
    }
    context.restore();
  }

  culvert.devicePlot = (element) => {
    let windows = [];
    const plot = new Plot(element, 320, (colours) => ({
      padding: [10, 26, 0, 0],
      legend: { show: true, live: true, markers: { show: false } },
      cursor: { drag: { x: true, y: false }, points: { show: false } },
      scales: { x: { time: true } },
      axes: axes(colours, culvert.value),
      bands: [{ series: [2, 1], fill: colours.band }],
      series: [
        { value: (u, v) => (v === null ? "–" : new Date(v * 1000).toISOString().slice(11, 19)), label: "UTC" },
        { label: "min", stroke: "transparent", width: 0, points: { show: false }, spanGaps: true,
          value: (u, v) => culvert.value(v) },
        { label: "max", stroke: "transparent", width: 0, points: { show: false }, spanGaps: true,
          value: (u, v) => culvert.value(v) },
        { label: "mean", stroke: colours.accent, width: 2, points: { show: false }, spanGaps: true,
          value: (u, v) => culvert.value(v) },
        { label: "readings", stroke: colours.tail, width: 0, paths: () => null,
          points: { show: true, size: 4, fill: colours.tail, stroke: colours.tail }, value: (u, v) => culvert.value(v) },
      ],
      hooks: { draw: [(u) => drawMarks(u, windows, colours)] },
    }));
    return {
      // A hopping window's mean stands where the window ends: it is the average of what came before.
      set(detail, hopping) {
        windows = detail.windows.map((window) => ({
          ...window, x: (hopping ? window.end : (window.start + window.end) / 2) / 1000,
        }));
        const tail = new Map();
        for (const point of detail.tail) tail.set(point.at / 1000, point.value);
        const times = [...tail.keys()].sort((a, b) => a - b);
        plot.set(uPlot.join([
          [windows.map((w) => w.x), windows.map((w) => w.min), windows.map((w) => w.max), windows.map((w) => w.mean)],
          [times, times.map((time) => tail.get(time))],
        ]));
      },
      destroy: () => plot.destroy(),
    };
  };

  const WIDTH = 120;
  const HEIGHT = 26;

  culvert.spark = () => {
    const path = s("path", {});
    const dot = s("circle", { r: 2 });
    const element = s("svg", { class: "spark", width: WIDTH, height: HEIGHT, viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      "aria-hidden": "true", focusable: "false" }, path, dot);
    return {
      element,
      update(values) {
        const low = Math.min(...values);
        const span = Math.max(...values) - low;
        const step = values.length > 1 ? (WIDTH - 6) / (values.length - 1) : 0;
        const at = values.map((value, i) => [3 + i * step,
          span ? HEIGHT - 4 - ((value - low) / span) * (HEIGHT - 8) : HEIGHT / 2]);
        const line = at.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
        culvert.mark(path, "d", line);
        const last = at[at.length - 1] || [0, 0];
        culvert.mark(dot, "cx", last[0].toFixed(1));
        culvert.mark(dot, "cy", last[1].toFixed(1));
      },
    };
  };
})();
