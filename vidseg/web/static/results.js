// Results to download.

import * as api from "./api.js";
import { label, shown, state } from "./state.js";
import { doing, say } from "./words.js";

const $ = (id) => document.getElementById(id);

const KINDS = {
  overlay: "Overlay", still: "Overlay of this frame", tracks: "Tracks file", masks: "Masks (PNG)", cutout: "Cut-out, transparent", matte: "Matte video", sheet: "Contact sheet",
};
const PARTIAL = ["still", "sheet"]; // who has these still lacks most of the clip
const IMAGE_KINDS = ["overlay", "tracks", "masks", "cutout"];

export function listDownloads() {
  const kinds = state.media.kind === "image" ? IMAGE_KINDS : Object.keys(KINDS);
  $("download-kind").replaceChildren(...[...kinds, ...state.info.formats].map((kind) => new Option(KINDS[kind] ?? kind, kind)));
  $("styles").replaceChildren($("styles").firstElementChild, ...state.info.styles.map(styleBox));
  fitOptions();
  fitCodecs();
}

function styleBox(name) {
  const box = document.createElement("label"), input = document.createElement("input");
  input.type = "checkbox";
  input.value = name;
  input.checked = state.info.usual_styles.includes(name);
  box.append(input, ` ${name}`);
  return box;
}

// Show what can be chosen for the kind of result.
function fitOptions() {
  const kind = $("download-kind").value, clip = state.media.kind === "video";
  $("drawing").hidden = !clip || !["overlay", "still"].includes(kind);
  $("encoding").hidden = kind === "still";
  $("sampling").hidden = !clip || !state.info.formats.includes(kind);
  $("with-images").hidden = !state.info.image_formats.includes(kind);
}
$("download-kind").onchange = fitOptions;

// The codecs that a file can have; a GIF has none.
function fitCodecs() {
  const codecs = state.info.codecs[$("overlay-file").value];
  $("codec").replaceChildren(...codecs.map((codec) => new Option(codec)));
  $("codec").disabled = $("crf").disabled = !codecs.length;
}
$("overlay-file").onchange = fitCodecs;

async function drawing(kind) {
  const style = [...$("styles").querySelectorAll("input:checked")].map((box) => box.value), background = $("background").value.trim();
  const picture = $("background-image").files[0];
  const file = kind === "still" ? { file: "png", frame: state.frame } : {
    file: $("overlay-file").value, ...(!$("codec").disabled && { codec: $("codec").value, ...($("crf").value && { crf: Math.round(+$("crf").value) }) }),
  };
  return {
    style, color_by: $("color-by").value, side_by_side: $("side-by-side").checked, ...file,
    ...(background && { background }), ...(picture && { background_image: (await api.upload(picture, () => {})).media }),
    ...(style.includes("mask") && { opacity: state.opacity }),
  };
}

const sampling = (kind) => ({
  every: Math.max(1, Math.round(+$("every").value) || 1), min_score: Math.min(1, Math.max(0, +$("min-score").value || 0)),
  images: $("images").checked && state.info.image_formats.includes(kind),
});

$("download").onclick = () => doing(async () => {
  const kind = $("download-kind").value, wanted = { kind: kind === "still" ? "overlay" : kind };
  if (state.media.kind === "image") wanted.objects = shown().map((one) => ({ ...one, label: label(one) }));
  else Object.assign(wanted, { labels: Object.fromEntries(state.labels), without: [...state.deleted, ...state.hidden] });
  if (!$("sampling").hidden) wanted.sampling = sampling(kind);
  const { media, changes } = state;
  $("download").disabled = true;
  try {
    if (!$("drawing").hidden) wanted.drawing = await drawing(kind);
    const told = (job) => say(`Making it …${job.total ? ` ${job.done} of ${job.total}` : ""}`, "work");
    const name = await api.result(media.media, wanted, told, stoppable);
    if (name && state.media === media && !PARTIAL.includes(kind)) state.taken = changes;
    say(name ? `${name} has been made.` : "Cancelled; nothing was made.", name ? "good" : "warn");
  } finally {
    if (wanted.drawing?.background_image) api.forget(wanted.drawing.background_image).catch(() => {});
    $("download").disabled = false;
    stoppable(null);
  }
});

// Show the button that stops a job in place of the one that began it; null: there is no job.
function stoppable(job) {
  const focused = document.activeElement;
  $("stop").hidden = !job;
  $("download").hidden = !!job;
  if (focused === $("download") || focused === $("stop")) $(job ? "stop" : "download").focus();
  $("stop").onclick = () => doing(() => api.cancel(job));
}
