// All that the page knows. Objects of a frame are [{id, label, score, box, mask}].

export const state = {
  info: null,
  media: null,
  frame: 0,
  count: 1, // frames of the clip, as far as known
  text: "", // what has been typed to be found
  words: [], // what has been found by its name, and is looked for in the clip
  looked: new Map(), // word in small letters → lowest threshold with which the whole clip has been searched for it
  boxThreshold: null, // score that words need; null: the server's
  chosen: null, // id of the object that clicks go to
  frames: new Map(), // frame → objects; only run lengths, no pixels
  ids: new Set(), // of all objects that runs have followed
  prompts: new Map(), // frame → Map of id → {label?, box?, points, point_labels, new, used?}; label: of what was found before it
  // was corrected; new: the visitor has begun the object; used: a run has followed it
  labels: new Map(), // what the visitor calls an object
  deleted: new Set(),
  hidden: new Set(),
  tracked: null, // [first, last] frame that has been tracked
  complete: false, // whether a run has reached the end of the clip
  job: null,
  changes: 0, // how often anything that a download would have has changed
  taken: 0, // the same when it was last downloaded
  history: [], // what undo goes back to
  opacity: 0.5,
};

export function reset(media) {
  Object.assign(state, {
    media, frame: 0, count: media?.frame_count ?? 1, text: "", words: [], looked: new Map(), chosen: null, frames: new Map(), ids: new Set(),
    prompts: new Map(), labels: new Map(), deleted: new Set(), hidden: new Set(), tracked: null, complete: false, job: null, changes: 0, taken: 0,
    history: [],
  });
}

export const everything = (frame = state.frame) => (state.frames.get(frame) ?? []).filter((one) => !state.deleted.has(one.id));
export const shown = (frame) => everything(frame).filter((one) => !state.hidden.has(one.id));
export const label = (one) => state.labels.get(one.id) ?? one.label;

export function freeId() {
  const ids = [...state.ids, ...[...state.frames.values()].flatMap((some) => some.map((one) => one.id))];
  for (const some of state.prompts.values()) ids.push(...some.keys());
  return ids.reduce((highest, id) => Math.max(highest, id), Math.max(0, ...state.deleted)) + 1;
}

export function setObject(frame, one, id) {
  const others = (state.frames.get(frame) ?? []).filter((other) => other.id !== id);
  state.frames.set(frame, one ? [...others, one] : others);
}

// Before each change by the visitor: remember what undo returns to. `frame`: the one whose objects change, if any do. A run cannot be
// undone, and clears the history.
export function remember(frame = null) {
  state.changes++;
  state.history.push({
    frame: frame ?? state.frame, objects: frame === null ? null : state.frames.get(frame) ?? [], chosen: state.chosen,
    prompts: new Map([...state.prompts].map(([index, some]) => [index, new Map([...some].map(([id, one]) => [id, structuredClone(one)]))])),
    deleted: new Set(state.deleted), labels: new Map(state.labels), words: state.words,
  });
  if (state.history.length > 200) state.history.shift();
}

export function undo() {
  const last = state.history.pop();
  if (!last) return;
  const { objects, ...rest } = last;
  state.changes++;
  if (objects) state.frames.set(last.frame, objects);
  Object.assign(state, rest);
}

export const isPointed = (id) => [...state.prompts.values()].some((some) => some.has(id));
// Whether text has found an object on a frame, and neither a run nor a click has taken it up.
export const isOnlyFound = (id) => !state.ids.has(id) && !isPointed(id);

export function setName(id, { name, deleted, hidden }) {
  if (name) state.labels.set(id, name);
  if (deleted) state.deleted.add(id);
  if (hidden) state.hidden.add(id);
}

function forgetObject(id) {
  for (const [frame, some] of state.prompts) if (some.delete(id) && !some.size) state.prompts.delete(frame);
  for (const known of [state.labels, state.deleted, state.hidden]) known.delete(id);
  if (state.chosen === id) state.chosen = null;
}

// Before a run that adds to the tracks: what has not been tracked frees its id, unless the visitor points at it.
export function dropUntracked() {
  for (const id of [...state.deleted]) if (!state.ids.has(id)) forgetObject(id);
  for (const id of [...state.labels.keys(), ...state.hidden, state.chosen]) if (isOnlyFound(id)) forgetObject(id);
  for (const [frame, some] of state.frames) {
    if (some.some(({ id }) => isOnlyFound(id))) state.frames.set(frame, some.filter(({ id }) => !isOnlyFound(id)));
  }
}

// Before a run that replaces all. What nobody has pointed at gets new ids in it.
export function beginAnew() {
  for (const known of [state.ids, state.frames, state.looked]) known.clear();
  for (const id of [...state.deleted]) forgetObject(id);
  dropUntracked();
  state.tracked = null;
  state.complete = false;
}

// The prompts of one frame as the server takes them.
export const promptsOn = (frame) => [...(state.prompts.get(frame) ?? new Map())]
  .filter(([id]) => !state.deleted.has(id))
  .map(([id, { label, box, points, point_labels, new: isNew }]) => ({
    id, new: isNew, ...((state.labels.get(id) ?? label) && { label: state.labels.get(id) ?? label }), ...(box && { box }), ...(points.length && { points, point_labels }),
  }));
