// Optional script of the pages: live refresh, local times, copy buttons, selections, dialogs, keyboard shortcuts.
// Every page works without it. Markup: [data-live] [data-live-note] .copy[data-copy] [data-pretty] [data-reveal] [data-dialog] [data-confirm]
// [data-tick-all] [data-count] [data-needs-ticks] [data-submit] [data-implies] [data-profile] [data-no-script] [data-key] [data-search] [data-row]
// [data-keys-off] [data-pause] time[datetime] (data-relative, data-countdown)

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const LANGUAGE = document.documentElement.lang || "en";

// --- Announcements for screen readers ---------------------------------------------------------------------------------

const voice = document.createElement("p");
voice.className = "sr";
voice.setAttribute("role", "status");
document.body.append(voice);

function say(text) {
  voice.textContent = "";
  setTimeout(() => (voice.textContent = text), 50);
}

// --- Times ------------------------------------------------------------------------------------------------------------

const UNITS = [["second", 1], ["minute", 60], ["hour", 3600], ["day", 86400]];
const relative = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "always", style: "short" });
const two = (n) => String(n).padStart(2, "0");
const { zone, zoneCookie, cookieAttributes, reload } = document.documentElement.dataset;

/** Tells the server the browser's time zone, in which it then writes all times. Loads the page again if it is in another. */
function storeZone() {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const isStored = () => document.cookie.split("; ").includes(`${zoneCookie}=${own}`);
  if (!zoneCookie || !own || isStored()) return;
  document.cookie = `${zoneCookie}=${own}${cookieAttributes}`;
  if (reload !== undefined && own !== zone && isStored()) location.reload();
}

/** "3 min. ago", "in 2 hr."; the date, which the server wrote, beyond thirty days. */
function distance(at, time) {
  const seconds = (at - Date.now()) / 1000;
  const size = Math.abs(seconds);
  if (size < 5) return "now";
  time.dataset.date ??= time.textContent.slice(0, 10);
  if (size > 30 * 86400) return time.dataset.date;
  const [unit, length] = UNITS.findLast(([, s]) => size >= s * 0.98) ?? UNITS[0];
  return relative.format(Math.round(seconds / length), unit).replace(/(min|hr|sec)\./, (_, u) => (u === "hr" ? "h" : u === "sec" ? "s" : u));
}

/** "0:09", "59:12", "3:04:05", "6 d 3 h". */
function countdown(at) {
  const left = Math.max(0, Math.round((at - Date.now()) / 1000));
  if (!left) return "now";
  const [d, h, m, s] = [Math.floor(left / 86400), Math.floor(left / 3600) % 24, Math.floor(left / 60) % 60, left % 60];
  if (d) return `${d} d ${h} h`;
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function showTime(time) {
  const at = new Date(time.dateTime);
  if (isNaN(at)) return;
  const { relative, countdown: counting } = time.dataset;
  if (counting === undefined && relative === undefined) return;
  const text = counting !== undefined ? countdown(at) : distance(at, time);
  if (time.textContent !== text) time.textContent = text;
}

setInterval(() => $$("time[data-relative]").forEach(showTime), 30_000);
setInterval(() => $$("time[data-countdown]").forEach(showTime), 1000);

// --- Copy, reveal, pretty ---------------------------------------------------------------------------------------------

const raw = new WeakMap(); // original text of an indented block
let preferRaw = false; // last choice, for regions that are swapped

const textOf = (element) => element.value ?? raw.get(element) ?? element.textContent;

async function copy(text, near) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Plain HTTP on a LAN has no clipboard API. The area is next to the button: within a modal dialog, nothing outside can have focus.
    const area = document.createElement("textarea");
    area.className = "sr";
    area.value = text;
    near.after(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    near.focus();
    return done;
  }
}

async function onCopy(button) {
  const source = $(button.dataset.copy);
  if (!source) return;
  const done = await copy(textOf(source), button);
  say(done ? "Copied" : "Copy failed. Select the text and copy it manually.");
  const label = $("span", button);
  if (label && !button.dataset.label) {
    button.dataset.label = label.textContent;
    label.textContent = done ? "Copied" : "Not copied";
    setTimeout(() => {
      label.textContent = button.dataset.label;
      delete button.dataset.label;
    }, 1600);
  }
}

