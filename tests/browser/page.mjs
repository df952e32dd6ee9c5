// The page in headless Chromium.  Started by test_browser.py, which starts culvert; steps that need the server to change
// are asked for on stdout (`do NAME`) and confirmed on stdin.
import { createRequire } from "node:module";
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import readline from "node:readline";

const { chromium } = createRequire(path.join(process.env.PLAYWRIGHT, "/"))("playwright-core");
const [suite, url, shots] = process.argv.slice(2);
fs.mkdirSync(shots, { recursive: true });
const profile = fs.mkdtempSync(path.join(os.tmpdir(), "culvert-browser-"));
const SOON = 60000;

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function have(what) {
  console.log(`do ${what}`);
  const { value } = await lines.next();
  assert.equal(value, `done ${what}`);
}

const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  headless: true,
  timeout: 2 * SOON,
  viewport: { width: 1280, height: 860 },
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const problems = [];
const origins = new Set();
context.on("request", (request) => origins.add(new URL(request.url()).origin));
const page = context.pages()[0] || (await context.newPage());
page.setDefaultTimeout(SOON);
let expectFailures = false;
page.on("console", (message) => {
  if (["error", "warning"].includes(message.type()) && !expectFailures) problems.push(message.text());
});
page.on("pageerror", (error) => problems.push(error.message));
page.on("dialog", (dialog) => problems.push(`a dialog: ${dialog.message()}`));

const text = (selector) => page.locator(selector).first().innerText();
const words = (wanted) => page.waitForFunction((w) => document.getElementById("state-words").textContent === w, wanted);
async function open(view) {
  await page.goto(`${url}#${view}`);
  await page.waitForFunction(() => document.getElementById("state-words").textContent !== "Connecting");
}
const loaded = () => page.waitForFunction(() => ![...document.querySelectorAll(".loading")].some((one) => one.offsetParent));
async function noSidewaysScroll(where) {
  const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(inner <= outer, `${where}: ${inner} px wide in a window of ${outer}`);
}

