// SPDX-License-Identifier: Apache-2.0
// The views.  Each is made with its element and has update(status) for every event, refresh() to ask the server for what
// only it shows, and close().
"use strict";

culvert.views = (() => {
  const { h, say, mark, keyed, count, counted, value, duration } = culvert;

  const empty = (title, text) => h("div", { class: "empty" }, h("strong", {}, title), text);
  const loading = () => h("p", { class: "loading", role: "status" }, "Loading");

  function fact(name, help) {
    const figure = document.createTextNode("–");
    const unit = h("span", { class: "unit" });
    const more = h("span", { class: "more" }, "\u00a0");
    const element = h("div", { class: "card fact", title: help }, h("dt", {}, name),
      h("dd", {}, figure, unit, more));
    return {
      element,
      set(text, unitText, moreText, tone) {
        if (figure.data !== text) figure.data = text;
        say(unit, unitText || "");
        say(more, moreText || "\u00a0");
        mark(element, "data-tone", tone);
      },
    };
  }

  // ---- devices

  const COLUMNS = [
    { sort: "device", title: "Device" },
    { sort: "latest", title: "Last value", num: true, help: "Mean of the readings that came last" },
    { sort: "count", title: "Count", num: true, wide: true, help: "Readings in the newest window" },
    { sort: "mean", title: "Mean", num: true, help: "Of the newest window" },
    { sort: "min", title: "Min", num: true, wide: true },
    { sort: "max", title: "Max", num: true, wide: true },
    { title: "Last windows", wide: true },
    { sort: "heard", title: "Heard", num: true },
  ];

  function deviceRow() {
    const link = h("a", {});
    const cells = Array.from({ length: 6 }, (_, i) => h("td", { class: i > 0 && i !== 2 && i < 5 ? "num wide" : "num" }));
    const spark = culvert.spark();
    const heard = h("td", { class: "num" });
    const element = h("tr", { class: "link" }, h("th", { scope: "row", class: "name" }, link),
      cells.slice(0, 5), h("td", { class: "wide" }, spark.element), heard);
    return {
      element,
      update(row) {
        say(link, row.name);
        mark(link, "href", `#device/${encodeURIComponent(row.id)}`);
        mark(link, "title", row.name);
        const w = row.current;
        [value(row.latest), count(w.count), value(w.mean), value(w.min), value(w.max)]
          .forEach((text, i) => say(cells[i], text));
        spark.update(row.history);
        const age = Math.max(0, culvert.now() - row.heard);
        say(heard, culvert.ago(age));
        mark(heard, "data-stale", age > culvert.staleAfter() ? "yes" : null);
      },
    };
  }

  const classOf = (column) => `${column.num ? "num" : ""} ${column.wide ? "wide" : ""}`.trim();

  // The table, and what stands in its place while there are no rows.
  function deviceTable(heads) {
    const body = h("tbody", {});
    const card = h("div", { class: "card table-card", hidden: true }, h("table", {},
      h("caption", { class: "hidden-text" }, "Devices with their newest window"), h("thead", {}, h("tr", {}, heads)), body));
    const message = h("div", { class: "card" }, loading());
    return {
      card, message,
      show(page) {
        keyed(body, page.rows, (row) => row.id, deviceRow);
        const none = page.rows.length === 0;
        card.hidden = none;
        message.hidden = !none;
        if (!none) return;
        const status = culvert.status();
        if (status && status.state === "starting" && !status.consuming) return;  // the table is being read
        message.replaceChildren(page.devices === 0
          ? empty("No devices yet", "A device appears here when its first window is written.")
          : empty("No device of that name", "Nothing among the devices heard of lately matches the search."));
      },
    };
  }

  // ---- overview

  function overview(root) {
    const facts = {
      rate: fact("Records per second", "Over the last five seconds"),
      lag: fact("Event-time lag", "Wall clock less the newest event time that was read"),
      commit: fact("Commit lag", "Records between the stored checkpoints and the ends of the partitions"),
      flush: fact("Flush p99", "99 of 100 of the last flushes took less"),
      conflicts: fact("Conflicts", "Conditional puts that found another version: somebody else wrote the item"),
      fences: fact("Filtered by fences", "Records that the items held already and that were not added again"),
      devices: fact("Devices", "Devices with a window among the newest ones"),
      late: fact("Late", "Readings that came after their windows' allowed lateness"),
      letters: fact("Dead letters", "Records set aside with their position, bytes and reason"),
    };
    const ofConsumers = [facts.flush, facts.conflicts, facts.fences];
    facts.devices.element.hidden = true;  // until the first status says which of them there are: nothing moves then
    const cards = h("dl", { class: "cards" }, Object.values(facts).map((one) => one.element));
    const ratePlot = h("div", { class: "plot", role: "img", "aria-label": "Records per second over the last ten minutes" });
    const lagPlot = h("div", { class: "plot", role: "img", "aria-label": "Event-time lag over the last ten minutes" });
    const rateNow = h("span", { class: "soft num" });
    const lagNow = h("span", { class: "soft num" });
    const totals = h("span", { class: "soft" });
    const preview = deviceTable(COLUMNS.map((column) => h("th", { scope: "col", class: classOf(column) }, column.title)));
    root.append(
      h("h1", { class: "hidden-text" }, "Overview"),
      cards,
      h("div", { class: "charts" },
        h("section", { class: "card chart-card" }, h("h2", {}, "Records per second", rateNow), ratePlot),
        h("section", { class: "card chart-card" }, h("h2", {}, "Event-time lag", lagNow), lagPlot)),
      h("div", { class: "section" }, h("h2", {}, "Windows as they fill"), h("a", { href: "#devices" }, "All devices")),
      preview.message, preview.card,
      h("p", {}, totals));
    const rate = culvert.linePlot(ratePlot, "records/s", culvert.compact, culvert.steps.whole);
    const lag = culvert.linePlot(lagPlot, "lag", (seconds) => culvert.span(seconds * 1000), culvert.steps.seconds);
    const samples = [[], [], []];
    let ready = false;

    function add(at, perSecond, lagMs) {
      const last = samples[0][samples[0].length - 1];
      if (last !== undefined && at / 1000 - last < 0.9) return;
      samples[0].push(at / 1000);
      samples[1].push(perSecond);
      samples[2].push(lagMs === null ? null : Math.max(0, lagMs) / 1000);
      if (samples[0].length > 600) samples.forEach((list) => list.shift());
    }
    function draw() {
      rate.set([samples[0], samples[1]]);
      lag.set([samples[0], samples[2]]);
    }

    return {
      async refresh(signal) {
        const page = await culvert.get("api/v1/devices?size=8", signal);
        preview.show(page);
        if (ready) return;
        const history = await culvert.get("api/v1/history", signal);
        samples.forEach((list) => list.splice(0));
        for (const one of history.samples) add(one.at, one.records_per_second, one.event_lag_ms);
        ready = true;
        draw();
      },
      update(status) {
        const since = status.consuming ? "since the start" : "in the table";
        for (const one of ofConsumers) one.element.hidden = !status.consuming;
        facts.devices.element.hidden = status.consuming;
        mark(cards, "data-few", status.consuming ? null : "yes");
        facts.rate.set(culvert.compact(status.records_per_second), "/s",
          `${culvert.compact(status.consuming ? status.records_read : status.records_stored)} records ${since}`);
        const [lagText, lagUnit] = duration(status.event_lag_ms);
        facts.lag.set(lagText, lagUnit, "behind the sensors' clocks");
        facts.commit.set(culvert.compact(status.lag_records), status.lag_records === null ? "" : "records",
          status.lag_records !== null ? "not yet checkpointed"
            : status.topic ? "the log's end is not known" : "not known without -b and -t",
          status.state === "catching-up" ? "warn" : null);
        const [flushText, flushUnit] = duration(status.flush_p99_ms);
        facts.flush.set(flushText, flushUnit, `${count(status.flushes)} ${status.flushes === 1 ? "flush" : "flushes"}`,
          status.state === "table-fails" ? "bad" : null);
        facts.conflicts.set(culvert.compact(status.conflicts), "", `${counted(status.refolds, "partition")} read again`);
        facts.fences.set(culvert.compact(status.fence_filtered), "", "never added twice");
        const partitions = status.partitions_of_topic
          ? `${count(status.partitions)} of ${counted(status.partitions_of_topic, "partition")}`
          : counted(status.partitions, "partition");
        facts.devices.set(count(status.devices), "", partitions);
        facts.late.set(culvert.compact(status.late), "", since);
        facts.letters.set(culvert.compact(status.dead_letters), "", `${since}, late ones among them`);
        say(totals, [
          counted(status.devices, "device"),
          partitions,
          status.consuming ? `${counted(status.open_items, "item")} unwritten` : "",
          status.consuming ? `${culvert.bytes(status.memory_bytes)} held` : "",
          status.consuming ? `${culvert.bytes(status.bytes_read)} read` : "",
          `started ${culvert.instant(status.started)} UTC`,
        ].filter((part) => part).join("  ·  "));
        say(rateNow, `${culvert.compact(status.records_per_second)}/s`);
        say(lagNow, duration(status.event_lag_ms).join(" "));
        if (!ready) return;
        add(status.at, status.records_per_second, status.event_lag_ms);
        draw();
      },
      close() {
        rate.destroy();
        lag.destroy();
      },
    };
  }

  function devices(root, parameters) {
    const query = {
      search: parameters.get("search") || "", sort: parameters.get("sort") || "device",
      order: parameters.get("order") || "asc", page: Number(parameters.get("page")) || 1, size: 50,
    };
    const search = h("input", { type: "search", id: "search", placeholder: "Search devices", "aria-label": "Search devices",
      autocomplete: "off", spellcheck: "false", maxlength: 100, "aria-keyshortcuts": "/" });
    search.value = query.search;
    const found = h("span", { class: "soft", role: "status" });
    const heads = COLUMNS.map((column) => {
      if (!column.sort) return h("th", { scope: "col", class: classOf(column) }, column.title);
      const button = h("button", { type: "button", title: column.help, onclick: () => sortBy(column) }, column.title);
      return h("th", { scope: "col", class: classOf(column), "data-sort": column.sort }, button);
    });
    const list = deviceTable(heads);
    const back = h("button", { class: "plain", type: "button", onclick: () => turn(-1) }, "Previous");
    const next = h("button", { class: "plain", type: "button", onclick: () => turn(1) }, "Next");
    const where = h("span", {});
    const pager = h("nav", { class: "pager", "aria-label": "Pages" }, where, h("span", { class: "buttons" }, back, next));
    root.append(h("h1", { class: "hidden-text" }, "Devices"), h("div", { class: "tools" }, search, found), list.message, list.card, pager);
    pager.hidden = true;
    let timer = 0;

    function ask() {
      const kept = new URLSearchParams();
      for (const name of ["search", "sort", "order", "page"]) {
        if (query[name] && !(name === "page" && query.page === 1)) kept.set(name, query[name]);
      }
      history.replaceState(null, "", `#devices?${kept}`);
      culvert.refresh(true);
    }
    function sortBy(column) {
      const first = column.num ? "desc" : "asc";
      query.order = query.sort === column.sort ? (query.order === "asc" ? "desc" : "asc") : first;
      query.sort = column.sort;
      query.page = 1;
      ask();
    }
    function turn(by) {
      query.page = Math.max(1, query.page + by);
      ask();
      root.scrollIntoView({ block: "start" });
    }
    search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        query.search = search.value;
        query.page = 1;
        ask();
      }, 150);
    });
    search.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && search.value) {
        search.value = "";
        search.dispatchEvent(new Event("input"));
      }
    });

    return {
      async refresh(signal) {
        const page = await culvert.get(`api/v1/devices?${new URLSearchParams(query)}`, signal);
        query.page = page.page;
        for (const head of heads) {
          const by = head.dataset.sort;
          if (by) mark(head, "aria-sort", by === query.sort ? (query.order === "asc" ? "ascending" : "descending") : "none");
        }
        list.show(page);
        const pages = Math.max(1, Math.ceil(page.found / page.size));
        const first = (page.page - 1) * page.size + 1;
        say(found, query.search ? `${count(page.found)} of ${count(page.devices)} devices` : `${count(page.devices)} devices`);
        say(where, `${count(first)} to ${count(first + page.rows.length - 1)} of ${count(page.found)}, page ${count(page.page)} of ${count(pages)}`);
        back.disabled = page.page <= 1;
        next.disabled = page.page >= pages;
        pager.hidden = page.rows.length === 0;
      },
      focusSearch: () => search.focus(),
    };
  }

  // ---- one device

  const markOf = (window) => (window.corrected ? "corrected" : window.closed ? "closed" : "open");

  // A time of day, and its date where there is room for it.
  function instant() {
    const date = h("span", { class: "wide" });
    const time = document.createTextNode("");
    return {
      parts: [date, time],
      set(ms) {
        say(date, ms === null ? "" : `${culvert.instant(ms).slice(0, 10)} `);
        if (time.data !== culvert.time(ms)) time.data = culvert.time(ms);
      },
    };
  }

  const OF_WINDOW = [["End", "num wide"], ["Count", "num"], ["Mean", "num"], ["Min", "num wide"], ["Max", "num wide"],
    ["Std dev", "num wide"], ["State", ""]];

  function windowRow() {
    const cells = OF_WINDOW.map(([, kind]) => h("td", { class: kind }));
    const badge = h("span", { class: "mark" });
    const start = instant();
    const head = h("th", { scope: "row" }, start.parts);
    cells[6].append(badge);
    const element = h("tr", {}, head, cells);
    return {
      element,
      update(w) {
        start.set(w.start);
        [culvert.time(w.end), count(w.count), value(w.mean), value(w.min), value(w.max), value(w.stddev)]
          .forEach((text, i) => say(cells[i], text));
        say(badge, markOf(w));
        mark(badge, "data-mark", markOf(w));
      },
    };
  }

  function device(root, parameters, id) {
    const name = h("h1", {}, "Device");
    const heard = h("span", { class: "soft" });
    const badge = h("span", { class: "mark", hidden: true });
    const facts = { latest: fact("Last value"), mean: fact("Mean"), range: fact("Min to max"), count: fact("Count") };
    const plot = h("div", { class: "plot tall", role: "img", "aria-label": "Windows over time; the table below has the figures" });
    const title = h("h2", {}, "Windows");
    const body = h("tbody", {});
    const key = (kind, text) => h("li", {}, h("i", { class: kind }), text);
    const legend = h("ul", { class: "legend" }, key("", "mean of a window"), key("l-band", "min to max"),
      key("l-tail", "readings as they came"), key("l-open", "open"), key("l-corrected", "corrected after closing"));
    const content = h("div", {},
      h("dl", { class: "cards" }, Object.values(facts).map((one) => one.element)),
      h("section", { class: "card chart-card" }, title, plot, legend),
      h("p", {}),
      h("div", { class: "card table-card" }, h("table", {}, h("caption", { class: "hidden-text" }, "Windows, newest first"),
        h("thead", {}, h("tr", {}, [["Start (UTC)", ""], ...OF_WINDOW].map(([text, kind]) =>
          h("th", { scope: "col", class: kind }, text)))), body)));
    const message = h("div", { class: "card" }, loading());
    root.append(h("div", { class: "head" }, h("a", { class: "crumb", href: "#devices" }, "Devices"),
      h("span", { class: "soft", "aria-hidden": "true" }, "/"), name, badge, heard), message, content);
    content.hidden = true;
    say(name, culvert.visible(id));
    let chart = null;
    return {
      async refresh(signal) {
        let detail = null;
        try {
          if (id) detail = await culvert.get(`api/v1/device?id=${encodeURIComponent(id)}`, signal);
        } catch (failure) {
          if (failure.status !== 404 && failure.status !== 400) throw failure;
        }
        if (!detail) {
          content.hidden = true;
          message.hidden = false;
          message.replaceChildren(empty("Nothing known of this device", "It wrote no window lately, or it does not exist."));
          return;
        }
        content.hidden = false;
        message.hidden = true;
        const status = culvert.status();
        const hopping = status && status.advance_ms < status.window_ms;
        say(title, hopping ? "Moving average over the readings" : "Windows over time");
        say(name, detail.name);
        const age = Math.max(0, culvert.now() - detail.heard);
        const stale = age > culvert.staleAfter();
        say(heard, `heard ${culvert.ago(age)}`);
        badge.hidden = !stale;
        say(badge, "silent");
        mark(badge, "data-mark", "stale");
        const w = detail.windows[detail.windows.length - 1];
        const label = status ? status.value_name : "";
        facts.latest.set(value(detail.latest), "", label);
        facts.mean.set(value(w.mean), "", `window from ${culvert.time(w.start)}, ${markOf(w)}`);
        facts.range.set(`${value(w.min)} to ${value(w.max)}`, "", `standard deviation ${value(w.stddev)}`);
        facts.count.set(count(w.count), "", "readings in this window");
        if (!chart) chart = culvert.devicePlot(plot);
        chart.set(detail, hopping);
        keyed(body, [...detail.windows].reverse().slice(0, 100), (one) => one.start, windowRow);
      },
      close: () => chart && chart.destroy(),
    };
  }

  // ---- partitions

  function partitionRow() {
    const watermark = instant();
    const cells = ["wide consumers", "num wide consumers", "num wide", "num wide", "num", "num", "num wide consumers"]
      .map((kind) => h("td", { class: kind }));
    cells[4].append(...watermark.parts);
    const bar = culvert.s("rect", { height: 6, width: 0 });
    const lag = h("span", { class: "num" });
    const meter = h("span", { class: "meter wide", "aria-hidden": "true" },
      culvert.s("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none" }, bar));
    const head = h("th", { scope: "row", class: "num" });
    const element = h("tr", {}, head, cells.slice(0, 4), h("td", {}, h("span", { class: "bar-cell" }, lag, meter)), cells.slice(4));
    return {
      element,
      update(row) {
        say(head, String(row.partition));
        const skew = row.skew_ms === null ? "–" : duration(row.skew_ms).join(" ");
        [row.owner || "–", count(row.position), count(row.committed), count(row.log_end), null, skew, count(row.open_items)]
          .forEach((text, i) => text !== null && say(cells[i], text));
        watermark.set(row.watermark);
        say(lag, count(row.lag));
        mark(bar, "width", String(row.share));
      },
    };
  }

  function partitions(root) {
    const body = h("tbody", {});
    const heads = [["Partition", "num"], ["Owner", "wide consumers"], ["Position", "num wide consumers"],
      ["Committed", "num wide"], ["End", "num wide"], ["Lag", "lag"], ["Watermark (UTC)", "num"], ["Skew", "num"],
      ["Unwritten items", "num wide consumers"]];
    const card = h("div", { class: "card table-card" }, h("table", {}, h("caption", { class: "hidden-text" }, "Partitions"),
      h("thead", {}, h("tr", {}, heads.map(([text, kind]) => h("th", { scope: "col", class: kind }, h("span", {}, text))))), body));
    const note = h("p", { class: "soft" });
    const message = h("div", { class: "card" }, loading());
    root.append(h("h1", { class: "hidden-text" }, "Partitions"), message, card, note);
    card.hidden = true;
    return {
      async refresh(signal) {
        const answer = await culvert.get("api/v1/partitions", signal);
        const most = Math.max(1, ...answer.rows.map((row) => row.lag || 0));
        for (const row of answer.rows) row.share = Math.round(((row.lag || 0) / most) * 100);
        keyed(body, answer.rows, (row) => row.partition, partitionRow);
        const none = answer.rows.length === 0;
        const status = culvert.status();
        card.hidden = none;
        message.hidden = !none;
        mark(card, "data-table", status && !status.consuming ? "yes" : null);
        if (none) {
          if (status && status.state === "starting" && !status.consuming) return;  // the table is being read
          message.replaceChildren(empty("No partitions here", answer.partitions_of_topic
            ? "The other members of the group have them all, or the group is still forming."
            : "Nothing has been written to this table yet."));
        }
        say(note, answer.partitions_of_topic
          ? `${count(answer.rows.length)} of the topic's ${count(answer.partitions_of_topic)} partitions. Skew: how far a partition's event time is behind the newest one's.`
          : "Skew: how far a partition's event time is behind the newest one's.");
      },
    };
  }

  // ---- dead letters

  function letterCard(letter) {
    const bytes = (name, shown) => shown && h("div", {},
      h("b", {}, name), shown.bytes === 0 ? h("span", { class: "soft" }, "(empty)") : shown.shown, shown.cut ? h("b", {}, ` … ${culvert.bytes(shown.bytes)} in all`) : null);
    const long = [letter.key, letter.value].some((shown) => shown && shown.shown.length > 400);
    const element = h("article", { class: "card letter" },
      h("header", {}, h("h2", {}, letter.reason), h("code", {}, `${letter.partition} offset ${letter.offset}`),
        h("span", { class: "soft" }, letter.timestamp === null ? "" : `${culvert.instant(letter.timestamp)} UTC`)),
      letter.detail ? h("p", {}, letter.detail) : null,
      h("div", { class: "bytes", tabindex: long ? 0 : null }, bytes("key", letter.key), bytes("value", letter.value)),
      letter.value === null ? h("p", {}, "No value: a tombstone.") : null);
    return { element, update() {} };
  }

  function deadLetters(root) {
    let reason = "";
    const chips = h("div", { class: "reasons", role: "group", "aria-label": "Reasons" });
    const list = h("div", {});
    const told = h("span", {});
    const note = h("p", { class: "soft" }, told, h("code", {}, "culvert dead-letters list"), " shows all of them, whole.");
    const message = h("div", { class: "card" }, loading());
    root.append(h("h1", { class: "hidden-text" }, "Dead letters"), chips, note, message, list);

    function chip(item) {
      const number = h("span", { class: "count" });
      const element = h("button", { type: "button", onclick: () => {
        reason = item.reason;
        culvert.refresh(true);
      } }, item.reason || "all", number);
      return { element, update(now) {
        say(number, count(now.count));
        mark(element, "aria-pressed", String(reason === now.reason));
      } };
    }
    return {
      async refresh(signal) {
        const answer = await culvert.get(`api/v1/dead-letters?limit=100${reason ? `&reason=${encodeURIComponent(reason)}` : ""}`, signal);
        const none = answer.total === 0;
        message.hidden = !none;
        chips.hidden = note.hidden = none;
        if (none) {
          message.replaceChildren(empty("No dead letters", "Every record so far could be used."));
          list.replaceChildren();
          list.rows_by_key = null;
          return;
        }
        keyed(chips, [{ reason: "", count: answer.total }, ...answer.reasons], (item) => item.reason, chip);
        say(told, `The newest ${count(answer.newest.length)}, control characters made visible. ` +
          (answer.since_start ? "Counted since the start of this process; " : answer.complete ? "" : "Only the first were counted; "));
        keyed(list, answer.newest, (letter) => `${letter.partition}:${letter.offset}`, letterCard);
      },
    };
  }

  // ---- configuration

  function configuration(root) {
    const grid = h("div", { class: "settings" }, h("div", { class: "card" }, loading()));
    root.append(h("h1", { class: "hidden-text" }, "Configuration"), grid);
    let done = false;
    return {
      async refresh(signal) {
        if (done) return;
        const answer = await culvert.get("api/v1/configuration", signal);
        const sections = new Map();
        for (const setting of answer.settings) {
          if (!sections.has(setting.section)) sections.set(setting.section, []);
          sections.get(setting.section).push([setting.name, setting.value]);
        }
        sections.set("Versions", Object.entries(answer.versions));
        grid.replaceChildren(...[...sections].map(([title, pairs]) => h("section", { class: "card" }, h("h2", {}, title),
          h("dl", {}, pairs.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text || "–")])))));
        done = true;
      },
    };
  }

  return { overview, devices, device, partitions, "dead-letters": deadLetters, configuration };
})();
