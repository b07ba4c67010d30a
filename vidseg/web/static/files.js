// How files come in: chosen, dropped, pasted, or one of the samples.

import * as api from "./api.js";
import { mayLeave } from "./loss.js";
import { stop } from "./player.js";
import { listDownloads } from "./results.js";
import { tracking } from "./runs.js";
import { reset, state } from "./state.js";
import { doing, say } from "./words.js";

const $ = (id) => document.getElementById(id);

let show;

// What shows a frame of the file that has been opened.
export function listenToFiles(page) {
  ({ show } = page);
}

let opening = false;
async function open(get) {
  if (opening || !mayLeave()) return;
  opening = true;
  stop();
  const before = state.media;
  await doing(async () => {
    const media = await get();
    if (state.job) await api.cancel(state.job).catch(() => {});
    if (before) api.forget(before.media).catch(() => {});
    reset(media);
    $("view").style.setProperty("--ratio", media.width / media.height);
    for (const canvas of [$("picture"), $("masks")]) [canvas.width, canvas.height] = [media.width, media.height];
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

doing(async () => {
  state.info = await api.info();
  $("box-threshold").value = state.info.box_threshold;
  $("search").querySelector("output").textContent = state.info.box_threshold.toFixed(2);
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
