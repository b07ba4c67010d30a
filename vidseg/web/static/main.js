// What the page does: files in, objects by words and clicks, runs over clips, results out.

import * as api from "./api.js";
import { at, paint } from "./masks.js";
import { listObjects } from "./objects.js";
import { isPlaying, play, showFrame, stop } from "./player.js";
import { listenToPointer, paintPrompt } from "./pointer.js";
import { everything, freeId, label, promptsOn, remember, reset, setObject, shown, state, undo } from "./state.js";

const $ = (id) => document.getElementById(id);
const picture = $("picture"), masks = $("masks");
window.vidseg = { state };

// -- words ------------------------------------------------------------------------------------------------------------

const say = (text) => { $("status").textContent = text; };
function fail(error) {
  $("error").firstElementChild.textContent = error.message;
  $("error").hidden = false;
}
$("error").lastElementChild.onclick = () => { $("error").hidden = true; };

let busy = 0;
async function doing(work) {
  $("error").hidden = true;
  $("view").classList.toggle("busy", ++busy > 0);
  try {
    return await work();
  } catch (error) {
    fail(error);
  } finally {
    $("view").classList.toggle("busy", --busy > 0);
  }
}

// -- files ------------------------------------------------------------------------------------------------------------

async function open(get) {
  if (state.job) await api.cancel(state.job).catch(() => {});
  stop();
  const before = state.media;
  await doing(async () => {
    const media = await get();
    if (before) api.forget(before.media).catch(() => {});
    reset(media);
    for (const canvas of [picture, masks]) [canvas.width, canvas.height] = [media.width, media.height];
    document.body.dataset.view = "work";
    document.body.dataset.kind = media.kind;
    $("welcome").hidden = true;
    $("work").hidden = false;
    $("file-name").textContent = `${media.name} · ${media.width}×${media.height}`;
    $("text").value = "";
    listDownloads();
    tracking(null);
    await show(0);
    say(media.kind === "video" ? "Find or click objects, then track them." : "");
    $("text").focus({ preventScroll: true });
  });
  $("uploading").hidden = true;
  $("drop").hidden = false;
}

const openFile = (file) => open(() => {
  $("welcome").hidden = false;
  $("work").hidden = true;
  $("drop").hidden = true;
  $("uploading").hidden = false;
  $("uploading").querySelector("span").textContent = file.name;
  const bar = $("uploading").querySelector("progress");
  bar.value = 0;
  return api.upload(file, (share) => { share < 1 ? bar.value = share : bar.removeAttribute("value"); }).catch((error) => {
    if (state.media) { $("welcome").hidden = true; $("work").hidden = false; }
    throw error;
  });
});

$("file").onchange = () => { if ($("file").files[0]) openFile($("file").files[0]); $("file").value = ""; };
$("other").onclick = () => $("file").click();
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dropping"); });
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (event.dataTransfer.files[0]) openFile(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => { if (event.clipboardData.files[0]) openFile(event.clipboardData.files[0]); });

// -- what is seen -----------------------------------------------------------------------------------------------------

function paintMasks() {
  if (!state.media) return;
  paint(masks, shown(), state.info.palette, state.opacity);
  const prompt = state.prompts.get(state.frame)?.get(state.chosen), context = masks.getContext("2d");
  if (prompt && !state.deleted.has(state.chosen)) paintPrompt(context, masks, prompt);
  overlay(context);
}

function refresh() {
  paintMasks();
  listObjects({ choose, rename, toggle, remove });
  $("undo").disabled = !state.history.length || !!state.job;
  $("download").disabled = !!state.job || (state.media?.kind === "video" ? !state.tracked : !everything().length);
  if (state.media?.kind === "video") {
    const corrects = canCorrect();
    $("track").textContent = corrects ? `Track from frame ${state.frame}` : state.tracked ? "Track again" : "Track";
    $("track").disabled = !corrects && !state.text && !hasPrompts();
  }
  marks();
}

async function show(index) {
  state.frame = index;
  const there = await showFrame(picture, index);
  if (!there) { // the announced number of frames was too high
    state.count = Math.max(1, index);
    $("scrub").max = state.count - 1;
    state.frame = Math.min(state.frame, state.count - 1);
    return false;
  }
  if (state.frame !== index) return true;
  $("scrub").max = state.count - 1;
  $("scrub").value = index;
  $("place").textContent = `frame ${index} of ${state.count} · ${(index / state.media.frame_rate).toFixed(2)} s`;
  refresh();
  return true;
}
const go = (index) => doing(() => show(Math.min(state.count - 1, Math.max(0, index))));

function marks() {
  const parts = [], percent = (value) => `${100 * value / Math.max(1, state.count)}%`;
  if (state.tracked) {
    const bar = document.createElement("i");
    bar.style.left = percent(state.tracked[0]);
    bar.style.width = percent(state.tracked[1] - state.tracked[0] + 1);
    parts.push(bar);
  }
  for (const [index, some] of state.prompts) {
    if (!some.size) continue;
    const mark = document.createElement("b");
    mark.style.left = percent(index);
    parts.push(mark);
  }
  $("track-marks").replaceChildren(...parts);
}

