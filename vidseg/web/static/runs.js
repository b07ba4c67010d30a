// Runs over a clip: a whole one, or one that resumes from a corrected frame.

import * as api from "./api.js";
import { stop } from "./player.js";
import { beginAnew, promptsOn, state } from "./state.js";
import { doing, fail, say } from "./words.js";

const $ = (id) => document.getElementById(id);

export const hasPrompts = () => [...state.prompts.values()].some((some) => [...some.keys()].some((id) => !state.deleted.has(id)));
// Whether the prompts on the frame in view can correct the tracks.
export const canCorrect = () => !!state.tracked && state.frame > state.tracked[0] && state.frame <= state.tracked[1] && promptsOn(state.frame).length > 0;

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
  const from = canCorrect() ? state.frame : null;
  const prompts = {};
  for (const index of state.prompts.keys()) {
    const some = promptsOn(index);
    if (some.length && (from === null || index === from)) prompts[index] = some;
  }
  const body = { text: state.text || null, prompts, from_frame: from, without: from === null ? [] : [...state.deleted], box_threshold: state.boxThreshold };
  stop();
  const { job } = await api.track(state.media.media, body);
  state.job = job;
  state.history = [];
  tracking({ state: "queued" });
  const media = state.media;
  refresh();
  return () => follow(media, job, from);
}

// The first frame that comes replaces all that is there, or all from frame `from` on; until then it stays in view. After a run that
// fails the server has what it had before, and so has the page.
async function follow(media, job, from) {
  const before = { frames: new Map(state.frames), tracked: state.tracked };
  let begun = false;
  const lost = () => state.media === media && say("The connection was lost; trying again …", "warn");
  const end = await api.listen(job, (frame) => {
    if (state.media !== media) return;
    if (!begun) makeRoom(from);
    begun = true;
    state.frames.set(frame.index, frame.objects);
    state.count = Math.max(state.count, frame.index + 1);
    state.tracked = [state.tracked?.[0] ?? frame.index, frame.index];
    if (frame.index === state.frame) refresh();
    else marks();
  }, (progress) => state.media === media && tracking(progress), lost).finally(() => { if (state.media === media) { state.job = null; tracking(null); } });
  if (state.media !== media) return;
  if (end.state === "failed") {
    Object.assign(state, before);
    refresh();
    say("The run broke off.", "warn");
    throw new Error(end.detail);
  }
  if (end.state === "done" && state.tracked) state.count = state.tracked[1] + 1;
  const detail = end.detail ? end.detail[0].toUpperCase() + end.detail.slice(1) : "Tracked";
  if (end.state === "cancelled") say(`Cancelled; ${end.done === 1 ? "1 frame was" : `${end.done} frames were`} tracked.`, "warn");
  else say(`${detail}.`, "good");
  await show(Math.min(state.frame, state.count - 1));
}

function makeRoom(from) {
  if (from === null) return beginAnew();
  for (const index of [...state.frames.keys()]) if (index >= from) state.frames.delete(index);
  state.tracked = [state.tracked[0], from - 1];
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
  const parts = [job.doing || `frame ${job.done}${job.total ? ` of ${job.total}` : ""}`];
  if (job.frames_per_second) parts.push(`${job.frames_per_second.toFixed(1)} frames/s`);
  if (job.seconds_left !== null) parts.push(`${Math.ceil(job.seconds_left)} s left`);
  say(parts.join(" · "), "work");
}
