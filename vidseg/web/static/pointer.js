// Clicks, boxes and the keyboard's cross, on the canvas over the picture. In pixels of the picture.

const NEAR = 6; // CSS pixels that a click may wander before it is a box

// takesAway: whether a plain click says what does not belong to the object; fingers have no Shift.
export function listenToPointer(canvas, { onPoint, onBox, draw, takesAway }) {
  let from = null, box = null, cross = null, corner = null; // corner: of a box that is drawn with the keyboard
  const between = ([x, y], [u, v]) => [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)];

  const place = (event) => {
    const area = canvas.getBoundingClientRect();
    const inside = (value, most) => Math.min(most, Math.max(0, value));
    return [inside((event.clientX - area.left) * canvas.width / area.width, canvas.width), inside((event.clientY - area.top) * canvas.height / area.height, canvas.height)];
  };

  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 2 || event.button === 1) return;
    from = { at: place(event), client: [event.clientX, event.clientY], negative: event.shiftKey || event.button === 2 || takesAway() };
    cross = null;
    if (event.pointerType !== "touch") canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!from || from.negative) return;
    const far = Math.hypot(event.clientX - from.client[0], event.clientY - from.client[1]) > NEAR;
    if (!far && !box) return;
    box = between(place(event), from.at);
    draw();
  });
  canvas.addEventListener("pointerup", () => {
    if (!from) return;
    const { at, negative } = from, drawn = box;
    from = box = null;
    if (drawn && drawn[2] - drawn[0] >= 2 && drawn[3] - drawn[1] >= 2) onBox(drawn);
    else onPoint(at, !negative);
  });
  canvas.addEventListener("pointercancel", () => { from = box = null; draw(); }); // the finger scrolls
  canvas.addEventListener("keydown", (event) => {
    const step = (event.shiftKey ? 1 : Math.max(1, canvas.width / 64));
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) {
      cross ??= [canvas.width / 2, canvas.height / 2];
      cross = [Math.min(canvas.width - 1, Math.max(0, cross[0] + moves[event.key][0])), Math.min(canvas.height - 1, Math.max(0, cross[1] + moves[event.key][1]))];
      box = corner && between(corner, cross);
    } else if (event.key.toLowerCase() === "b" && cross && !event.ctrlKey && !event.metaKey) {
      if (box && box[2] - box[0] >= 2 && box[3] - box[1] >= 2) onBox(box);
      corner = corner ? null : cross;
      box = null;
    } else if (event.key === "Escape" && corner) {
      corner = box = null;
    } else if (event.key === "Enter" && cross) onPoint(cross, !event.shiftKey && !takesAway());
    else return;
    event.preventDefault();
    event.stopPropagation();
    draw();
  });
  canvas.addEventListener("blur", () => { cross = corner = box = null; draw(); });

  // Paint what is being drawn over the masks.
  return (context) => {
    const unit = canvas.width / (canvas.getBoundingClientRect().width || canvas.width);
    context.lineWidth = 2 * unit;
    if (box) {
      context.strokeStyle = "#fff";
      context.setLineDash([6 * unit, 4 * unit]);
      context.strokeRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
      context.setLineDash([]);
    }
    if (cross) {
      for (const [colour, width] of [["#000", 4], ["#fff", 2]]) {
        context.strokeStyle = colour;
        context.lineWidth = width * unit;
        context.beginPath();
        context.moveTo(cross[0] - 12 * unit, cross[1]); context.lineTo(cross[0] + 12 * unit, cross[1]);
        context.moveTo(cross[0], cross[1] - 12 * unit); context.lineTo(cross[0], cross[1] + 12 * unit);
        context.stroke();
      }
    }
  };
}

// The clicks and boxes of the chosen object.
export function paintPrompt(context, canvas, prompt) {
  const unit = canvas.width / (canvas.getBoundingClientRect().width || canvas.width);
  context.lineWidth = 2 * unit;
  context.strokeStyle = "#fff";
  if (prompt.box && prompt.drawn) context.strokeRect(prompt.box[0], prompt.box[1], prompt.box[2] - prompt.box[0], prompt.box[3] - prompt.box[1]);
  prompt.points.forEach(([x, y], i) => {
    context.beginPath();
    context.arc(x, y, 5 * unit, 0, 7);
    context.fillStyle = prompt.point_labels[i] ? "#0a8f3c" : "#c22a1a";
    context.fill();
    context.stroke();
  });
}
