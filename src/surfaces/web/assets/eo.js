// Keeps the list of reports fresh, and shows the question before a report is sent again as a dialog. Everything works
// without this script too: the links lead to pages of their own, the forms lead back here.

const LIVE = ["notices", "chart", "counters", "deliveries"];
const said = document.querySelector("[data-said]");
const words = document.querySelector("[data-words]")?.dataset ?? {};
const state = document.querySelector("[data-live-state]");
const dialog = document.getElementById("resend-dialog");
let opener = null;

function say(text, isFault) {
  said.textContent = text;
  said.className = isFault ? "fault" : "done";
  said.hidden = false;
}

let running = false;
let again = false;
async function refresh() {
  if (running) { again = true; return; }
  running = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html", "X-Refresh": "1" }, cache: "no-store" });
    if (answer.redirected && new URL(answer.url).pathname === "/login") { location.href = answer.url; return; }
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const focused = document.activeElement?.id;
    const [x, y] = [scrollX, scrollY];
    for (const id of LIVE) {
      const [old, young] = [document.getElementById(id), fresh.getElementById(id)];
      // What somebody has opened stays open.
      for (const one of old?.querySelectorAll("details[id]") ?? []) {
        const twin = fresh.getElementById(one.id);
        if (twin) twin.open = one.open;
      }
      if (old && young && old.innerHTML !== young.innerHTML) old.replaceChildren(...young.childNodes);
    }
    if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
    scrollTo(x, y);
  } catch {
    // The stream says so when the server is back.
  } finally {
    running = false;
    if (again) { again = false; refresh(); }
  }
}

async function send(form) {
  const inDialog = dialog.contains(form);
  const fault = inDialog ? dialog.querySelector("[data-dialog-fault]") : null;
  const tell = (text) => { if (fault) { fault.textContent = text; fault.hidden = false; } else say(text, true); };
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  try {
    const body = new URLSearchParams(new FormData(form));
    const token = document.querySelector("meta[name=csrf-token]").content;
    const answer = await fetch(form.action, { method: "POST", body, headers: { "X-CSRF-TOKEN": token, Accept: "application/json" } });
    const told = await answer.json().catch(() => ({}));
    if (told.ok) {
      if (inDialog) dialog.close();
      else form.reset();
      say(words.sent, false);
      refresh();
    } else if (answer.status === 401) {
      location.reload();
    } else if (answer.status === 422) {
      tell(told.errors?.to_email ? words.address : Object.values(told.errors ?? {}).flat().join(" "));
    } else {
      tell(answer.status === 429 ? words.busy : words.failed);
    }
  } catch {
    tell(words.failed);
  } finally {
    button.disabled = false;
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-send]")) return;
  event.preventDefault();
  send(form);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-resend]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
    event.preventDefault();
    opener = link.id;
    const form = dialog.querySelector("form");
    form.action = link.getAttribute("href");
    form.elements.to_email.value = link.dataset.to;
    dialog.querySelector("[data-resend-name]").textContent = link.dataset.name;
    dialog.querySelector("[data-dialog-fault]").hidden = true;
    dialog.showModal();
    form.elements.to_email.select();
  } else if (event.target.closest("[data-close]")) {
    dialog.close();
  }
});
dialog?.addEventListener("close", () => document.getElementById(opener)?.focus());

const stream = new EventSource("/eo/email-reports/live");
stream.addEventListener("open", () => { state.hidden = false; state.classList.remove("is-off"); refresh(); });
stream.addEventListener("error", () => { state.classList.add("is-off"); });
stream.addEventListener("changed", refresh);
