// SPDX-License-Identifier: Apache-2.0
// Making elements, and saying figures.  Text from outside becomes text nodes, never markup.
"use strict";

const culvert = {};

(() => {
  const SVG = "http://www.w3.org/2000/svg";

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : String(value));
    }
    element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
    return element;
  }

  culvert.h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  culvert.s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  // Sets only what changed, so that selections and screen readers are left in peace.
  culvert.say = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };
  culvert.mark = (element, name, value) => {
    if (value === null || value === undefined || value === "") {
      if (element.hasAttribute(name)) element.removeAttribute(name);
    } else if (element.getAttribute(name) !== value) {
      element.setAttribute(name, value);
    }
  };

  // Makes `body`'s children those of `items`, keeping the elements of keys that stay.  `make` gives {element, update}.
  culvert.keyed = (body, items, key, make) => {
    const known = body.rows_by_key || new Map();
    const next = new Map();
    let at = body.firstElementChild;
    for (const item of items) {
      const name = key(item);
      const row = known.get(name) || make(item);
      row.update(item);
      next.set(name, row);
      if (row.element === at) at = at.nextElementSibling;
      else body.insertBefore(row.element, at);
    }
    for (const [name, row] of known) if (!next.has(name)) row.element.remove();
    body.rows_by_key = next;
  };

  const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

  culvert.count = (n) => (n === null || n === undefined ? "–" : grouped.format(n).replaceAll(",", "\u202f"));

  // "1 partition", "4 partitions"
  culvert.counted = (n, what) => `${culvert.count(n)} ${what}${n === 1 ? "" : "s"}`;

  culvert.compact = (n) => {
    if (n === null || n === undefined) return "–";
    const size = Math.abs(n);
    if (size >= 1e9) return (n / 1e9).toFixed(2) + " G";
    if (size >= 1e6) return (n / 1e6).toFixed(2) + " M";
    if (size >= 1e5) return (n / 1e3).toFixed(0) + " k";
    if (size >= 100 || Number.isInteger(n)) return culvert.count(n);
    return n.toFixed(1);
  };

  culvert.value = (n) => {
    if (n === null || n === undefined) return "–";
    const size = Math.abs(n);
    const digits = size >= 1000 ? 1 : size >= 0.1 || size === 0 ? 2 : 4;
    return n.toFixed(digits);
  };

  // [figure, unit]
  const duration = (ms) => {
    if (ms === null || ms === undefined) return ["–", ""];
    const past = Math.max(0, ms);
    if (past > 0 && past < 10) return [past.toFixed(1), "ms"];
    if (past < 1000) return [String(Math.round(past)), "ms"];
    const seconds = past / 1000;
    if (seconds < 60) return [seconds.toFixed(1), "s"];
    if (seconds < 3600) return [`${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)}`, "s"];
    if (seconds < 172800) return [`${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)}`, "min"];
    return [String(Math.floor(seconds / 86400)), "days"];
  };
  culvert.duration = duration;
  // For an axis: "0", "25 s", "1 min 15 s", "2 h".
  culvert.span = (ms) => (ms === 0 ? "0" : duration(ms).join(" ").replace(/\.0 /, " ").replace(/ 0 (s|min)$/, ""));
  culvert.ago = (ms) => {
    if (ms < 1500) return "now";
    const [figure, unit] = culvert.duration(ms < 60000 ? Math.round(ms / 1000) * 1000 : ms);
    return `${figure.replace(/\.0$/, "")} ${unit} ago`;
  };

  culvert.bytes = (n) => {
    if (n === null || n === undefined) return "–";
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let at = 0;
    while (n >= 1024 && at < units.length - 1) {
      n /= 1024;
      ++at;
    }
    return `${at === 0 || n >= 100 ? n.toFixed(0) : n.toFixed(1)} ${units[at]}`;
  };

  // Characters that show nothing, or turn the line around.
  culvert.visible = (text) => text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, "\ufffd");

  const iso = (ms) => new Date(ms).toISOString();
  culvert.time = (ms) => (ms === null || ms === undefined ? "–" : iso(ms).slice(11, 19));
  culvert.instant = (ms) => (ms === null || ms === undefined ? "–" : iso(ms).slice(0, 19).replace("T", " "));

  culvert.get = async (path, signal) => {
    const response = await fetch(path, { signal, headers: { Accept: "application/json" } });
    if (response.status === 401) {
      location.href = "login";
      throw new Error("not logged in");
    }
    if (!response.ok) {
      const failure = new Error(`${path}: ${response.status}`);
      failure.status = response.status;
      throw failure;
    }
    return response.json();
  };
})();
