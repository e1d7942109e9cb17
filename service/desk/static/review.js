// The queue and a ticket by keyboard. A decision is sent in the background while the next ticket, loaded before, is
// already shown; a decision that fails brings its ticket back.
"use strict";

const UNDO_SECONDS = 30;
const FRESH_MS = 60_000; // how long a part that was loaded ahead may be shown
const parts = new Map(); // URL -> promise of the part of a page
const done = []; // decisions that can be undone, the newest last: {url, html, review: promise of its id, label}
let ticket = document.getElementById("ticket");
let address = location.pathname + location.search; // of what is shown

const options = () => [...document.querySelectorAll("#labels [role=option]:not([hidden])")];
const chosen = () => document.querySelector('#labels [aria-selected="true"]:not([hidden])');

function load(url) {
  if (url && !parts.has(url)) {
    const part = fetch(url, { headers: { "HX-Request": "true" } }).then(async (answer) => {
      const html = await answer.text();
      if (!answer.ok) throw Object.assign(new Error(desk.line(html, answer.status)), { status: answer.status });
      return html;
    });
    part.catch(() => parts.delete(url));
    parts.set(url, part);
    setTimeout(() => parts.get(url) === part && parts.delete(url), FRESH_MS);
  }
  return parts.get(url);
}

const parsed = (html) => new DOMParser().parseFromString(html, "text/html").getElementById("ticket");

// Load what will be wanted next, two tickets ahead.
function loadAhead(element, depth = 2) {
  const url = element.dataset.after;
  if (!url || !depth) return;
  load(url).then((html) => loadAhead(parsed(html), depth - 1), () => {});
}

function show(html, { push = true } = {}) {
  const element = parsed(html);
  ticket.replaceWith(element);
  ticket = element;
  if (push) history.pushState(null, "", element.dataset.url);
  address = location.pathname + location.search;
  window.scrollTo(0, 0);
  ready();
  htmx.process(element);
}

async function open(url) {
  if (!url) return false;
  try {
    const html = await load(url);
    parts.delete(url); // the next time it may have been decided
    show(html);
  } catch (error) {
    if (error.status === 401) desk.signIn(() => open(url));
    else desk.tell(error.message || "The service does not answer.", [["Try again", () => (desk.quiet(), open(url))]]);
  }
  return true;
}

function choose(option) {
  for (const each of document.querySelectorAll("#labels [role=option]")) {
    each.setAttribute("aria-selected", String(each === option));
  }
  const filter = document.getElementById("filter");
  if (option) {
    filter.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  } else {
    filter.removeAttribute("aria-activedescendant");
  }
}

function filterLabels() {
  const wanted = document.getElementById("filter").value.trim().toLowerCase();
  for (const each of document.querySelectorAll("#labels [role=option]")) {
    each.hidden = !each.textContent.toLowerCase().includes(wanted);
  }
  choose(options()[0]);
}

function step(by) {
  const all = options();
  const place = all.indexOf(chosen()) + by;
  choose(all[Math.max(0, Math.min(all.length - 1, place))]);
}

// POST as htmx would; the answer, or an error with its status and its line.
async function post(url, body = new URLSearchParams()) {
  const headers = { "HX-Request": "true", "X-CSRF-Token": desk.csrf };
  let answer;
  try {
    answer = await fetch(url, { method: "POST", headers, body, keepalive: true });
  } catch {
    throw Object.assign(new Error("The service does not answer."), { status: 0 });
  }
  if (!answer.ok) throw Object.assign(new Error(desk.line(await answer.text(), answer.status)), { status: answer.status });
  return answer;
}

