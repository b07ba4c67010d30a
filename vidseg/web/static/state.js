// All that the page knows. Objects of a frame are [{id, label, score, box, mask}].

export const state = {
  info: null,
  media: null,
  frame: 0,
  count: 1, // frames of the clip, as far as known
  text: "",
  boxThreshold: null, // score that words need; null: the server's
  chosen: null, // id of the object that clicks go to
  frames: new Map(), // frame → objects; only run lengths, no pixels
  prompts: new Map(), // frame → Map of id → {label?, box?, points, point_labels}; label: of what was found before it was corrected
  labels: new Map(), // what the visitor calls an object
  deleted: new Set(),
  hidden: new Set(),
  tracked: null, // [first, last] frame that has been tracked
  job: null,
  history: [], // what undo goes back to
  opacity: 0.5,
};

export function reset(media) {
  Object.assign(state, {
    media, frame: 0, count: media?.frame_count ?? 1, text: "", chosen: null, frames: new Map(), prompts: new Map(), labels: new Map(),
    deleted: new Set(), hidden: new Set(), tracked: null, job: null, history: [],
  });
}

export const everything = (frame = state.frame) => (state.frames.get(frame) ?? []).filter((one) => !state.deleted.has(one.id));
export const shown = (frame) => everything(frame).filter((one) => !state.hidden.has(one.id));
export const label = (one) => state.labels.get(one.id) ?? one.label;

export function freeId() {
  const ids = [...state.frames.values()].flatMap((some) => some.map((one) => one.id));
  for (const some of state.prompts.values()) ids.push(...some.keys());
  return ids.reduce((highest, id) => Math.max(highest, id), Math.max(0, ...state.deleted)) + 1;
}

export function setObject(frame, one, id) {
  const others = (state.frames.get(frame) ?? []).filter((other) => other.id !== id);
  state.frames.set(frame, one ? [...others, one] : others);
}

// Before each change by the visitor: remember what undo returns to. A run cannot be undone, and clears the history.
export function remember(frame = state.frame) {
  state.history.push({
    frame, objects: state.frames.get(frame), chosen: state.chosen,
    prompts: new Map([...state.prompts].map(([index, some]) => [index, new Map([...some].map(([id, one]) => [id, structuredClone(one)]))])),
    deleted: new Set(state.deleted), labels: new Map(state.labels),
  });
  if (state.history.length > 200) state.history.shift();
}

export function undo() {
  const last = state.history.pop();
  if (!last) return;
  last.objects ? state.frames.set(last.frame, last.objects) : state.frames.delete(last.frame);
  Object.assign(state, { frame: last.frame, prompts: last.prompts, deleted: last.deleted, labels: last.labels, chosen: last.chosen });
}

// Before a new run over a clip. Objects that only text found get new numbers in it: the labels of the old ones are dropped.
export function beginAnew() {
  for (const [frame, some] of state.prompts) {
    for (const id of state.deleted) some.delete(id);
    if (!some.size) state.prompts.delete(frame);
  }
  const pointed = new Set([...state.prompts.values()].flatMap((some) => [...some.keys()]));
  for (const id of [...state.labels.keys(), ...state.hidden]) if (!pointed.has(id)) { state.labels.delete(id); state.hidden.delete(id); }
  state.deleted.clear();
  if (!pointed.has(state.chosen)) state.chosen = null;
  state.frames.clear();
  state.tracked = null;
}

// The prompts of one frame as the server takes them.
export const promptsOn = (frame) => [...(state.prompts.get(frame) ?? new Map())]
  .filter(([id]) => !state.deleted.has(id))
  .map(([id, { label, box, points, point_labels }]) => ({
    id, ...((state.labels.get(id) ?? label) && { label: state.labels.get(id) ?? label }), ...(box && { box }), ...(points.length && { points, point_labels }),
  }));