const MOST_COLOURED = 5000; // tokens of a block; a longer one is only indented
const MOST_FOLDS = 100; // objects and arrays of a block that can be folded: each is a stop of the Tab key

function make(tag, content, properties) {
  const element = document.createElement(tag);
  element.append(...content);
  return Object.assign(element, properties);
}

/** Indents JSON token by token, which keeps numbers, key order and duplicate keys as sent. Colours it, and lets parts be folded. */
function pretty(text) {
  JSON.parse(text); // throws if it is not JSON
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g);
  const coloured = tokens.length <= MOST_COLOURED;
  const root = new DocumentFragment();
  const parents = []; // of each open object or array: the place of its last line, and its summary if it can be folded
  let [place, line, folds, closes] = [root, [], 0, false];
  const end = (opens) => {
    let summary;
    if (opens && coloured && folds < MOST_FOLDS) {
      folds += 1;
      summary = make("summary", line);
      const part = make("details", [summary], { open: true });
      place.append(part);
      parents.push([place, summary]);
      place = part;
    } else {
      if (opens) parents.push([place]);
      place.append(...line, "\n");
      if (closes) {
        const [parent, folded] = parents.pop();
        if (folded) folded.dataset.end = line.map((node) => node.textContent ?? node).join("").trim();
        place = parent;
      }
    }
    closes = false;
    line = ["  ".repeat(parents.length)];
  };
  tokens.forEach((token, i) => {
    const next = tokens[i + 1];
    const kind = token[0] === '"' ? (next === ":" ? "key" : "text") : /[-\d]/.test(token[0]) ? "number" : /[a-z]/.test(token[0]) && "word";
    if ((token === "}" || token === "]") && !/^[{[]$/.test(tokens[i - 1])) {
      end(false);
      line = ["  ".repeat(parents.length - 1)];
      closes = true;
    }
    line.push(kind && coloured ? make("span", [token], { className: `json-${kind}` }) : token);
    if (token === ":") line.push(" ");
    if (token === ",") end(false);
    else if ((token === "{" || token === "[") && next !== "}" && next !== "]") end(true);
  });
  end(false);
  return root;
}

function setPretty(button, on) {
  const block = $(button.dataset.pretty);
  if (!raw.has(block)) raw.set(block, block.textContent);
  block.replaceChildren(on ? pretty(raw.get(block)) : raw.get(block));
  button.setAttribute("aria-pressed", on);
}

function offerPretty(button) {
  try {
    setPretty(button, !preferRaw);
    button.hidden = false;
  } catch {
    // Not JSON, or truncated.
  }
}

function onReveal(button) {
  const target = $(button.dataset.reveal);
  const shown = target.type ? target.type === "password" : target.hidden;
  if (target.type) target.type = shown ? "text" : "password";
  else target.hidden = !shown;
  button.setAttribute("aria-pressed", shown);
}

// --- Tick boxes -------------------------------------------------------------------------------------------------------

const boxes = (root) => $$(".tick input[type=checkbox]:not([data-tick-all], :disabled)", root);
const scopeOf = (element) => element.form ?? document;
let lastBox = null;

function count(scope) {
  const all = boxes(scope);
  const ticked = all.filter((box) => box.checked).length;
  $$("[data-count]", scope).forEach((place) => (place.textContent = ticked));
  $$("[data-needs-ticks]", scope).forEach((part) => (part.hidden = !ticked));
  $$("[data-tick-all]", scope).forEach((box) => {
    box.checked = ticked > 0 && ticked === all.length;
    box.indeterminate = ticked > 0 && ticked < all.length;
  });
}

function onTick(box, shift) {
  const scope = scopeOf(box);
  const all = boxes(scope);
  if (box.matches("[data-tick-all]")) {
    all.forEach((other) => (other.checked = box.checked));
  } else if (all.includes(box)) {
    const [from, to] = [all.indexOf(lastBox), all.indexOf(box)].sort((a, b) => a - b);
    if (shift && from >= 0) all.slice(from, to + 1).forEach((other) => (other.checked = box.checked));
    lastBox = box;
  } else return;
  count(scope);
}

// --- Dialogs ----------------------------------------------------------------------------------------------------------

/** Opens the confirmation dialog, then submits the form with the fields of the dialog and `confirmed`. */
function confirmFirst(form, submitter, dialog) {
  $$("[data-count]", dialog).forEach((place) => (place.textContent = boxes(form).filter((box) => box.checked).length));
  dialog.returnValue = "";
  dialog.showModal();
  dialog.onclose = () => {
    if (dialog.returnValue !== "yes") return;
    const fields = new FormData($("form", dialog) ?? undefined);
    fields.set("confirmed", "yes");
    for (const [name, value] of fields) {
      const input = document.createElement("input");
      Object.assign(input, { type: "hidden", name, value });
      input.dataset.fromDialog = "";
      form.append(input);
    }
    form.dataset.confirmed = "yes";
    form.requestSubmit(submitter);
  };
}

/** Shows the theme at once. The server stores it for the next page. */
function setTheme(form, submitter) {
  const { dataset } = document.documentElement;
  if (submitter.value) dataset.theme = submitter.value;
  else delete dataset.theme;
  $$("[name=theme]", form).forEach((button) => button.setAttribute("aria-pressed", button === submitter));
  fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form, submitter)), redirect: "manual" });
}

