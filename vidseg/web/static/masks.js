// COCO's compressed run lengths, and how masks look.

// Lengths of runs of 0 and 1 in turn, column by column. A number is written in groups of five bits, lowest first; from the
// fourth on it is the difference to the one before the previous.
function runLengths(counts) {
  const runs = [];
  for (let i = 0; i < counts.length;) {
    let value = 0, shift = 0, group;
    do {
      group = counts.charCodeAt(i++) - 48;
      value |= (group & 31) << shift;
      shift += 5;
    } while (group & 32);
    if (group & 16 && shift < 32) value |= -1 << shift;
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

const KEPT = 64e6; // pixels of masks that are kept: a clip has too many for all
const kept = new Map();
let size = 0;

// Uint8Array of height × width, row by row.
export function decode({ size: [height, width], counts }) {
  const before = kept.get(counts);
  if (before?.length === height * width) return before;
  const mask = new Uint8Array(height * width);
  let place = 0, value = 0;
  for (const length of runLengths(counts)) {
    if (value) for (let i = place; i < place + length; i++) mask[(i % height) * width + ((i / height) | 0)] = 1;
    place += length;
    value = 1 - value;
  }
  kept.set(counts, mask);
  size += mask.length;
  for (const [oldest, { length }] of kept) {
    if (size <= KEPT || oldest === counts) break;
    kept.delete(oldest);
    size -= length;
  }
  return mask;
}

const rgb = (colour) => [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));

// Paint objects [{id, mask}] on a canvas: translucent, with an opaque outline inside each.
export function paint(canvas, objects, palette, opacity) {
  const { width, height } = canvas, context = canvas.getContext("2d");
  const picture = context.createImageData(width, height), data = picture.data;
  const thick = Math.max(1, Math.round(Math.max(width, height) / 640));
  for (const { id, mask } of objects) {
    const code = decode(mask), [red, green, blue] = rgb(palette[id % palette.length]);
    const [x1, y1, x2, y2] = extent(code, width, height);
    for (let y = y1; y <= y2; y++) {
      for (let x = x1; x <= x2; x++) {
        const i = y * width + x;
        if (!code[i]) continue;
        const edge = x < thick || y < thick || x >= width - thick || y >= height - thick ||
          !code[i - thick] || !code[i + thick] || !code[i - thick * width] || !code[i + thick * width];
        data[4 * i] = red; data[4 * i + 1] = green; data[4 * i + 2] = blue;
        data[4 * i + 3] = edge ? 255 : opacity * 255;
      }
    }
  }
  context.putImageData(picture, 0, 0);
}

function extent(code, width, height) {
  let x1 = width, y1 = height, x2 = -1, y2 = -1;
  for (let y = 0; y < height; y++) {
    const first = code.indexOf(1, y * width);
    if (first < 0) break;
    if (first >= (y + 1) * width) { y = Math.floor(first / width) - 1; continue; }
    const last = code.lastIndexOf(1, (y + 1) * width - 1);
    y1 = Math.min(y1, y); y2 = y;
    x1 = Math.min(x1, first - y * width); x2 = Math.max(x2, last - y * width);
  }
  return [x1, y1, x2, y2];
}

// The object whose mask has a pixel at x, y; the topmost one.
export const at = (objects, x, y) => objects.findLast(({ mask }) => decode(mask)[Math.floor(y) * mask.size[1] + Math.floor(x)]);

// IoU of the masks of two objects.
export function overlap(one, other) {
  const [x1, y1, x2, y2] = one.box, [u1, v1, u2, v2] = other.box;
  if (x2 <= u1 || u2 <= x1 || y2 <= v1 || v2 <= y1) return 0;
  const a = decode(one.mask), b = decode(other.mask);
  let both = 0, either = 0;
  for (let i = 0; i < a.length; i++) {
    both += a[i] & b[i];
    either += a[i] | b[i];
  }
  return either ? both / either : 0;
}
export const SAME = 0.5; // IoU from which two masks are of one object
