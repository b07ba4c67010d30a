// The server, as functions. Every failure is an Error with a line to show.

let session = null;
const token = new URLSearchParams(location.hash.slice(1)).get("token");

async function ask(method, path, body) {
  let answer;
  try {
    answer = await fetch(`api/${path}`, {
      method, body: body && JSON.stringify(body),
      headers: { ...(body && { "Content-Type": "application/json" }), ...(token && { Authorization: `Bearer ${token}` }) },
    });
  } catch {
    throw new Error("The server cannot be reached. Is vidseg serve still running?");
  }
  if (answer.status === 204) return null;
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw refusal(answer.status, data);
  return data;
}

function refusal(status, data) {
  const { detail } = data;
  const text = typeof detail === "string" ? detail : Array.isArray(detail) ? detail.map((one) => one.msg).join("; ") : `the server answered ${status}`;
  const error = new Error(text[0].toUpperCase() + text.slice(1));
  error.status = status;
  return error;
}

export const info = () => ask("GET", "info");

const begun = async () => (session ??= (await ask("POST", "sessions")).session);
const mine = (rest) => `sessions/${session}/${rest}`;

export async function sample(name) {
  await begun();
  return ask("POST", mine(`samples/${encodeURIComponent(name)}`));
}

export async function upload(file, progress) {
  await begun();
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
    request.open("POST", `api/${mine("media")}?name=${encodeURIComponent(file.name || "pasted.png")}`);
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onerror = () => failed(new Error("The upload broke off. It may be larger than the server takes; else send it again."));
    request.onload = () => {
      let data = {};
      try { data = JSON.parse(request.responseText); } catch { /* not an answer of this server */ }
      request.status < 300 ? done(data) : failed(refusal(request.status, data));
    };
    request.send(file);
  });
}

export const forget = (media) => ask("DELETE", mine(`media/${media}`));
export const frameAddress = (media, index) => `api/${mine(`media/${media}/frames/${index}`)}`;
export const segment = (media, body) => ask("POST", mine(`media/${media}/segment`), body);
export const track = (media, body) => ask("POST", mine(`media/${media}/track`), body);
export const cancel = (job) => ask("DELETE", mine(`jobs/${job}`));

// Calls back for each frame, for progress, and when the connection is lost; resolves with the job as it is at its end.
export function listen(job, onFrame, onProgress, onLost) {
  return new Promise((done, failed) => {
    const events = new EventSource(`api/${mine(`jobs/${job}/events`)}`);
    events.addEventListener("frame", (event) => onFrame?.(JSON.parse(event.data)));
    events.addEventListener("progress", (event) => onProgress?.(JSON.parse(event.data)));
    events.addEventListener("end", (event) => { events.close(); done(JSON.parse(event.data)); });
    events.onerror = () => { // it reconnects by itself, unless the server says that the job is gone
      if (events.readyState === EventSource.CLOSED) failed(new Error("The server no longer knows this job. Load the page again."));
      else onLost?.();
    };
  });
}

// Makes a file and downloads it. Calls back with the job that makes it. Resolves with the file's name, null if it was cancelled.
export async function result(media, body, onProgress, onJob) {
  const { job } = await ask("POST", mine(`media/${media}/results`), body);
  onJob(job);
  const end = await listen(job, null, onProgress);
  if (end.state === "cancelled") return null;
  if (end.state !== "done") throw new Error(end.detail || "It could not be made.");
  const link = document.createElement("a");
  link.href = `api/${mine(`jobs/${job}/file`)}`;
  link.download = end.file;
  link.click();
  return end.file;
}

addEventListener("pagehide", () => {
  if (session) fetch(`api/sessions/${session}`, { method: "DELETE", keepalive: true });
});
addEventListener("pageshow", (event) => event.persisted && location.reload()); // its session has ended
