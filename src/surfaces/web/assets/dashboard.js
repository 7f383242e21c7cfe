// Keeps what lives on a page of the dashboard fresh: every few seconds the page is asked for again, and the regions
// marked as live are exchanged. What somebody is typing in, or has opened, is never one of them.

const EVERY = 3000;
const live = () => [...document.querySelectorAll("[data-live]")];

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html", "X-Refresh": "1" }, cache: "no-store" });
    if (answer.redirected && new URL(answer.url).pathname === "/login") { location.href = answer.url; return; }
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const focused = document.activeElement?.id;
    for (const old of live()) {
      const young = fresh.getElementById(old.id);
      if (young && old.innerHTML !== young.innerHTML) old.replaceChildren(...young.childNodes);
    }
    if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
  } catch {
    // The next round tries again.
  }
}
if (live().length > 0) setInterval(refresh, EVERY);

// A template is shown as it is written.
const editor = document.querySelector("[data-preview]");
if (editor) {
  let waiting;
  const button = editor.querySelector("[formtarget]");
  editor.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => editor.requestSubmit(button), 600);
  });
}
