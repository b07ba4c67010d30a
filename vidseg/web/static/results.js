// Results to take away.

import * as api from "./api.js";
import { label, shown, state } from "./state.js";
import { doing, say } from "./words.js";

const $ = (id) => document.getElementById(id);

const KINDS = {
  overlay: "Overlay", tracks: "Tracks file", masks: "Masks (PNG)", cutout: "Cut-out, transparent", matte: "Matte video", sheet: "Contact sheet",
};
const IMAGE_KINDS = ["overlay", "tracks", "masks", "cutout"];

export function listDownloads() {
  const kinds = state.media.kind === "image" ? IMAGE_KINDS : Object.keys(KINDS);
  $("download-kind").replaceChildren(...[...kinds, ...state.info.formats].map((kind) => new Option(KINDS[kind] ?? kind, kind)));
  $("styles").replaceChildren($("styles").firstElementChild, ...state.info.styles.map(styleBox));
  fitOptions();
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
  $("drawing").hidden = !clip || kind !== "overlay";
  $("sampling").hidden = !clip || !state.info.formats.includes(kind);
  $("with-images").hidden = !state.info.image_formats.includes(kind);
}
$("download-kind").onchange = fitOptions;

function drawing() {
  const style = [...$("styles").querySelectorAll("input:checked")].map((box) => box.value), background = $("background").value.trim();
  return {
    style, color_by: $("color-by").value, side_by_side: $("side-by-side").checked, file: $("overlay-file").value,
    ...(background && { background }), ...(style.includes("mask") && { opacity: state.opacity }),
  };
}

const sampling = (kind) => ({
  every: Math.max(1, Math.round(+$("every").value) || 1), min_score: Math.min(1, Math.max(0, +$("min-score").value || 0)),
  images: $("images").checked && state.info.image_formats.includes(kind),
});

$("download").onclick = () => doing(async () => {
  const kind = $("download-kind").value, wanted = { kind };
  if (state.media.kind === "image") wanted.objects = shown().map((one) => ({ ...one, label: label(one) }));
  else Object.assign(wanted, { labels: Object.fromEntries(state.labels), without: [...state.deleted, ...state.hidden] });
  if (!$("drawing").hidden) wanted.drawing = drawing();
  if (!$("sampling").hidden) wanted.sampling = sampling(kind);
  $("download").disabled = true;
  try {
    const name = await api.result(state.media.media, wanted, (job) => say(`Making it …${job.total ? ` ${job.done} of ${job.total}` : ""}`, "work"));
    say(`${name} has been made.`, "good");
  } finally {
    $("download").disabled = false;
  }
});
