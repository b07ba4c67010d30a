// What the next run over a clip is to do: begin, add to what is there, correct it, or begin again.

import { promptsOn, state } from "./state.js";
import { unlooked, wanted } from "./wanted.js";

// {name: of the button, from: frame where a correction begins, else null; words, prompts, anew}; null: there is nothing to do.
export function nextRun() {
  const words = wanted(), fresh = freshPrompts();
  if (!state.tracked) return words.length || fresh.size ? { name: "Track", from: null, words, prompts: allPrompts(), anew: true } : null;
  const added = unlooked(), from = Math.min(...fresh.values());
  if (fresh.size && !added.length && from >= state.tracked[0] && from <= state.tracked[1]) {
    // All words: the detector finds a corrected object again where it gets lost.
    return { name: `Track from frame ${from + 1}`, from, words, prompts: allPrompts(fresh), anew: false };
  }
  if (!state.complete) return { name: "Track on", from: null, words: added, prompts: allPrompts(fresh), anew: false };
  if (fresh.size || added.length) return { name: "Track what is new", from: null, words: added, prompts: allPrompts(fresh), anew: false };
  return words.length || state.prompts.size ? { name: "Track again", from: null, words, prompts: allPrompts(), anew: true } : null;
}

// The first frame with prompts that no run has used, by id.
function freshPrompts() {
  const first = new Map();
  for (const [index, some] of state.prompts) {
    for (const [id, { used }] of some) {
      if (!used && !state.deleted.has(id)) first.set(id, Math.min(index, first.get(id) ?? Infinity));
    }
  }
  return first;
}

// Prompts by frame, as the server takes them. With `since`: those of its ids, from its frames on. The server tracks an object anew
// from its first prompt on; later ones that were used before must come again.
function allPrompts(since = null) {
  const prompts = {};
  for (const index of state.prompts.keys()) {
    const some = promptsOn(index).filter(({ id }) => !since || index >= since.get(id));
    if (some.length) prompts[index] = some;
  }
  return prompts;
}