function confirmChoice() {
  if (ticket.dataset.open !== "yes") return; // decided: the next one is on its way
  const option = chosen();
  if (!option) return desk.tell("Choose a department first: type its name, or its number.");
  const body = new URLSearchParams({ department: option.dataset.label });
  for (const each of document.querySelectorAll("#decide select")) body.set(each.name, each.value);
  // Into the markup, so that the ticket comes back as it was left.
  for (const each of document.querySelectorAll("#decide option")) each.toggleAttribute("selected", each.selected);
  document.getElementById("filter").setAttribute("value", document.getElementById("filter").value);
  const made = { id: ticket.dataset.id, url: ticket.dataset.url, html: ticket.outerHTML, label: option.dataset.label };
  ticket.dataset.open = "";
  made.review = send(made, body);
  done.push(made);
  offerUndo(made);
  const next = ticket.dataset.after;
  parts.delete(made.url);
  if (next) open(next);
  else finish();
}

function send(made, body) {
  return post(`/desk/tickets/${made.id}/decide`, body)
    .then((answer) => answer.json())
    .then(
      (answer) => answer.review,
      (error) => {
        if (error.status === 401) {
          return new Promise((resolve) => {
            made.repeat = () => resolve(send(made, body));
            desk.signIn(made.repeat);
          });
        }
        done.splice(done.indexOf(made), 1);
        if (error.status === 409 || error.status === 404) {
          desk.tell(error.message, [["Show it", () => (desk.quiet(), open(made.url))]]);
        } else {
          show(made.html);
          desk.tell(`Not saved: ${error.message}`);
        }
        return null;
      },
    );
}

function offerUndo(made) {
  if (desk.repeats.length) return; // to sign in comes first
  desk.tell(`Decided: ${made.label}.`, [["Undo (Backspace)", () => undo()]]);
  made.offered = setTimeout(() => {
    const place = done.indexOf(made);
    if (place >= 0) done.splice(place, 1);
    if (!done.length && !desk.repeats.length) desk.quiet();
  }, 1000 * UNDO_SECONDS);
}

async function undo() {
  const made = done.pop();
  if (!made) return undoEarlier();
  clearTimeout(made.offered);
  desk.quiet();
  if (desk.repeats.includes(made.repeat)) {
    // It was never stored, for the session had ended.
    desk.repeats = desk.repeats.filter((each) => each !== made.repeat);
    show(made.html);
    return desk.repeats.length ? desk.signIn() : desk.tell(`Undone: ${made.label}.`);
  }
  const review = await made.review;
  if (review === null) return;
  try {
    await post(`/desk/reviews/${review}/undo`);
    parts.clear();
    show(made.html);
    desk.tell(`Undone: ${made.label}.`);
  } catch (error) {
    if (error.status === 401) desk.signIn(() => (done.push(made), undo()));
    else desk.tell(error.message);
  }
}

// A decision from before this page was loaded: the service knows the person's last one.
async function undoEarlier() {
  try {
    const { decision } = await (await post("/desk/reviews/last/undo")).json();
    location.assign(`/desk/tickets/${decision}`);
  } catch (error) {
    if (error.status === 401) desk.signIn(undoEarlier);
    else desk.tell(error.message);
  }
}

function finish() {
  const end = document.createElement("article");
  end.id = "ticket";
  end.dataset.queue = ticket.dataset.queue;
  const line = document.createElement("h1");
  line.textContent = "The queue ends here.";
  const link = document.createElement("a");
  link.href = ticket.dataset.queue;
  link.textContent = "To the queue";
  end.append(line, link);
  ticket.replaceWith(end);
  ticket = end;
  link.focus();
}

// Commands of the palette: [name, function].
function commands() {
  const links = [...document.querySelectorAll(".bar nav a")].map((a) => [a.textContent, () => location.assign(a.href)]);
  const here = ticket
    ? [
        ...(ticket.dataset.open === "yes" ? [["Confirm", confirmChoice]] : []),
        ["Next ticket", () => open(ticket.dataset.after)],
        ["Previous ticket", () => open(ticket.dataset.before)],
        ["Back to the queue", () => location.assign(ticket.dataset.queue)],
      ]
    : [["First ticket", () => document.getElementById("first")?.click()]];
  return [...here, ["Undo the last decision", undo], ["Keys", () => help.showModal()], ...links];
}

const palette = document.getElementById("palette");
const help = document.getElementById("keys");
const command = document.getElementById("command");
const listed = document.getElementById("commands");

