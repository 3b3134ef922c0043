const articles = [...document.querySelectorAll("article")];
const players = new Map();
let current = articles[0];

for (const article of articles) players.set(article, new Player(article));
document.documentElement.toggleAttribute("data-fixed-volume", !canSetVolume);
document.getElementById("fixed-volume").hidden = canSetVolume || !document.querySelector(".strip");
document.addEventListener("focusin", event => { current = event.target.closest("article") || current; });

function go(step) {
  const shown = articles.filter(article => !article.hidden);
  const next = shown[Math.min(Math.max(shown.indexOf(current) + step, 0), shown.length - 1)];
  if (!next) return;
  current = next;
  next.scrollIntoView({block: "nearest"});
  next.querySelector(".play").focus();
}

// Accents and case do not matter; the two ways in which Unicode writes an accented letter are one.
const plain = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

const find = document.getElementById("find"), matches = document.getElementById("matches");
const searched = new Map(articles.map(article => [article, plain(article.dataset.search)]));

function filter() {
  const words = plain(find.value).split(/\s+/);
  for (const [article, text] of searched) article.hidden = !words.every(word => text.includes(word));
  const shown = articles.filter(article => !article.hidden);
  matches.value = find.value.trim() ? `${shown.length} of ${articles.length} tracks` : "";
  if (current?.hidden && shown.length) current = shown[0];
}

function clearFilter() {
  find.value = "";
  filter();
  find.blur();
}

find.addEventListener("input", filter);
filter();  // a browser may restore the text of the last visit

document.addEventListener("keydown", event => {
  const target = event.target, player = players.get(current);
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "Escape") return clearFilter();
  if (target === find || !player) return;
  const slides = target.matches("input"), acts = target.matches("button, summary, a");
  const keys = {
    "ArrowLeft": slides ? null : () => player.seek(player.at - SEEK_S),
    "ArrowRight": slides ? null : () => player.seek(player.at + SEEK_S),
    " ": acts ? null : () => player.toggle(),
    "n": () => go(1), "p": () => go(-1), "/": () => find.focus(),
  };
  let act = keys[event.key];
  if (/^[1-9]$/.test(event.key)) {
    const button = current.querySelectorAll(".choice")[event.key - 1];
    act = button && (() => player.choose(button.dataset.sound));
  }
  if (act) { event.preventDefault(); act(); }
});