document.addEventListener("submit", (event) => {
  const { target: form, submitter } = event;
  if (submitter?.name === "theme") {
    event.preventDefault();
    return setTheme(form, submitter);
  }
  const dialog = $(submitter?.dataset.confirm ?? form.dataset.confirm ?? "dialog[data-never]");
  if (dialog && !form.dataset.confirmed) {
    event.preventDefault();
    confirmFirst(form, submitter, dialog);
  } else if (form.method === "post") {
    if (form.dataset.sent) return event.preventDefault(); // second click
    form.dataset.sent = "yes";
    setTimeout(() => release(form), 5000); // a download leaves the page where it is
  }
});

// A page restored from the history can submit its forms again.
addEventListener("pageshow", () => $$("form[data-sent]").forEach(release));

function release(form) {
  delete form.dataset.sent;
  delete form.dataset.confirmed;
  $$("[data-from-dialog]", form).forEach((input) => input.remove());
}

// Empty filters are left out of the URL.
document.addEventListener("formdata", ({ target, formData }) => {
  if (target.method !== "get") return;
  for (const name of new Set(formData.keys())) {
    const values = formData.getAll(name).filter((value) => value !== "");
    formData.delete(name);
    values.forEach((value) => formData.append(name, value));
  }
});

// --- Clicks and changes -----------------------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const { target } = event;
  for (const menu of $$("details.menu[open]")) if (!menu.contains(target)) menu.open = false;
  if (target.matches?.(".tick input")) return onTick(target, event.shiftKey);
  const act = target.closest?.("[data-copy], [data-pretty], [data-reveal], [data-dialog], [data-close]");
  if (!act) return;
  const { pretty: block, reveal, dialog } = act.dataset;
  if (act.dataset.copy) onCopy(act);
  else if (block) setPretty(act, preferRaw), (preferRaw = !preferRaw);
  else if (reveal) onReveal(act);
  else if (dialog && $(dialog)) {
    event.preventDefault();
    $(dialog).showModal();
  } else if (act.dataset.close !== undefined) act.closest("dialog")?.close();
});

document.addEventListener("input", ({ target }) => {
  const implied = target.type !== "radio" && target.closest("[data-implies]");
  if (implied) $(implied.dataset.implies).checked = true;
  if (target.id === "profile") $$("[data-profile]").forEach((hint) => (hint.hidden = hint.dataset.profile !== target.value));
});

document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-submit]")) target.form.requestSubmit();
  if (target.matches("[data-keys-off]")) setKeysOff(target.checked);
});

// --- Keys -------------------------------------------------------------------------------------------------------------

/** Whether keyboard shortcuts are off (WCAG 2.1.4). Without storage, the choice lasts as long as the page. */
let keysOff = false;
try {
  keysOff = localStorage.getItem("keys") === "off";
} catch {
  // Storage is blocked, for example in a frame.
}

function setKeysOff(off) {
  keysOff = off;
  try {
    localStorage.setItem("keys", off ? "off" : "on");
  } catch {
    // Storage is blocked.
  }
}

