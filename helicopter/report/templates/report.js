// Without this script the three pictures stand side by side, and nothing is missing.
(() => {
  const at = (id) => document.getElementById(id);
  const compare = at("compare");
  at("under").src = at("redrawn").src;
  const choose = (which) => {
    at("over").src = at(which).src;
    at("left-tag").textContent = which;
  };
  const move = () => compare.style.setProperty("--at", `${at("divider").value}%`);
  at("divider").addEventListener("input", move);
  at("choice").addEventListener("change", (event) => choose(event.target.value));
  choose("shown");
  move();
  compare.hidden = at("choice").hidden = false;
  // what the browser shows after a while when a shape is pointed at, said at once below the picture
  for (const figure of document.querySelectorAll(".over-picture")) {
    const said = figure.querySelector(".pointed");
    const say = (event) => {
      const title = event.type === "pointerleave" ? null : event.target.querySelector?.("title");
      said.textContent = title ? title.textContent : said.dataset.rest;
    };
    figure.querySelector("svg").addEventListener("pointerover", say);
    figure.querySelector("svg").addEventListener("pointerleave", say);
  }
})();
