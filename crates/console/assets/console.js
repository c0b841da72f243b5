// What pages do beside showing: remember the theme, keep times true, refresh what changes, copy. Without it everything
// works all the same.

"use strict";

const root = document.documentElement;

const remembered = () => {
  try {
    return localStorage.getItem("posthaste-theme");
  } catch {
    return null; // A browser may keep nothing.
  }
};
if (remembered()) root.dataset.theme = remembered();

const isDark = () =>
  root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;

function toggleTheme() {
  root.dataset.theme = isDark() ? "light" : "dark";
  try {
    localStorage.setItem("posthaste-theme", root.dataset.theme);
  } catch {
    // It holds for this page.
  }
}

// The same words as the server's.
function farFrom(at) {
  const apart = Math.round((Date.now() - at) / 1000);
  const secs = Math.abs(apart);
  if (secs === 0) return "now";
  if (secs >= 90 * 86400) return new Date(at).toISOString().slice(0, 10);
  const [size, unit] = secs < 60 ? [1, "s"] : secs < 3600 ? [60, "min"] : secs < 86400 ? [3600, "h"] : [86400, "d"];
  const far = `${Math.floor(secs / size)} ${unit}`;
  return apart > 0 ? `${far} ago` : `in ${far}`;
}

function tellTimes() {
  for (const time of document.querySelectorAll("time[data-far]")) {
    const far = farFrom(Date.parse(time.dateTime));
    if (time.textContent !== far) time.textContent = far;
  }
}

let paused = false;

// Who reads on in something must not lose it.
function isInUse(part) {
  return part.contains(document.activeElement) || part.querySelector("details[data-opened]") !== null
    || (getSelection()?.toString() !== "" && part.contains(getSelection().anchorNode));
}

function markNew(part, known) {
  for (const row of part.querySelectorAll("tbody tr")) {
    const link = row.querySelector("a")?.href;
    if (link && known.size > 0 && !known.has(link)) row.classList.add("new");
  }
}

const linksOf = (part) => new Set([...part.querySelectorAll("tbody tr")].map((row) => row.querySelector("a")?.href));

const clock = () => `${new Date().toISOString().slice(11, 19)} UTC`;

// What is shown may be old: it says so until it is fresh again.
function markOld(part) {
  if (part.querySelector(".old")) return;
  const said = document.createElement("p");
  said.className = "old";
  said.setAttribute("role", "status");
  said.textContent = `Not refreshed since ${part.dataset.fresh}: the service does not answer. It is asked again.`;
  part.prepend(said);
}

async function refresh(part) {
  const again = Number(part.dataset.refresh) * 1000;
  let later = part;
  if (!paused && !document.hidden && !isInUse(part)) {
    try {
      // Named, so that the page leaves out what is costly and thrown away here.
      const headers = { accept: "text/html", "posthaste-part": part.id };
      const answer = await fetch(location.href, { headers });
      if (answer.redirected || answer.status === 401) return location.reload();
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById(part.id);
      if (!answer.ok) markOld(part);
      if (fresh && answer.ok && !paused && !isInUse(part)) {
        const known = linksOf(part);
        later = document.importNode(fresh, true);
        later.dataset.fresh = clock();
        part.replaceWith(later);
        markNew(later, known);
        dress(later);
      }
    } catch {
      markOld(part);
    }
  }
  if (later.dataset.refresh) setTimeout(refresh, again, later);
}

async function copy(button) {
  const text = document.getElementById(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // Without https browsers let nobody write there: it is marked, to be copied by hand.
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    button.textContent = "Press Ctrl+C";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

// Makes what needs the script usable within a part of the page.
function dress(part) {
  for (const button of part.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
  for (const details of part.querySelectorAll("details")) {
    details.querySelector("summary").addEventListener("click", () => {
      details.toggleAttribute("data-opened", !details.open);
    });
  }
  tellTimes();
}

addEventListener("DOMContentLoaded", () => {
  const theme = document.querySelector("[data-theme-toggle]");
  theme.hidden = false;
  theme.addEventListener("click", toggleTheme);
  for (const button of document.querySelectorAll("[data-pause]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      paused = !paused;
      button.setAttribute("aria-pressed", String(paused));
      button.textContent = paused ? "Go on" : "Pause";
    });
  }
  dress(document);
  // A menu that is wider than a phone begins with where one is.
  const here = document.querySelector(".top nav [aria-current]");
  if (here) {
    const menu = here.closest("ul");
    menu.scrollLeft = here.offsetLeft - menu.offsetLeft - (menu.clientWidth - here.offsetWidth) / 2;
  }
  for (const part of document.querySelectorAll("[data-refresh]")) {
    part.dataset.fresh = clock();
    setTimeout(refresh, Number(part.dataset.refresh) * 1000, part);
  }
  setInterval(tellTimes, 1000);
});