/** Moves the focus to the search field. */
function find(event) {
  const field = $("[data-search]");
  if (!field) return;
  event.preventDefault();
  field.focus();
  field.select();
}

let waitingForG = 0;

function onKey(event) {
  if (event.key === "Escape") {
    const menu = $("details.menu[open]");
    if (menu) {
      menu.open = false;
      $("summary", menu).focus();
    }
    return;
  }
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k" && !$("dialog[open]")) return find(event);
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || keysOff) return;
  if (event.target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]") || $("dialog[open]")) return;
  const { key } = event;
  if (Date.now() < waitingForG) {
    waitingForG = 0;
    const link = $(`[data-key="${CSS.escape(key)}"]`);
    if (link) event.preventDefault(), link.click();
  } else if (key === "g") {
    waitingForG = Date.now() + 1500;
  } else if (key === "/") {
    find(event);
  } else if (key === "?") {
    $("dialog#keys")?.showModal();
  } else if (key === "j" || key === "k") {
    const rows = $$("[data-row]");
    const here = rows.findIndex((row) => row === document.activeElement || row.closest("tr, li")?.contains(document.activeElement));
    rows[here < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, here + (key === "j" ? 1 : -1)))]?.focus();
  }
}

document.addEventListener("keydown", onKey);

// --- Live refresh -----------------------------------------------------------------------------------------------------

const NORMAL_MS = 3000;
const FAST_MS = 1000;
const LONGEST_MS = 30_000;
const seen = new Map(); // region id: last HTML from the server
const held = new Map(); // region id: newer content, while the reader works in the region
const opened = new WeakSet(); // details that the visitor opened or closed
let failures = 0;
let stopped = false;
let paused = false;
let pointer = ""; // a finger that has left is not in a list
let timer = 0;

const regions = () => $$("[data-live][id]");

/** Whether the visitor works in a region, which then stays as it is. Details with an id do not count: their state is kept. */
function busy(region) {
  const selection = getSelection();
  return (
    region.contains(document.activeElement) ||
    (!selection.isCollapsed && selection.containsNode(region, true)) ||
    $$(".tick input:checked", region).length > 0 ||
    $$("input:not([type=hidden], [type=checkbox], [type=radio]), textarea", region).some((field) => field.value !== field.defaultValue) ||
    $$("details[open]:not([id])", region).some((details) => opened.has(details))
  );
}

function swap(region, fresh) {
  const states = $$("details[id]", region).filter((d) => opened.has(d)).map((d) => [d.id, d.open]);
  const scrolls = $$("pre[id]", region).map((pre) => [pre.id, pre.scrollTop, pre.scrollLeft]);
  const ticked = new Set(boxes(region).filter((box) => box.checked).map((box) => box.value));
  region.replaceChildren(...document.importNode(fresh, true).childNodes);
  boxes(region).forEach((box) => (box.checked = ticked.has(box.value)));
  enhance(region);
  for (const [id, open] of states) {
    const details = $(`#${CSS.escape(id)}`, region);
    if (details) (details.open = open), opened.add(details);
  }
  for (const [id, top, left] of scrolls) $(`#${CSS.escape(id)}`, region)?.scrollTo(left, top);
}

function note(...content) {
  $$("[data-live-note]").forEach((place) => {
    place.replaceChildren(...content);
    place.hidden = content.length === 0;
  });
}

/** What each row of a list is about. */
const rowsOf = (root) => $$("tbody tr", root).map((row) => $("a[href]", row)?.getAttribute("href").split("?")[0] ?? row.textContent);

/** Whether a list would move under the reader: the pointer is in it, or its beginning is above the window. */
function slides(region, fresh) {
  const rows = rowsOf(region);
  const isRead = (pointer === "mouse" && region.matches(":hover")) || region.getBoundingClientRect().top < 0;
  return isRead && rows.length > 0 && rows.join() !== rowsOf(fresh).join();
}

function bring(region, fresh) {
  swap(region, fresh);
  seen.set(region.id, fresh.innerHTML);
  held.delete(region.id);
}

