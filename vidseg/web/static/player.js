// The picture: one frame at a time, the next ones fetched ahead.

import { frameAddress } from "./api.js";
import { state } from "./state.js";

const AHEAD = 6, KEPT = 40;
const pictures = new Map(); // frame → promise of an ImageBitmap

function picture(index) {
  const key = `${state.media.media}/${index}`;
  if (!pictures.has(key)) {
    const coming = fetch(frameAddress(state.media.media, index)).then(async (answer) => {
      if (answer.status === 416) return null; // past the end
      if (answer.status === 404) throw new Error("The server no longer has this file: the session has ended. Load the page again.");
      if (!answer.ok) throw new Error("This frame could not be fetched. Try another one, or load the page again.");
      return createImageBitmap(await answer.blob());
    });
    coming.catch(() => pictures.delete(key));
    pictures.set(key, coming);
    for (const old of pictures.keys()) {
      if (pictures.size <= KEPT) break;
      pictures.get(old).then((bitmap) => bitmap?.close(), () => {});
      pictures.delete(old);
    }
  }
  return pictures.get(key);
}

// Paint a frame. Returns false if the clip has none there.
export async function showFrame(canvas, index) {
  const media = state.media, bitmap = await picture(index);
  if (state.media !== media) return true; // another file was opened meanwhile
  if (!bitmap) return false;
  if (state.frame === index) canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return true;
}

let playing = null;
export const isPlaying = () => playing !== null;

// Play from the frame in view to the end, at the rate of the clip as far as frames come in time.
export async function play(step, stopped) {
  const mine = (playing = {});
  const period = 1000 / (state.media.frame_rate || 25);
  while (playing === mine && state.frame + 1 < state.count) {
    const began = performance.now();
    for (let i = 1; i <= AHEAD && state.frame + i < state.count; i++) picture(state.frame + i);
    if (!(await step(state.frame + 1))) break;
    await new Promise((done) => setTimeout(done, Math.max(0, period - (performance.now() - began))));
  }
  if (playing === mine) playing = null;
  stopped();
}

export const stop = () => { playing = null; };