// -- objects ----------------------------------------------------------------------------------------------------------

$("search").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || state.job) return;
  doing(async () => {
    const frame = state.frame, first_id = freeId();
    say("Looking …");
    const answer = await api.segment(state.media.media, { frame, text, first_id });
    remember();
    state.text = text;
    // What text found before is replaced; what was pointed at stays.
    const kept = (state.frames.get(frame) ?? []).filter((one) => state.media.kind === "image" ? pointed(one.id, frame) : pointed(one.id, frame) || state.tracked);
    state.frames.set(frame, state.tracked ? kept : [...kept, ...answer.objects]);
    say(answer.objects.length ? `Found ${answer.objects.length} in ${answer.seconds.toFixed(2)} s` : `Nothing found: the best score was ${answer.best_score.toFixed(2)}. Try another word.`);
    refresh();
  });
};
const pointed = (id, frame) => state.prompts.get(frame)?.has(id);

async function point(change) {
  if (state.job) return say("Wait until the clip has been tracked, or cancel it.");
  stop();
  const frame = state.frame, known = everything().find((one) => one.id === state.chosen);
  remember();
  const id = state.chosen ??= freeId();
  const some = state.prompts.get(frame) ?? new Map();
  // What was found or tracked is corrected: its box says which object is meant.
  const prompt = some.get(id) ?? { points: [], point_labels: [], ...(known && { box: known.box }) };
  change(prompt);
  if (!prompt.box && !prompt.point_labels.includes(1)) {
    state.history.pop();
    if (!known) state.chosen = null;
    return say("Click on the object first; then on what does not belong to it.");
  }
  some.set(id, prompt);
  state.prompts.set(frame, some);
  await answerFor(frame, id);
}

async function answerFor(frame, id) {
  await doing(async () => {
    const began = performance.now();
    const sent = promptsOn(frame).filter((one) => one.id === id);
    const { objects, seconds } = await api.segment(state.media.media, { frame, prompts: sent });
    const old = (state.frames.get(frame) ?? []).find((one) => one.id === id);
    if (objects[0] && old) objects[0].label = old.label;
    setObject(frame, objects[0], id);
    refresh();
    say(objects[0] ? `Mask in ${Math.round(performance.now() - began)} ms (${Math.round(1000 * seconds)} ms on the server)` : "There is no mask there: click somewhere else.");
  });
}

const overlay = listenToPointer(masks, {
  draw: paintMasks,
  onPoint: ([x, y], positive) => {
    const under = at(shown(), Math.min(x, masks.width - 1), Math.min(y, masks.height - 1));
    if (positive && state.chosen === null && under) return choose(under.id); // so that an object can be chosen on the picture
    point((prompt) => { prompt.points.push([x, y]); prompt.point_labels.push(positive ? 1 : 0); });
  },
  onBox: (box) => point((prompt) => { prompt.box = box; prompt.drawn = true; }),
});

function choose(id) {
  state.chosen = state.chosen === id ? null : id;
  refresh();
  say(state.chosen === null ? "The next click begins a new object." : `Clicks now go to object ${id}.`);
}
function rename(id, name) {
  if (!name) return refresh();
  remember();
  state.labels.set(id, name);
  refresh();
}
function toggle(id) {
  state.hidden.has(id) ? state.hidden.delete(id) : state.hidden.add(id);
  refresh();
}
function remove(id) {
  remember();
  state.deleted.add(id);
  if (state.chosen === id) state.chosen = null;
  refresh();
}
$("new").onclick = () => { state.chosen = null; refresh(); say("The next click begins a new object."); };
$("undo").onclick = back;
function back() {
  if (!state.history.length || state.job) return;
  undo();
  say("Taken back.");
  go(state.frame);
}

// -- clips ------------------------------------------------------------------------------------------------------------

const hasPrompts = () => [...state.prompts.values()].some((some) => [...some.keys()].some((id) => !state.deleted.has(id)));
const canCorrect = () => !!state.tracked && state.frame > state.tracked[0] && state.frame <= state.tracked[1] && promptsOn(state.frame).length > 0;