/** Says above a list what is held back. */
function offer(region) {
  let bar = region.previousElementSibling;
  const fresh = held.get(region.id);
  if (!bar?.matches(".live-bar")) {
    if (!fresh) return;
    const show = make("button", [], { type: "button", className: "chip", hidden: true });
    show.dataset.show = region.id;
    bar = make("p", [show], { className: "live-bar" });
    region.before(bar);
  }
  const known = new Set(rowsOf(region));
  const rows = fresh ? rowsOf(fresh) : [];
  const count = rows.filter((row) => !known.has(row)).length;
  bar.firstChild.hidden = !fresh;
  bar.firstChild.textContent = count ? `Show ${count}${count === rows.length ? "+" : ""} new` : "Show changes";
}

function apply(page) {
  document.title = page.title; // it counts what is wrong
  for (const region of regions()) {
    const fresh = page.getElementById(region.id);
    if (!fresh) continue;
    if (seen.get(region.id) === fresh.innerHTML) held.delete(region.id);
    else if (busy(region) || slides(region, fresh)) held.set(region.id, fresh);
    else bring(region, fresh);
    offer(region);
    // The server stops or speeds up the refresh with this attribute.
    if (held.has(region.id)) continue;
    if (fresh.dataset.live === undefined) delete region.dataset.live;
    else region.dataset.live = fresh.dataset.live;
  }
}

function setPaused(on) {
  if (stopped) return;
  paused = on;
  $$("[data-pause]").forEach((button) => (button.textContent = on ? "Resume updates" : "Pause updates"));
  if (on) note("Not updating. Updates are paused.");
  else note(), refresh();
}

document.addEventListener("pointerover", ({ pointerType }) => (pointer = pointerType));
document.addEventListener("click", ({ target }) => {
  const act = target.closest?.("[data-show], [data-pause]");
  if (!act) return;
  if (act.dataset.pause !== undefined) return setPaused(!paused);
  const region = document.getElementById(act.dataset.show);
  bring(region, held.get(region.id));
  offer(region);
  region.scrollIntoView({ block: "nearest" });
  $("[data-row]", region)?.focus({ preventScroll: true });
});

function signedOut() {
  stopped = true;
  const link = document.createElement("a");
  link.href = location.href;
  link.textContent = "Sign in again";
  note("Not updating. You are signed out. ", link);
}

async function refresh() {
  if (stopped || paused || document.hidden) return;
  if ($("dialog[open]")) return again();
  try {
    const answer = await fetch($("[data-from]")?.dataset.from ?? location.href.split("#")[0], {
      headers: { Accept: "text/html", "X-Live": "1" }, redirect: "manual", cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(5000),
    });
    if (answer.status === 401 || answer.type === "opaqueredirect") return signedOut();
    if (!answer.ok) throw new Error(String(answer.status));
    if (paused) return;
    apply(new DOMParser().parseFromString(await answer.text(), "text/html"));
    failures = 0;
    note();
  } catch {
    if (paused) return;
    failures += 1;
    note(`Not updating. Retrying every ${Math.round(pause() / 1000)} s.`);
  }
  again();
}

function pause() {
  const usual = $('[data-live="fast"]') ? FAST_MS : NORMAL_MS;
  return Math.min(LONGEST_MS, usual * 2 ** Math.min(failures, 6));
}

function again() {
  clearTimeout(timer);
  if (regions().length) timer = setTimeout(refresh, pause());
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && regions().length) clearTimeout(timer), refresh();
});
document.addEventListener("click", ({ target }) => {
  const summary = target.closest?.("summary");
  if (summary) opened.add(summary.parentElement);
});

// --- Start ------------------------------------------------------------------------------------------------------------

/** Initializes markup of the server: a whole page, or a swapped region. */
function enhance(root) {
  $$("time[data-relative], time[data-countdown]", root).forEach(showTime);
  $$(".copy, [data-reveal], button[data-dialog]", root).forEach((button) => (button.hidden = false));
  $$("[data-no-script]", root).forEach((part) => (part.hidden = true));
  $$("[data-pretty]", root).forEach(offerPretty);
  new Set($$(".tick input", root).map(scopeOf)).forEach(count);
}

storeZone();
regions().forEach((region) => seen.set(region.id, region.innerHTML));
enhance(document);
$$("[data-pause]").forEach((button) => (button.hidden = !regions().length));
$$("[data-keys-off]").forEach((box) => (box.checked = keysOff));
again();
