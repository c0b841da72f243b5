// Debian's chromium, and what every page has to stand.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { KEY } from "./service.mjs";

// The packages lie in the target folder, where scripts/browser-tests puts them.
const require = createRequire(`${process.env.POSTHASTE_E2E_PACKAGES}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export async function startBrowser() {
  const executablePath = process.env.POSTHASTE_CHROMIUM;
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/// A window of its own, which fails its test when a script fails or the content security policy has to stop something.
export async function openWindow(browser, options = {}) {
  const context = await browser.newContext({ locale: "en-GB", ...options });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  page.wrongs = [];
  page.on("pageerror", (error) => page.wrongs.push(`script: ${error.message}`));
  page.on("dialog", (dialog) => { page.wrongs.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("console", (message) => {
    // A page that says what was wrong comes with its status, which is as it should be.
    const refused = /the server responded with a status of 4/.test(message.text());
    if (message.type() === "error" && !refused) page.wrongs.push(`console: ${message.text()}`);
  });
  return page;
}

export async function closeWindow(page) {
  assert.deepEqual(page.wrongs, []);
  await page.context().close();
}

export async function signIn(page, url, path = "/console", key = KEY) {
  await page.goto(url + path);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Sign out" }).waitFor();
}

/// What axe finds that keeps people out.
export async function barriers(page) {
  // Not by a script element, which the content security policy would stop.
  await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"],
  }));
  assert.ok(passes.length > 5, "axe has looked");
  return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map((node) => node.html).slice(0, 3).join(" | ")}`);
}

/// Whether a page is wider than its window.
export async function isTooWide(page) {
  return page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
}
