// What would be lost without a trace, and asking before it is.

import { everything, state } from "./state.js";

// Whether there is work that no download has.
export const atRisk = () => !!state.job || (state.changes !== state.taken && hasWork());

const hasWork = () => [...state.prompts.values()].some((some) => some.size) || [...state.frames.keys()].some((frame) => everything(frame).length);

// Whether another file may take the place of the open one.
export function mayLeave() {
  if (!state.media || !atRisk()) return true;
  const why = state.job ? "is being tracked, and the run would end" : "has masks or clicks that you have not downloaded";
  return confirm(`Leave ${state.media.name}?\n\nIt ${why}. All that was made of it would be lost.`);
}

// Whether a run may replace the objects that have been tracked, so many.
export function mayBeginAnew(count) {
  const what = count === 1 ? "The object that has been tracked goes" : `The ${count} objects that have been tracked go`;
  return !count || confirm(`Track the whole clip again?\n\n${what}, with name and corrections. What is found again may get another id.`);
}

addEventListener("beforeunload", (event) => { if (atRisk()) event.preventDefault(); });