$("track").onclick = () => doing(async () => {
  const from = canCorrect() ? state.frame : null;
  const prompts = {};
  for (const index of state.prompts.keys()) {
    const some = promptsOn(index);
    if (some.length && (from === null || index === from)) prompts[index] = some;
  }
  const body = { text: state.text || null, prompts, from_frame: from, without: from === null ? [] : [...state.deleted] };
  stop();
  const { job } = await api.track(state.media.media, body);
  state.job = job;
  state.history = [];
  tracking({ state: "queued" });
  for (const index of [...state.frames.keys()]) if (from === null || index >= from) state.frames.delete(index);
  if (from === null) state.deleted.clear(), state.tracked = null;
  const media = state.media;
  refresh();
  const end = await api.listen(job, (frame) => {
    if (state.media !== media) return;
    state.frames.set(frame.index, frame.objects);
    state.count = Math.max(state.count, frame.index + 1);
    state.tracked = [state.tracked?.[0] ?? frame.index, frame.index];
    if (frame.index === state.frame) refresh();
    else marks();
  }, tracking).finally(() => { if (state.media === media) { state.job = null; tracking(null); } });
  if (state.media !== media) return;
  if (end.state === "failed") throw new Error(end.detail);
  if (end.state === "done") state.count = state.tracked[1] + 1;
  say(end.state === "cancelled" ? `Cancelled; ${end.done} frames were tracked.` : end.detail);
  await show(Math.min(state.frame, state.count - 1));
});
$("cancel").onclick = () => state.job && doing(() => api.cancel(state.job)).then(() => say("Cancelling …"));

function tracking(job) {
  $("track").hidden = !!job;
  $("cancel").hidden = $("progress").hidden = !job;
  $("find").disabled = !!job;
  if (!job) return;
  if (job.total && job.done) $("progress").value = Math.min(1, job.done / job.total);
  else $("progress").removeAttribute("value");
  if (job.state === "queued") return say("Waiting for another clip to be done …");
  if (job.state !== "running") return;
  const parts = [job.doing || `frame ${job.done}${job.total ? ` of ${job.total}` : ""}`];
  if (job.frames_per_second) parts.push(`${job.frames_per_second.toFixed(1)} frames/s`);
  if (job.seconds_left !== null) parts.push(`${Math.ceil(job.seconds_left)} s left`);
  say(parts.join(" · "));
}

$("scrub").oninput = () => { stop(); go(+$("scrub").value); };
$("previous").onclick = () => { stop(); go(state.frame - 1); };
$("next").onclick = () => { stop(); go(state.frame + 1); };
$("play").onclick = async () => {
  if (isPlaying()) return stop();
  if (state.frame + 1 >= state.count) await go(0);
  $("play").textContent = "Pause";
  await doing(() => play(show, () => { $("play").textContent = "Play"; }));
};
addEventListener("keydown", (event) => {
  if (!state.media || event.target.closest("input[type=text], select") || event.altKey) return;
  const key = event.key.toLowerCase();
  if ((event.ctrlKey || event.metaKey) && key === "z") back();
  else if (event.ctrlKey || event.metaKey) return;
  else if (key === "n") $("new").click();
  else if (state.media.kind === "video" && !event.target.closest("button, input")) {
    if (key === " ") $("play").click();
    else if (key === "arrowleft") $("previous").click();
    else if (key === "arrowright") $("next").click();
    else return;
  } else return;
  event.preventDefault();
});

// -- results ----------------------------------------------------------------------------------------------------------

const KINDS = {
  overlay: "Overlay", tracks: "Tracks file", masks: "Masks (PNG)", cutout: "Cut-out, transparent", matte: "Matte video", sheet: "Contact sheet",
};
const IMAGE_KINDS = ["overlay", "tracks", "masks", "cutout"];

function listDownloads() {
  const kinds = state.media.kind === "image" ? IMAGE_KINDS : Object.keys(KINDS);
  $("download-kind").replaceChildren(...[...kinds, ...state.info.formats].map((kind) => new Option(KINDS[kind] ?? kind, kind)));
}

$("download").onclick = () => doing(async () => {
  const kind = $("download-kind").value, wanted = { kind };
  if (state.media.kind === "image") wanted.objects = shown().map((one) => ({ ...one, label: label(one) }));
  else Object.assign(wanted, { labels: Object.fromEntries(state.labels), without: [...state.deleted, ...state.hidden] });
  $("download").disabled = true;
  try {
    const name = await api.result(state.media.media, wanted, (job) => say(`Making it …${job.total ? ` ${job.done} of ${job.total}` : ""}`));
    say(`${name} has been made.`);
  } finally {
    $("download").disabled = false;
  }
});

$("opacity").oninput = () => { state.opacity = $("opacity").value / 100; paintMasks(); };

// -- begin ------------------------------------------------------------------------------------------------------------

doing(async () => {
  state.info = await api.info();
  const { limits, samples } = state.info;
  $("limits").textContent = `Up to ${Math.round(limits.bytes / 2 ** 20)} MiB, ${Math.round(limits.pixels / 1e6)} megapixels and ${Math.round(limits.seconds / 60)} minutes. Files stay on this server, and are removed when you leave.`;
  $("samples").append(...samples.map(({ name, kind, prompt }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.sample = name;
    button.textContent = `${kind === "video" ? "Clip" : "Picture"}: ${name}`;
    button.onclick = () => open(() => api.sample(name)).then(() => { $("text").value = prompt; $("text").select(); });
    return button;
  }));
});
