// The words that are looked for in a clip. They add up until the visitor takes one away.

import { isOnlyFound, remember, state } from "./state.js";

const list = document.querySelector("#words");

// The phrases of a text, as the server splits it.
export function phrases(text) {
  const found = new Map();
  for (const piece of text.split(/[.,;?\n\r]+/)) {
    const phrase = piece.trim().replace(/\s+/g, " ");
    if (/[\p{L}\p{N}]/u.test(phrase) && !found.has(phrase.toLowerCase())) found.set(phrase.toLowerCase(), phrase);
  }
  return [...found.values()];
}

// What has been found before, and what has been typed.
export const wanted = () => phrases([...state.words, state.text].join("\n"));

// Score that a word needs to be found.
export const threshold = () => state.boxThreshold ?? state.info.box_threshold;
// Those that no run has looked for through the whole clip, or only with a higher threshold.
export const unlooked = () => wanted().filter((word) => !(state.looked.get(word.toLowerCase()) <= threshold()));

export function haveLooked(words, lowest) {
  for (const word of words) state.looked.set(word.toLowerCase(), Math.min(lowest, state.looked.get(word.toLowerCase()) ?? 1));
}

// Look for these, too, from now on.
export function addWords(words) {
  state.words = phrases([...state.words, ...words].join("\n"));
}

export function listWords(refresh) {
  list.hidden = !state.words.length;
  list.replaceChildren(...state.words.map((word) => {
    const item = document.createElement("li"), button = document.createElement("button");
    button.type = "button";
    button.textContent = "✕";
    button.title = "Look for it no longer; tracked objects stay";
    button.setAttribute("aria-label", `Look for it no longer: ${word}`);
    button.onclick = () => { forget(word); refresh(); };
    item.append(word, button);
    return item;
  }));
}

// What was found on a frame, and has not been tracked, goes with its word.
function forget(word) {
  remember();
  state.words = state.words.filter((other) => other !== word);
  state.text = document.querySelector("#text").value = phrases(state.text).filter((other) => other !== word).join(", ");
  for (const some of state.frames.values()) {
    for (const one of some) if (one.label === word && isOnlyFound(one.id)) state.deleted.add(one.id);
  }
}
