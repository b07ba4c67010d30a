// What the page does with an open file: shows it, finds objects by words and clicks, moves in time.

import * as api from "./api.js";
import { listenToFiles } from "./files.js";
import { at, overlap, paint, SAME } from "./masks.js";
import { listObjects } from "./objects.js";
import { nextRun } from "./plan.js";
import { isPlaying, play, showFrame, stop } from "./player.js";
import { listenToPointer, paintPrompt } from "./pointer.js";
import { listenToRuns } from "./runs.js";
import { everything, freeId, label, promptsOn, remember, setObject, shown, state, undo } from "./state.js";
import { addWords, listWords, phrases, threshold } from "./wanted.js";
import { doing, say } from "./words.js";

const $ = (id) => document.getElementById(id);
const picture = $("picture"), masks = $("masks");
window.vidseg = { state };

// -- the view ---------------------------------------------------------------------------------------------------------

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
    const run = nextRun();
    $("track").textContent = run?.name ?? (state.tracked ? "Track again" : "Track");
    $("track").disabled = !run;
    listWords(refresh);
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
  if (!scrubbing) $("scrub").value = index; // else the visitor is moving it
  const place = `frame ${index + 1} of ${state.count}`; // people count from 1, files from 0
  $("scrub").setAttribute("aria-valuetext", place);
  $("place").textContent = `${place} · ${(index / state.media.frame_rate).toFixed(2)} s`;
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
    const frame = state.frame;
    say("Looking …", "work");
    const media = state.media;
    const answer = await api.segment(state.media.media, { frame, text, box_threshold: state.boxThreshold }).catch((error) => { say(""); throw error; });
    if (state.media !== media || state.job) return;
    const there = everything(frame), fresh = answer.objects.filter((one) => !there.some((other) => overlap(one, other) > SAME));
    if (fresh.length) {
      remember(frame);
      let next = freeId(); // a click meanwhile may have taken the first
      for (const one of fresh) one.id = next++;
      state.frames.set(frame, [...(state.frames.get(frame) ?? []), ...fresh]); // what is there stays: words add up
    }
    state.text = text;
    addWords(phrases(text).filter((word) => answer.objects.some((one) => one.label === word)));
    sayFound(text, answer, fresh.length);
    refresh();
  });
};

function sayFound(text, { objects, best_scores, seconds }, fresh) {
  const missing = phrases(text).filter((word) => best_scores[word] <= threshold() && !objects.some((one) => one.label === word));
  const parts = [];
  if (fresh) parts.push(`Found ${fresh} in ${seconds.toFixed(2)} s.`);
  else if (objects.length) parts.push("Found nothing new: it is in the list already.");
  if (missing.length) {
    const best = Math.max(...missing.map((word) => best_scores[word])).toFixed(2);
    parts.push(`Nothing found for ${missing.map((word) => `“${word}”`).join(", ")}: the best score was ${best}. Lower the threshold, or try another word.`);
  } else if (!objects.length) parts.push("Nothing found; try another word.");
  if (fresh && state.tracked) parts.push("Track what is new to follow it.");
  say(parts.join(" "), fresh ? "good" : "warn");
}

// What was typed is tracked, even if no frame was searched for it; the suggestion of a sample is not.
$("text").oninput = () => { state.text = $("text").value.trim(); if (state.media) refresh(); };

// Clicks are answered one after the other, so that each can be undone.
let clicks = Promise.resolve();
function inTurn(change) {
  const { media, frame } = state;
  clicks = clicks.then(() => state.media === media && state.frame === frame && point(change));
}

async function point(change) {
  if (state.job) return say("Wait until the clip has been tracked, or cancel it.");
  stop();
  const frame = state.frame, known = everything().find((one) => one.id === state.chosen);
  const id = state.chosen ?? freeId(), some = state.prompts.get(frame) ?? new Map();
  // What was found or tracked is corrected: its box says which object is meant. All else is new, also where it lies on something.
  const isNew = state.chosen === null || [...state.prompts.values()].some((on) => on.get(id)?.new);
  const prompt = structuredClone(some.get(id)) ?? { points: [], point_labels: [], new: isNew, ...(known && { box: known.box, label: known.label }) };
  change(prompt);
  if (!prompt.box && !prompt.point_labels.includes(1)) return say("Click on the object first; then on what does not belong to it.");
  remember(frame);
  state.chosen = id;
  state.prompts.set(frame, some.set(id, { ...prompt, used: false }));
  await answerFor(frame, id);
}

async function answerFor(frame, id) {
  await doing(async () => {
    const began = performance.now(), { media, history } = state, now = history.at(-1);
    const sent = promptsOn(frame).filter((one) => one.id === id);
    const stale = () => state.media !== media || !state.history.includes(now) || state.job; // undone, or a new file or run
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
  const one = everything().find((other) => other.id === id);
  remember();
  state.deleted.add(id);
  if (state.chosen === id) state.chosen = null;
  refresh();
  say(`${one ? label(one) : "Object"} ${id} is deleted${state.media.kind === "video" && state.tracked ? " on all frames" : ""}. Undo brings it back.`);
}
for (const [id, other] of [["adds", "takes-away"], ["takes-away", "adds"]]) {
  $(id).onclick = () => { $(id).setAttribute("aria-pressed", true); $(other).setAttribute("aria-pressed", false); };
}
$("objects").addEventListener("focusin", stop); // an object that leaves the view would take the name being typed with it
$("new").onclick = () => { state.chosen = null; refresh(); say("The next click begins a new object."); };
$("undo").onclick = back;
function back() {
  if (!state.history.length || state.job) return;
  undo();
  say("Taken back.");
  go(state.frame);
}

// -- time ------------------------------------------------------------------------------------------------------------

listenToFiles({ show });
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

$("box-threshold").oninput = () => {
  state.boxThreshold = $("box-threshold").valueAsNumber;
  $("search").querySelector("output").textContent = state.boxThreshold.toFixed(2);
};
$("opacity").oninput = () => { state.opacity = $("opacity").value / 100; paintMasks(); };

$("brand").onclick = (event) => { event.preventDefault(); location.reload(); }; // a link would lose the token
