// Every two seconds the page fetches itself and replaces what is marked data-live, if it has changed.
// What a person is in the middle of (an open <details>, the chosen user) stays as it is.
const opened = () => new Set([...document.querySelectorAll("details[open][id]")].map((one) => one.id));

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch("/" + location.search);
  if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const news = fresh.getElementById(part.id);
    if (!news || news.innerHTML === part.dataset.seen) continue;
    part.dataset.seen = news.innerHTML;
    const open = opened();
    part.innerHTML = news.innerHTML;
    for (const one of part.querySelectorAll("details[id]")) one.open = open.has(one.id) || one.open;
  }
}

async function watch() {
  const lost = document.getElementById("lost");
  try {
    await refresh();
    lost.hidden = true;
  } catch {
    lost.hidden = false;
  }
  setTimeout(watch, 2000);
}

document.addEventListener("click", (event) => {
  const question = event.target.closest("[data-confirm]")?.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});
setTimeout(watch, 2000);
