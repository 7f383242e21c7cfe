// Keeps the list of messages fresh and adds keys. The pages work without it.

const list = document.querySelector("[data-messages]");
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Times in the reader's own zone: today's by the hour, others by the day.
function showTimes(root) {
  const today = new Date().toDateString();
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const isToday = at.toDateString() === today;
    time.title = at.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
    time.textContent = time.hasAttribute("data-full")
      ? at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" })
      : at.toLocaleString(undefined, isToday ? { timeStyle: "short" } : { dateStyle: "medium" });
  }
}

// Takes over what changed and leaves the rest alone, so that focus and scroll stay where they are.
async function refresh() {
  const answer = await fetch(location.href, { headers: { accept: "text/html", "x-refresh": "1" } });
  if (!answer.ok) throw new Error(answer.status);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-messages]");
  if (!fresh) throw new Error("no list");
  const anchor = [...list.children].find((line) => line.getBoundingClientRect().bottom > 0);
  const anchorTop = anchor?.getBoundingClientRect().top;
  const known = new Map([...list.children].map((line) => [line.dataset.id, line]));
  const isFirst = known.size === 0;
  let arrived = 0;
  let place = list.firstElementChild;
  for (const line of [...fresh.children]) {
    const own = known.get(line.dataset.id);
    known.delete(line.dataset.id);
    if (own) {
      if (own === place) place = place.nextElementSibling;
      else list.insertBefore(own, place);
      continue;
    }
    arrived += 1;
    if (!isFirst) line.classList.add("is-new");
    showTimes(line);
    list.insertBefore(document.adoptNode(line), place);
  }
  for (const gone of known.values()) {
    if (gone.contains(document.activeElement)) (gone.nextElementSibling ?? gone.previousElementSibling)?.querySelector("a")?.focus();
    gone.remove();
  }
  list.hidden = list.children.length === 0;
  for (const part of document.querySelectorAll("[data-fresh]")) {
    const newer = page.querySelector(`[data-fresh="${part.dataset.fresh}"]`);
    if (!newer || part.contains(document.activeElement)) continue;
    part.hidden = newer.hidden;
    part.replaceChildren(...newer.childNodes);
  }
  if (anchor?.isConnected && window.scrollY > 0) window.scrollBy(0, anchor.getBoundingClientRect().top - anchorTop);
  if (arrived > 0) document.querySelector("[data-said]").textContent = arrived === 1 ? "1 new message" : `${arrived} new messages`;
}

// What becomes of a message that was let out: asked for until it is out, or never will be.
async function follow(note) {
  for (let wait = 500; note.hasAttribute("data-open"); wait = Math.min(10_000, wait * 1.5)) {
    await sleep(wait);
    if (document.hidden) await new Promise((shown) => document.addEventListener("visibilitychange", shown, { once: true }));
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html", "x-refresh": "1" } });
      if (!answer.ok) continue;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const newer = page.querySelector("[data-released]");
      if (!newer) continue;
      if (note.innerHTML !== newer.innerHTML) note.replaceChildren(...newer.childNodes);
      note.toggleAttribute("data-open", newer.hasAttribute("data-open"));
    } catch {
      // The next round tries again.
    }
  }
}

// One request waits for the next message. Only while the page is looked at: browsers allow few connections at once.
async function watch() {
  const state = document.querySelector("[data-live-state]");
  let failures = 0;
  for (;;) {
    try {
      if (document.hidden) {
        await new Promise((shown) => document.addEventListener("visibilitychange", shown, { once: true }));
        if (document.hidden) continue;
        await refresh();
      }
      const url = new URL(list.dataset.wait, location.href);
      const newest = list.firstElementChild?.dataset.id;
      if (newest) url.searchParams.set("after", newest);
      const leave = new AbortController();
      const hide = () => document.hidden && leave.abort();
      document.addEventListener("visibilitychange", hide);
      const answer = await fetch(url, { headers: { "x-refresh": "1" }, signal: leave.signal }).finally(() => document.removeEventListener("visibilitychange", hide));
      if (answer.ok) await refresh();
      else if (answer.status !== 404) throw new Error(answer.status);
      failures = 0;
      state.hidden = false;
      state.textContent = "live";
      state.classList.remove("is-off");
      await sleep(250);
    } catch (error) {
      if (error.name === "AbortError") continue;
      failures += 1;
      state.hidden = false;
      state.textContent = "reconnecting";
      state.classList.add("is-off");
      await sleep(Math.min(30_000, 1_000 * 2 ** failures));
    }
  }
}

function move(step) {
  const lines = [...list.querySelectorAll("a")];
  const at = lines.indexOf(document.activeElement);
  const next = lines[at < 0 ? 0 : Math.max(0, Math.min(lines.length - 1, at + step))];
  next?.focus();
}

document.addEventListener("keydown", (event) => {
  const inField = event.target.closest("input, textarea, select");
  if (event.key === "Escape" && inField) return event.target.blur();
  if (inField || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.querySelector("#q");
  if (event.key === "/" && search) search.focus();
  else if (list && (event.key === "j" || event.key === "ArrowDown" && list.contains(document.activeElement))) move(1);
  else if (list && (event.key === "k" || event.key === "ArrowUp" && list.contains(document.activeElement))) move(-1);
  else if (!list && event.key === "u") document.querySelector("[data-back]")?.click();
  else return;
  event.preventDefault();
});

showTimes(document);
const released = document.querySelector("[data-released]");
if (released) follow(released);
if (list?.dataset.wait) {
  document.querySelector("[data-live-state]").hidden = false;
  watch();
}
