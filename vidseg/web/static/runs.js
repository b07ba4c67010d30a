// Runs over a clip: what `nextRun` plans is begun, followed to its end, and told of.

import * as api from "./api.js";
import { mayBeginAnew } from "./loss.js";
import { overlap, SAME } from "./masks.js";
import { nextRun } from "./plan.js";
import { stop } from "./player.js";
import { beginAnew, dropUntracked, everything, isOnlyFound, label, setName, state } from "./state.js";
import { addWords, haveLooked, threshold } from "./wanted.js";
import { doing, fail, say } from "./words.js";

const $ = (id) => document.getElementById(id);

let refresh, show, marks;

// What the rest of the page does when frames come.
export function listenToRuns(page) {
  ({ refresh, show, marks } = page);
}

$("track").onclick = async () => {
  const end = await doing(begin);
  if (!end) return;
  try {
    await end();
  } catch (error) {
    fail(error);
  }
};

// Begins a run; resolves with a function that waits for its end, during which the page is not busy.
async function begin() {
  const run = nextRun();
  if (!run || (run.anew && state.tracked && !mayBeginAnew([...state.ids].filter((id) => !state.deleted.has(id)).length))) return;
  const { from, words, prompts, anew } = run;
  run.lowest = threshold();
  const body = { text: words.join(". ") || null, prompts, from_frame: from, anew, box_threshold: state.boxThreshold };
  stop();
  const { job } = await api.track(state.media.media, body);
  state.job = job;
  state.history = [];
  addWords(words);
  tracking({ state: "queued" });
  const media = state.media;
  refresh();
  return () => follow(media, job, run);
}

// From the first frame that comes on, frames take the place of those that are there; until then all stays in view. After a run that
// fails the server has what it had before, and so has the page.
async function follow(media, job, run) {
  const { frames, tracked, complete, labels, deleted, hidden, ids, looked, chosen } = state;
  const before = { frames: new Map(frames), tracked, complete, labels: new Map(labels), deleted: new Set(deleted), hidden: new Set(hidden), ids: new Set(ids), looked: new Map(looked), chosen };
  let last = null, named = [];
  const lost = () => state.media === media && say("The connection was lost; trying again …", "warn");
  const end = await api.listen(job, (frame) => {
    if (state.media !== media) return;
    if (last === null) {
      named = namedByHand();
      run.anew ? beginAnew() : dropUntracked();
    }
    last = frame.index;
    state.changes++;
    state.frames.set(frame.index, frame.objects);
    for (const { id } of frame.objects) state.ids.add(id);
    carryOver(named, frame);
    state.count = Math.max(state.count, frame.index + 1);
    state.tracked = state.tracked ? [state.tracked[0], Math.max(state.tracked[1], frame.index)] : [frame.index, frame.index];
    if (frame.index === state.frame) refresh();
    else marks();
  }, (progress) => state.media === media && tracking(progress), lost).finally(() => { if (state.media === media) { state.job = null; tracking(null); } });
  if (state.media !== media) return;
  if (end.state === "failed") {
    Object.assign(state, before);
    refresh();
    say(`The run broke off.${before.tracked ? " What was there before has stayed." : ""}`, "warn");
    throw new Error(end.detail);
  }
  if (end.state === "done") {
    if (state.tracked) state.count = state.tracked[1] + 1;
    state.complete = true;
    if (run.from === null) haveLooked(run.words, run.lowest);
  }
  markUsed(run, end.state === "done" ? Infinity : last ?? -1);
  if (end.state === "cancelled") say(`Cancelled; ${end.done === 1 ? "1 frame was" : `${end.done} frames were`} tracked.${before.tracked && !run.anew ? " The others are as before." : ""}`, "warn");
  else say(`${summary(end)}.`, "good");
  await show(Math.min(state.frame, state.count - 1));
}

// Prompts up to a frame are in the tracks now.
function markUsed(run, last) {
  for (const [index, some] of Object.entries(run.prompts)) {
    for (const { id } of +index <= last ? some : []) state.prompts.get(+index).get(id).used = true;
  }
}

// Of the whole clip, also if the run was over a part of it.
function summary({ detail, notes }) {
  const names = new Map();
  for (const frame of state.frames.keys()) for (const one of everything(frame)) names.set(one.id, `${label(one)} ${one.id}`);
  const list = [...names].sort(([a], [b]) => a - b).map(([, name]) => name);
  const said = list.length ? `${list.length} object${list.length > 1 ? "s" : ""} in ${state.frames.size} frames: ${list.join(", ")}` : detail || "Tracked";
  return [said[0].toUpperCase() + said.slice(1), ...(list.length ? notes : [])].join("; ");
}

// Objects that were found on a frame, and that the visitor has named, hidden or deleted: in the run they may get other ids.
function namedByHand() {
  const named = [];
  for (const [frame, some] of state.frames) {
    for (const one of some) {
      const { id } = one, as = { name: state.labels.get(id), deleted: state.deleted.has(id), hidden: state.hidden.has(id) };
      if (isOnlyFound(id) && (as.name || as.deleted || as.hidden)) named.push({ frame, one, ...as });
    }
  }
  return named;
}

function carryOver(named, { index, objects }) {
  for (const { one, ...as } of named.filter(({ frame }) => frame === index)) {
    const same = objects.find((other) => overlap(one, other) > SAME);
    if (same) setName(same.id, as);
  }
}

$("cancel").onclick = () => state.job && doing(() => api.cancel(state.job)).then(() => state.job && say("Cancelling …", "work"));

// Show how far a job is; null: there is no job.
export function tracking(job) {
  const focused = document.activeElement;
  $("track").hidden = !!job;
  $("cancel").hidden = $("progress").hidden = !job;
  if (focused === $("track") || focused === $("cancel")) $(job ? "cancel" : "track").focus(); // where the keyboard was
  $("find").disabled = !!job;
  if (!job) return;
  if (job.total && job.done) $("progress").value = Math.min(1, job.done / job.total);
  else $("progress").removeAttribute("value");
  if (job.state === "queued") return say("Queued: it begins when the server is free.", "work");
  if (job.state !== "running") return;
  const parts = [job.doing || (job.total ? `${job.done} of ${job.total} frames` : `${job.done} frames`)];
  if (job.frames_per_second) parts.push(`${job.frames_per_second.toFixed(1)} frames/s`);
  if (job.seconds_left !== null) parts.push(`${Math.ceil(job.seconds_left)} s left`);
  say(parts.join(" · "), "work");
}
