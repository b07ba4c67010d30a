// The list of objects beside the picture.

import { everything, label, state } from "./state.js";

const list = document.querySelector("#objects"), none = document.querySelector("#none");

export function listObjects({ choose, rename, toggle, remove }) {
  const objects = everything().toSorted((a, b) => a.id - b.id);
  none.hidden = objects.length > 0;
  const focused = document.activeElement?.closest?.("#objects li")?.dataset.id, what = document.activeElement?.dataset?.what;
  if (what === "name" && list.contains(document.activeElement) && objects.some((one) => one.id === +focused)) return update(objects); // do not write over what is being typed
  list.replaceChildren(...objects.map((one) => row(one, { choose, rename, toggle, remove })));
  if (!focused || !what) return; // the keyboard focus stays where it was, or nearby
  const again = list.querySelector(`li[data-id="${focused}"] [data-what="${what}"]`) ?? list.querySelector(`[data-what="${what}"]`) ?? document.querySelector("#masks");
  again.focus({ preventScroll: true });
}

function update(objects) {
  for (const one of objects) {
    const score = list.querySelector(`li[data-id="${one.id}"] .score`);
    if (score) score.textContent = one.score.toFixed(2);
  }
}

function row(one, { choose, rename, toggle, remove }) {
  const item = document.createElement("li"), name = label(one), off = state.hidden.has(one.id);
  item.dataset.id = one.id;
  item.className = `${one.id === state.chosen ? "chosen" : ""} ${off ? "off" : ""}`;
  const button = (what, text, hint, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.dataset.what = what;
    made.textContent = text;
    made.title = hint;
    made.setAttribute("aria-label", `${hint}: ${name} ${one.id}`);
    made.onclick = () => act(one.id);
    return made;
  };
  const pick = button("choose", "", "Clicks go to this object", choose);
  pick.className = "choose";
  pick.style.background = state.info.palette[one.id % state.info.palette.length];
  pick.setAttribute("aria-pressed", one.id === state.chosen);
  const field = document.createElement("input");
  field.type = "text";
  field.value = name;
  field.maxLength = 200;
  field.dataset.what = "name";
  field.setAttribute("aria-label", `Name of object ${one.id}`);
  field.onchange = () => rename(one.id, field.value.trim());
  const score = document.createElement("span");
  score.className = "score";
  score.title = "id, and how sure the network is of the mask";
  score.textContent = one.score.toFixed(2);
  const number = document.createElement("span");
  number.className = "score";
  number.textContent = `#${one.id}`;
  item.append(pick, field, number, score, button("hide", off ? "Show" : "Hide", off ? "Show" : "Hide", toggle), button("delete", "✕", "Delete", remove));
  return item;
}
