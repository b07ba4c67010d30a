// What the page says: how things stand, and what went wrong.

const $ = (id) => document.getElementById(id);

// kind: "", "work" while something goes on, "good" or "warn" at its end.
export function say(text, kind = "") {
  $("status").dataset.kind = kind;
  $("status").setAttribute("aria-live", kind === "work" ? "off" : "polite"); // progress is not read out twice a second
  $("status").textContent = text;
}
export function fail(error) {
  $("error").firstElementChild.textContent = error.message;
  $("error").hidden = false;
}
$("error").lastElementChild.onclick = () => { $("error").hidden = true; };

let busy = 0;
// Do what takes a while, and show what goes wrong.
export async function doing(work) {
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
