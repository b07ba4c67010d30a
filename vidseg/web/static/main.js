// What the page does: files in, objects by words and clicks, runs over clips, results out.

import * as api from "./api.js";
import { at, paint } from "./masks.js";
import { listObjects } from "./objects.js";
import { isPlaying, play, showFrame, stop } from "./player.js";
import { listenToPointer, paintPrompt } from "./pointer.js";
import { listDownloads } from "./results.js";
import { canCorrect, hasPrompts, listenToRuns, tracking } from "./runs.js";
import { everything, freeId, promptsOn, remember, reset, setObject, shown, state, undo } from "./state.js";
import { doing, say } from "./words.js";

const $ = (id) => document.getElementById(id);
const picture = $("picture"), masks = $("masks");
window.vidseg = { state };

// -- files ------------------------------------------------------------------------------------------------------------

let opening = false;
async function open(get) {
  if (opening) return;
  opening = true;
  stop();
  const before = state.media;
  await doing(async () => {
    const media = await get();
    if (state.job) await api.cancel(state.job).catch(() => {});
    if (before) api.forget(before.media).catch(() => {});
    reset(media);
    $("view").style.setProperty("--ratio", media.width / media.height);
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
  opening = false;
  $("uploading").hidden = true;
  $("drop").hidden = false;
}

const openFile = (file) => open(() => {
  $("uploading").querySelector("b").textContent = "Sending";
  $("welcome").hidden = false;
  $("work").hidden = true;
  $("drop").hidden = true;
  $("uploading").hidden = false;
  $("uploading").querySelector("span").textContent = file.name;
  const bar = $("uploading").querySelector("progress");
  bar.value = 0;
  return api.upload(file, (share) => {
    if (share < 1) return void (bar.value = share);
    bar.removeAttribute("value");
    $("uploading").querySelector("b").textContent = "Reading";
  }).catch((error) => {
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
    if (index > 0 && state.frame === index) await show(index - 1);
    return false;
  }
  if (state.frame !== index) return true;
  $("scrub").max = state.count - 1;
  if (!scrubbing) $("scrub").value = index; // else it is in the visitor's hand
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
  if (state.job) return;
  if (!text) return say("Type what to find: dog, cat, ball.");
  doing(async () => {
    const frame = state.frame, first_id = freeId();
    say("Looking …", "work");
    const media = state.media;
    const answer = await api.segment(state.media.media, { frame, text, first_id }).catch((error) => { say(""); throw error; });
    if (state.media !== media || state.job) return;
    remember();
    state.text = text;
    // What text found before is replaced; what was pointed at stays.
    const kept = (state.frames.get(frame) ?? []).filter((one) => state.media.kind === "image" ? pointed(one.id, frame) : pointed(one.id, frame) || state.tracked);
    state.frames.set(frame, state.tracked ? kept : [...kept, ...answer.objects]);
    const more = state.tracked && answer.objects.length ? " Track again to follow them." : "";
    say(answer.objects.length ? `Found ${answer.objects.length} in ${answer.seconds.toFixed(2)} s.${more}` : `Nothing found: the best score was ${answer.best_score.toFixed(2)}. Try another word.`, answer.objects.length ? "good" : "warn");
    refresh();
  });
};
// What was typed is tracked, also where nobody looked for it on a frame; the suggestion of a sample is not.
$("text").oninput = () => { state.text = $("text").value.trim(); if (state.media) refresh(); };
const pointed = (id, frame) => state.prompts.get(frame)?.has(id);

// Clicks are answered one after the other, so that each can be taken back.
let clicks = Promise.resolve();
function inTurn(change) {
  const { media, frame } = state;
  clicks = clicks.then(() => state.media === media && state.frame === frame && point(change));
}

async function point(change) {
  if (state.job) return say("Wait until the clip has been tracked, or cancel it.");
  stop();
  const frame = state.frame, known = everything().find((one) => one.id === state.chosen);
  remember();
  const id = state.chosen ??= freeId();
  const some = state.prompts.get(frame) ?? new Map();
  // What was found or tracked is corrected: its box says which object is meant.
  const prompt = some.get(id) ?? { points: [], point_labels: [], ...(known && { box: known.box, label: known.label }) };
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
    const began = performance.now(), { media, history } = state, now = history.at(-1);
    const sent = promptsOn(frame).filter((one) => one.id === id);
    const stale = () => state.media !== media || !state.history.includes(now) || state.job; // taken back, or all is new
    const { objects, seconds } = await api.segment(media.media, { frame, prompts: sent }).catch((error) => {
      if (!stale() && state.history.at(-1) === now) undo(), refresh();
      throw error;
    });
    if (stale()) return;
    const old = (state.frames.get(frame) ?? []).find((one) => one.id === id);
    if (objects[0] && old) objects[0].label = old.label;
    setObject(frame, objects[0], id);
    refresh();
    say(objects[0] ? `Mask in ${Math.round(performance.now() - began)} ms (${Math.round(1000 * seconds)} ms on the server)` : "There is no mask there: click somewhere else.", objects[0] ? "" : "warn");
  });
}

const overlay = listenToPointer(masks, {
  draw: paintMasks,
  takesAway: () => $("takes-away").getAttribute("aria-pressed") === "true",
  onPoint: ([x, y], positive) => {
    const under = at(shown(), Math.min(x, masks.width - 1), Math.min(y, masks.height - 1));
    if (positive && state.chosen === null && under) return choose(under.id); // so that an object can be chosen on the picture
    inTurn((prompt) => { prompt.points.push([x, y]); prompt.point_labels.push(positive ? 1 : 0); });
  },
  onBox: (box) => inTurn((prompt) => { prompt.box = box; prompt.drawn = true; }),
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
for (const [id, other] of [["adds", "takes-away"], ["takes-away", "adds"]]) {
  $(id).onclick = () => { $(id).setAttribute("aria-pressed", true); $(other).setAttribute("aria-pressed", false); };
}
$("new").onclick = () => { state.chosen = null; refresh(); say("The next click begins a new object."); };
$("undo").onclick = back;
function back() {
  if (!state.history.length || state.job) return;
  undo();
  say("Taken back.");
  go(state.frame);
}

// -- time ------------------------------------------------------------------------------------------------------------

listenToRuns({ refresh, show, marks });

let scrubbing = false, wanted = 0;
$("scrub").oninput = async () => { // frames that were passed while one came are left out
  stop();
  wanted = +$("scrub").value;
  if (scrubbing) return;
  scrubbing = true;
  let next, there;
  do {
    next = wanted;
    there = await doing(() => show(next));
  } while (there && next !== wanted);
  scrubbing = false;
};
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
  else if (key === "delete" && state.chosen !== null && !state.job) remove(state.chosen);
  else if (state.media.kind === "video" && !event.target.closest("input")) { // sliders have keys of their own
    if (key === " " && !event.target.closest("button, a")) $("play").click();
    else if (key === "arrowleft") $("previous").click();
    else if (key === "arrowright") $("next").click();
    else return;
  } else return;
  event.preventDefault();
});

$("opacity").oninput = () => { state.opacity = $("opacity").value / 100; paintMasks(); };

$("brand").onclick = (event) => { event.preventDefault(); location.reload(); }; // a link would lose the token

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