const steps = {
  async live() {
    const begun = Date.now();
    await open("overview");
    await page.locator("tbody tr").first().waitFor();
    const seconds = (Date.now() - begun) / 1000;
    console.log(`windows shown after ${seconds.toFixed(1)} s`);
    await words("Flowing");
    const read = async () => Number((await text(".fact .more")).replace(/\D/g, ""));
    const first = await read();
    await page.waitForFunction((before) => {
      const now = Number(document.querySelector(".fact .more").textContent.replace(/\D/g, ""));
      return now > before;
    }, first);
    assert.match(await page.title(), /^Overview - culvert$/);
    assert.match(await text("#source"), /topic readings.*group culvert-demo.*sqlite:/s);
    // Keyboard: "/" opens the search of devices.
    await page.keyboard.press("/");
    await page.locator("#search").waitFor();
    await page.waitForFunction(() => document.activeElement.id === "search");
    await page.keyboard.type("1");
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length > 0 &&
      [...document.querySelectorAll("tbody th")].every((cell) => cell.textContent.includes("1")));
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => document.getElementById("search").value === "");
    await page.locator("tbody a").first().click();
    await page.locator("canvas").first().waitFor();
    assert.match(await text("h1"), /^\d+$/);
    await page.locator(".mark[data-mark=open]").first().waitFor();
    // Every control has a name, and the canvas is described.
    const nameless = await page.evaluate(() => [...document.querySelectorAll("a,button,input,[role=img]")]
      .filter((one) => !(one.textContent.trim() || one.getAttribute("aria-label"))).map((one) => one.outerHTML));
    assert.deepEqual(nameless, []);
  },

  async shots() {
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: scheme });
      const luminance = {};
      for (const view of ["overview", "devices", "device/1", "partitions", "dead-letters", "configuration"]) {
        await open(view);
        await loaded();
        await page.waitForFunction((v) => v !== "overview" || document.querySelectorAll("canvas").length === 2, view);
        await page.waitForTimeout(400);  // for the picture only: charts are drawn a frame later
        await noSidewaysScroll(view);
        const name = view.split("/")[0];
        await page.screenshot({ path: path.join(shots, `${name}-${scheme}.png`) });
        luminance[name] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      }
      const level = Number(luminance.overview.match(/\d+/)[0]);
      assert.ok(scheme === "light" ? level > 200 : level < 60, `${scheme}: ${luminance.overview}`);
    }
    // The button wins over the system's scheme, and is remembered.
    await page.emulateMedia({ colorScheme: "dark" });
    await page.locator("#theme").click();
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
    await page.reload();
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "light");
    await page.evaluate(() => localStorage.clear());
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize({ width: 380, height: 760 });
    for (const view of ["overview", "devices", "device/1", "partitions", "dead-letters", "configuration"]) {
      await open(view);
      await loaded();
      await noSidewaysScroll(`narrow ${view}`);
      const cut = await page.evaluate(() => [...document.querySelectorAll(".table-card, .fact dd")]
        .filter((one) => one.offsetParent && one.scrollWidth > one.clientWidth).map((one) => one.innerText));
      assert.deepEqual(cut, [], `narrow ${view}: cut off`);
      const tab = await page.locator(".tabs [aria-current]").boundingBox();
      assert.ok(tab.x >= -1 && tab.x + tab.width <= 381, `narrow ${view}: its tab is at ${tab.x} to ${tab.x + tab.width}`);
      await page.screenshot({ path: path.join(shots, `${view.split("/")[0]}-narrow.png`) });
    }
    await page.setViewportSize({ width: 1280, height: 860 });
  },

  async finished() {
    await open("overview");
    expectFailures = true;  // Ctrl-C ends the demo's server, too: what the page asks after that is refused
    await have("finish");
    await words("Finished");
    assert.match(await text("#notice"), /equals an independent recomputation/);
  },

  async many() {
    await open("devices");
    await page.waitForFunction(() => /10.010 devices/.test(document.querySelector(".tools").textContent));
    assert.equal(await page.locator("tbody tr").count(), 50);
    assert.match(await text(".pager"), /1 to 50 of 10.010, page 1 of 201/);
    await page.getByRole("button", { name: "Next" }).click();
    await page.waitForFunction(() => /page 2 of 201/.test(document.querySelector(".pager").textContent));
    assert.match(page.url(), /page=2/);
    // Sorting is the server's: the greatest mean of all is on the first page.
    await page.getByRole("button", { name: "Mean" }).click();
    await page.waitForFunction(() => document.querySelector("tbody th").textContent === "device-9999");
    assert.equal(await page.locator("th[aria-sort=descending]").innerText(), "Mean");
    await page.getByRole("button", { name: "Mean" }).click();
    await page.waitForFunction(() => document.querySelector("tbody th").textContent === "device-0000");
    await page.locator("#search").fill("DEVICE-77");
    await page.waitForFunction(() => /100 of 10.010 devices/.test(document.querySelector(".tools").textContent));
    // A page that was bookmarked comes back.
    await page.goto("about:blank");
    await page.goto(`${url}#devices?search=device-123&sort=device&order=desc`);
    await page.waitForFunction(() => document.querySelector("tbody th")?.textContent === "device-1239");
    await page.locator("#search").fill("no such device");
    await page.getByText("No device of that name").waitFor();
    await page.screenshot({ path: path.join(shots, "no-device.png") });
  },

  async hostile() {
    const names = JSON.parse(process.env.HOSTILE_NAMES);
    await open("devices?search=hostile&sort=device");
    await page.waitForFunction((n) => document.querySelectorAll("tbody tr").length === n, names.length);
    const shown = await page.locator("tbody th").allInnerTexts();
    assert.equal(shown.length, names.length);
    assert.equal(await page.locator("tbody img, tbody script, tbody b").count(), 0);
    assert.ok(shown.some((name) => name.includes("<img src=x onerror=alert(1)>")), shown.join("\n"));
    assert.ok(!shown.some((name) => /[\u0000-\u001f\u202e\u2028]/.test(name)), "a control character is shown raw");
    await noSidewaysScroll("hostile names");
    await page.screenshot({ path: path.join(shots, "hostile-names.png") });
    // Each opens its own page by its true name.
    for (let i = 0; i < names.length; ++i) {
      await open("devices?search=hostile&sort=device");
      await page.locator("tbody th a").nth(i).click();
      await page.locator("canvas").first().waitFor();
      assert.equal(await text("h1"), shown[i]);
      await noSidewaysScroll(shown[i]);
    }
    await open("dead-letters");
    await page.locator(".letter").first().waitFor();
    assert.equal(await page.locator(".letter img, .letter script").count(), 0);
    assert.match(await text(".letter .bytes"), /<script>alert\(2\)<\/script>\\x00\\xff/);
    await page.goto(`${url}#device/%E0%A4%A`);
    await page.getByText("Nothing known of this device").waitFor();
    expectFailures = true;  // the console names the 404
    await open("device/nobody");
    await page.getByText("Nothing known of this device").waitFor();
    expectFailures = false;
  },

  async hopping() {
    await open("device/device-0001");
    await page.getByText("Moving average over the readings").waitFor();
    await page.locator(".mark[data-mark=closed]").first().waitFor();
    await page.screenshot({ path: path.join(shots, "device-hopping.png") });
  },

  async changed() {
    await open("device/device-0001");
    const count = await text(".fact:nth-child(4) dd");
    await have("change");
    await page.waitForFunction((before) => document.querySelector(".fact:nth-child(4) dd").innerText !== before, count);
    // The change came to a closed window.
    await page.locator(".mark[data-mark=corrected]").first().waitFor();
    await page.screenshot({ path: path.join(shots, "device-corrected.png") });
  },

  async reconnect() {
    await open("overview");
    await words("Reading the table");
    expectFailures = true;
    await have("stop");
    await words("Disconnected");
    assert.match(await text("#notice"), /No connection to culvert since \d\d:\d\d:\d\d UTC/);
    await page.screenshot({ path: path.join(shots, "disconnected.png") });
    await have("start");
    await words("Reading the table");
    await page.waitForFunction(() => document.getElementById("notice").hidden);
    await have("freeze");
    await words("Stale");
    await page.screenshot({ path: path.join(shots, "stale.png") });
    await have("thaw");
    await words("Reading the table");
    await have("stop");
    await words("Disconnected");
    expectFailures = false;
  },

  async empty() {
    await open("overview");
    await page.getByText("No devices yet").waitFor();
    await page.screenshot({ path: path.join(shots, "empty.png") });
    for (const [view, said] of [["devices", "No devices yet"], ["partitions", "No partitions here"],
      ["dead-letters", "No dead letters"]]) {
      await open(view);
      await page.getByText(said).waitFor();
    }
  },

  async login() {
    await page.goto(url);
    await page.getByLabel("Token").fill("not the token at all");
    await page.getByRole("button").click();
    await page.getByRole("alert").waitFor();
    await page.screenshot({ path: path.join(shots, "login.png") });
    await page.getByLabel("Token").fill(process.env.TOKEN);
    await page.getByRole("button").click();
    await words("Reading the table");
    const cookies = await context.cookies();
    assert.equal(cookies.length, 1);
    assert.ok(cookies[0].httpOnly);
    assert.ok(!cookies[0].value.includes(process.env.TOKEN));
    assert.equal(await page.evaluate(() => document.cookie), "");
  },
};

let failed = null;
try {
  for (const name of suite.split(",")) {
    const begun = Date.now();
    await steps[name]();
    console.log(`ok ${name} ${((Date.now() - begun) / 1000).toFixed(1)} s`);
  }
  assert.deepEqual(problems, [], "the page reported problems");
  assert.deepEqual([...origins].filter((origin) => origin !== new URL(url).origin && origin !== "null"), [],
    "the page asked somebody else");
} catch (failure) {
  failed = failure;
  console.log(`failed: ${failure.stack}`);
  await page.screenshot({ path: path.join(shots, "failure.png") }).catch((error) => console.log(error.message));
}
await context.close();
fs.rmSync(profile, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
