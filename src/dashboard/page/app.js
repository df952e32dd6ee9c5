// SPDX-License-Identifier: Apache-2.0
// The page: which view is shown, the stream of events, and what is said when it stops.
"use strict";

(() => {
  const { say, mark } = culvert;
  const main = document.getElementById("main");
  const stateElement = document.getElementById("state");
  const stateWords = document.getElementById("state-words");
  const notice = document.getElementById("notice");
  const source = document.getElementById("source");
  const themeButton = document.getElementById("theme");

  const STALE_MS = 6000;
  const REFRESH_MS = 900;
  const STATES = {
    "starting": ["warn", "Waiting for partitions"],
    "flowing": ["good", "Flowing"],
    "catching-up": ["warn", "Catching up"],
    "quiet": ["idle", "Quiet: nothing is waiting"],
    "paused": ["warn", "Paused until memory is free"],
    "table-fails": ["bad", "The table refuses writes"],
    "standby": ["idle", "Standing by"],
    "table": ["good", "Reading the table"],
    "unreachable": ["bad", "The table cannot be read"],
    "finished": ["idle", "Finished"],
  };
  const TITLES = {
    "overview": "Overview", "devices": "Devices", "device": "Device", "partitions": "Partitions",
    "dead-letters": "Dead letters", "configuration": "Configuration",
  };

  let status = null;
  let heardAt = 0;  // of this browser's clock
  let connected = false;
  let view = null;
  let asking = null;
  let askedAt = 0;
  let askAgain = false;
  let events = null;

  // The server's clock, so that ages do not depend on this machine's.
  culvert.now = () => (status ? status.at + (performance.now() - heardAt) : Date.now());
  culvert.staleAfter = () => Math.max(60000, status ? status.window_ms * 3 : 0);
  culvert.status = () => status;

  // ---- views

  function route() {
    const [path, query] = location.hash.replace(/^#/, "").split("?", 2);
    const [name, ...rest] = (path || "overview").split("/");
    let id = rest.join("/");
    try {
      id = decodeURIComponent(id);
    } catch (broken) {
      id = "";
    }
    return { name: culvert.views[name] ? name : "overview", id, parameters: new URLSearchParams(query || "") };
  }

  function show(focus) {
    const { name, id, parameters } = route();
    if (view && view.close) view.close();
    if (asking) asking.abort();
    asking = null;
    main.replaceChildren();
    view = culvert.views[name](main, parameters, id);
    document.title = `${name === "device" ? culvert.visible(id) : TITLES[name]} - culvert`;
    for (const tab of document.querySelectorAll(".tabs a")) {
      const here = tab.dataset.view === name || (name === "device" && tab.dataset.view === "devices");
      mark(tab, "aria-current", here ? "page" : null);
      if (here) tab.scrollIntoView({ block: "nearest", inline: "nearest" });  // on a narrow screen
    }
    if (focus) {
      window.scrollTo(0, 0);
      main.focus({ preventScroll: true });
    }
    if (status && view.update) view.update(status);
    culvert.refresh();
  }

  // One question at a time; what is asked meanwhile is asked once more afterwards, or, by a person, at once instead.
  culvert.refresh = async (instead) => {
    if (!view || !view.refresh) return;
    if (asking && instead) {
      asking.abort();
      asking = null;
    }
    if (asking) {
      askAgain = true;
      return;
    }
    const mine = new AbortController();
    asking = mine;
    askedAt = performance.now();
    try {
      await view.refresh(mine.signal);
    } catch (failure) {
      if (failure.name !== "AbortError") console.warn(failure.message);
    }
    if (asking !== mine) return;
    asking = null;
    if (askAgain) {
      askAgain = false;
      culvert.refresh();
    }
  };

  // ---- what the light says

  function tell() {
    const silent = performance.now() - heardAt;
    let tone = "idle";
    let words = "Connecting";
    let text = "";
    let textTone = "";
    if (!connected && status) {
      tone = status.state === "finished" ? "idle" : "bad";
      words = status.state === "finished" ? "Finished" : "Disconnected";
      text = status.state === "finished"
        ? `${status.note} The process has ended; what you see are its last figures.`.trim()
        : `No connection to culvert since ${culvert.time(status.at)} UTC. What you see is from then; trying again every second.`;
      textTone = status.state === "finished" ? "" : "bad";
    } else if (status) {
      [tone, words] = STATES[status.state] || ["idle", status.state];
      if (status.state === "starting" && !status.consuming) [tone, words] = ["idle", "Reading the table"];
      text = status.note;
      textTone = status.state === "finished" ? (status.note.includes("differ from") ? "bad" : "good")
        : status.state === "table" ? "warn" : tone;
      if (silent > STALE_MS) {
        tone = "warn";
        words = "Stale";
        text = `Nothing new for ${culvert.duration(silent).join(" ")}. What you see is from ${culvert.time(status.at)} UTC.`;
        textTone = "warn";
      }
    }
    mark(stateElement, "data-tone", tone);
    mark(stateElement, "data-state", !status ? "loading" : connected ? status.state : "disconnected");
    say(stateWords, words);
    const dim = status && ((!connected && status.state !== "finished") || (connected && silent > STALE_MS));
    mark(document.body, "data-stale", dim ? "yes" : null);
    mark(notice, "data-tone", textTone);
    notice.hidden = !text;
    if (!notice.firstChild) notice.append(document.createElement("div"));
    say(notice.firstChild, text);
  }

  function take(next) {
    status = next;
    heardAt = performance.now();
    const parts = [status.topic && `topic ${status.topic}`, status.group && `group ${status.group}`, status.table];
    say(source, parts.filter((part) => part).join("  ·  "));
    mark(source, "title", source.textContent);
    tell();
    if (view && view.update) view.update(status);
    if (performance.now() - askedAt >= REFRESH_MS && !document.hidden) culvert.refresh();
  }

  function listen() {
    events = new EventSource("api/v1/events");
    events.addEventListener("open", () => {
      connected = true;
      tell();
      culvert.refresh();
    });
    events.addEventListener("status", (event) => {
      connected = true;
      take(JSON.parse(event.data));
    });
    events.addEventListener("error", () => {
      connected = false;
      tell();
      if (events.readyState !== EventSource.CLOSED) return;
      // Refused rather than lost: the browser does not try again by itself.
      setTimeout(async () => {
        try {
          await culvert.get("api/v1/status");
        } catch (failure) {
          console.warn(failure.message);
        }
        listen();
      }, 1000);
    });
  }

  // ---- theme and keys

  const THEMES = ["auto", "light", "dark"];
  function storedTheme() {
    try {
      return localStorage.getItem("culvert-theme") || "auto";
    } catch (denied) {
      return "auto";
    }
  }
  function setTheme(theme) {
    mark(document.documentElement, "data-theme", theme === "auto" ? null : theme);
    say(themeButton, `Theme: ${theme}`);
    mark(themeButton, "aria-label", `Theme: ${theme}. Change theme`);
    try {
      localStorage.setItem("culvert-theme", theme);
    } catch (denied) {
      console.warn("the theme is not remembered");
    }
    for (const plot of culvert.onTheme) plot.themed();
  }
  themeButton.addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(storedTheme()) + 1) % THEMES.length]));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const plot of culvert.onTheme) plot.themed();
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (route().name !== "devices") location.hash = "#devices";
    setTimeout(() => view && view.focusSearch && view.focusSearch(), 0);
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) culvert.refresh();
  });
  window.addEventListener("hashchange", () => show(true));

  setTheme(THEMES.includes(storedTheme()) ? storedTheme() : "auto");
  show(false);
  tell();
  listen();
  setInterval(tell, 1000);
})();
