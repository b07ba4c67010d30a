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
}

$("download").onclick = () => doing(async () => {
  const kind = $("download-kind").value, wanted = { kind };
  if (state.media.kind === "image") wanted.objects = shown().map((one) => ({ ...one, label: label(one) }));
  else Object.assign(wanted, { labels: Object.fromEntries(state.labels), without: [...state.deleted, ...state.hidden] });
  $("download").disabled = true;
  try {
    const name = await api.result(state.media.media, wanted, (job) => say(`Making it …${job.total ? ` ${job.done} of ${job.total}` : ""}`, "work"));
    say(`${name} has been made.`, "good");
  } finally {
    $("download").disabled = false;
  }
});
