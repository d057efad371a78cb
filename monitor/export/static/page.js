/* Charts, relative times, and what is new without loading the page again. All of it is extra. */
"use strict";

(() => {
  const REFRESH_SECONDS = 30;
  const root = document.body.dataset.root;
  const json = async (url) => {
    const answer = await fetch(url, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
    return answer.json();
  };

  /* --- times -------------------------------------------------------------------------------- */

  function ago(moment) {
    const seconds = (moment - Date.now()) / 1000, size = Math.abs(seconds);
    const [unit, length] = size < 90 ? ["second", 1] : size < 5400 ? ["minute", 60]
      : size < 129600 ? ["hour", 3600] : ["day", 86400];
    return new Intl.RelativeTimeFormat("en", { numeric: "always" }).format(Math.round(seconds / length), unit);
  }

  function tellTimes() {
    for (const time of document.querySelectorAll("time")) {
      time.title = `${ago(Date.parse(time.dateTime))}`;
    }
    for (const time of document.querySelectorAll(".facts time")) {
      time.textContent = `${time.dateTime.slice(0, 16).replace("T", " ")} UTC (${ago(Date.parse(time.dateTime))})`;
    }
  }

  /* --- charts ------------------------------------------------------------------------------- */

  const section = document.querySelector(".charts");
  const drawn = [];
  let shown = null;

  function marksOf(changes, environments, id) {
    const seconds = (text) => Date.parse(text) / 1000;
    const found = environments.map((each) => ({ at: seconds(each.at), colour: "quiet" }));
    for (const change of changes) {
      if (!change.evidence.some((each) => each.case === id || each.case === null)) continue;
      const colour = change.effect_ratio < 0 ? "green" : change.alarming && !change.ending ? "red" : "amber";
      found.push({ at: seconds(change.since), low: seconds(change.since_low), high: seconds(change.since_high), colour });
    }
    return found;
  }

  function draw() {
    while (drawn.length) drawn.pop().destroy();
    const status = section.querySelector(".chart-status");
    if (!shown.found.at_seconds.length) {
      status.textContent = "No run of this case has been measured yet.";
      return;
    }
    status.textContent = "";
    const span = Number(section.querySelector("[name=span]:checked").value);
    const [rates, clocks] = section.querySelectorAll(".chart");
    for (const part of section.querySelectorAll("figure, .key")) part.hidden = false;
    drawn.push(charts.rates(rates, shown.found, shown.marks, span));
    drawn.push(charts.clocks(clocks, shown.found, shown.marks, span));
  }

  async function load() {
    const api = section.dataset.api, id = section.querySelector("[name=case]").value;
    if (!id) return;
    const url = `${api}/cases/${encodeURIComponent(id)}/points`;
    const [points, told, made] = await Promise.all([json(url), json(`${api}/changes`), json(`${api}/environments`)]);
    if (id !== section.querySelector("[name=case]").value) return;
    section.querySelector(".points").href = url;
    shown = { found: charts.columns(points), marks: marksOf(told.changes, made.changes, id) };
    draw();
    section.dataset.drawn = `${id} ${shown.found.at_seconds.length}`;
  }

  async function tryToLoad() {
    try {
      await load();
    } catch (error) {
      section.querySelector(".chart-status").textContent = `The points cannot be read: ${error.message}`;
    }
  }

  function start() {
    const form = section.querySelector("form");
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.elements.case.addEventListener("change", tryToLoad);
    for (const radio of form.elements.span) radio.addEventListener("change", () => shown && draw());
    const wide = () => drawn.forEach((plot) => plot.setSize({ width: Math.max(280, plot.root.parentNode.clientWidth), height: 300 }));
    addEventListener("resize", wide);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown && draw());
    return tryToLoad();
  }

  /* --- what is new -------------------------------------------------------------------------- */

  const newest = (status) => status.targets.map((each) =>
    [each.name, each.last_run_id, each.state, each.up, each.paused, each.measuring, each.next_run_at].join()).join(";");
  let known = null;

  async function look() {
    const now = newest(await json(`${root}api/v1/status`));
    if (known !== null && now !== known) await replace();
    known = now;
  }

  async function replace() {
    const answer = await fetch(location.pathname);
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const successor = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
      if (!successor || part.contains(document.activeElement)) continue;
      const open = new Set([...part.querySelectorAll("details[open]")].map((each) => each.closest("[id]")?.id));
      for (const each of successor.querySelectorAll("details")) each.open = open.has(each.closest("[id]")?.id);
      part.replaceWith(document.importNode(successor, true));
    }
    document.querySelector("footer").replaceWith(document.importNode(fresh.querySelector("footer"), true));
    tellTimes();
    if (section) await tryToLoad();
  }

  tellTimes();
  if (section) start();
  look().catch(() => {});
  setInterval(() => { if (!document.hidden) { tellTimes(); look().catch(() => {}); } }, REFRESH_SECONDS * 1000);
})();