function listCommands() {
  const wanted = command.value.trim().toLowerCase();
  listed.replaceChildren();
  commands()
    .filter(([name]) => name.toLowerCase().includes(wanted))
    .forEach(([name, action], place) => {
      const option = document.createElement("li");
      option.setAttribute("role", "option");
      option.id = `command-${place}`;
      option.textContent = name;
      option.setAttribute("aria-selected", String(place === 0));
      option.addEventListener("click", () => (palette.close(), action()));
      listed.append(option);
    });
  command.setAttribute("aria-activedescendant", listed.firstChild ? "command-0" : "");
}

function openPalette() {
  command.value = "";
  listCommands();
  palette.showModal();
  command.focus();
}

command.addEventListener("input", listCommands);
palette.addEventListener("keydown", (event) => {
  const all = [...listed.children];
  const place = all.findIndex((each) => each.getAttribute("aria-selected") === "true");
  if (event.key === "Enter") {
    event.preventDefault();
    all[place]?.click();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const next = all[Math.max(0, Math.min(all.length - 1, place + (event.key === "ArrowDown" ? 1 : -1)))];
    for (const each of all) each.setAttribute("aria-selected", String(each === next));
    if (next) command.setAttribute("aria-activedescendant", next.id);
  }
  event.stopPropagation();
});

function moveInQueue(by) {
  const rows = [...document.querySelectorAll(".tickets a")];
  const place = rows.indexOf(document.activeElement) + by;
  rows[Math.max(0, Math.min(rows.length - 1, place))]?.focus();
}

document.addEventListener("keydown", (event) => {
  if (help.open || palette.open || event.defaultPrevented || event.isComposing) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    openPalette();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const filter = document.getElementById("filter");
  const inFilter = filter !== null && event.target === filter;
  const typing = event.target.matches("input, select, textarea") && !inFilter;
  if (typing) return;
  const letter = event.key.length === 1;
  let taken = true;
  if (inFilter && event.key === "Escape") {
    filter.value = "";
    filterLabels();
    filter.blur();
  } else if (inFilter && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    step(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter") {
    if (event.repeat) taken = true; // a key held down decides one ticket
    else if (filter && (inFilter || !event.target.matches("a, button, summary"))) confirmChoice();
    else taken = false;
  } else if (/^[1-9]$/.test(event.key) && filter && (!inFilter || !filter.value)) {
    choose(options()[Number(event.key) - 1] ?? chosen());
  } else if (inFilter) {
    taken = false;
  } else if (event.key === "Backspace") {
    if (!event.repeat) undo();
  } else if (event.key === "?") {
    help.showModal();
  } else if (event.key === "/") {
    openPalette();
  } else if (event.key === "j" || event.key === "k") {
    if (!ticket) moveInQueue(event.key === "j" ? 1 : -1);
    else if (!ticket.dataset[event.key === "j" ? "after" : "before"]) desk.tell("The queue ends here.");
    else open(ticket.dataset[event.key === "j" ? "after" : "before"]);
  } else if (filter && letter && event.key.trim()) {
    filter.focus(); // the letter itself follows
    taken = false;
  } else {
    taken = false;
  }
  if (taken) event.preventDefault();
});

// What a part of a page needs when it is shown.
function ready() {
  loadAhead(ticket);
  document.getElementById("filter")?.addEventListener("input", filterLabels);
  document.getElementById("labels")?.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) choose(option);
  });
  document.getElementById("decide")?.addEventListener("submit", (event) => {
    event.preventDefault();
    confirmChoice();
  });
  const button = ticket.querySelector("[data-undo]");
  button?.addEventListener("click", async () => {
    try {
      await post(`/desk/reviews/${button.dataset.undo}/undo`);
      location.reload();
    } catch (error) {
      if (error.status === 401) desk.signIn(() => button.click());
      else desk.tell(error.message);
    }
  });
}

// A link within the page comes here too.
window.addEventListener("popstate", () => location.pathname + location.search !== address && location.reload());
if (ticket) ready();
