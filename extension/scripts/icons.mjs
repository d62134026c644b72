// Draws icons/*.png: a handset in a rounded square, with two waves. Run it by hand when the drawing changes.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';

const folder = join(dirname(fileURLToPath(import.meta.url)), '..', 'icons');

function crc32(bytes) { // Node 20 has none in zlib
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

// Signed distances in a square of 1 by 1; below 0 is inside.
const roundBox = (x, y, cx, cy, hw, hh, r) => {
  const dx = Math.abs(x - cx) - hw + r;
  const dy = Math.abs(y - cy) - hh + r;
  return Math.hypot(Math.max(dx, 0), Math.max(dy, 0)) + Math.min(Math.max(dx, dy), 0) - r;
};
const arc = (x, y, cx, cy, radius, from, to, width) => {
  let angle = Math.atan2(y - cy, x - cx);
  if (angle < from - Math.PI) angle += 2 * Math.PI;
  const a = Math.min(Math.max(angle, from), to);
  return Math.hypot(x - cx - radius * Math.cos(a), y - cy - radius * Math.sin(a)) - width;
};
const turned = (x, y, degrees) => {
  const t = (degrees * Math.PI) / 180;
  const dx = x - 0.5;
  const dy = y - 0.5;
  return [0.5 + dx * Math.cos(t) + dy * Math.sin(t), 0.5 - dx * Math.sin(t) + dy * Math.cos(t)];
};
const handset = (x, y) => {
  const [u, v] = turned(x, y, 225);
  const bow = arc(u, v, 0.5, 0.86, 0.42, -Math.PI * 0.5 - 0.62, -Math.PI * 0.5 + 0.62, 0.062);
  const left = roundBox(u, v, 0.245, 0.55, 0.095, 0.085, 0.045);
  const right = roundBox(u, v, 0.755, 0.55, 0.095, 0.085, 0.045);
  return Math.min(bow, left, right);
};
const waves = (x, y) => {
  const from = -Math.PI * 0.44;
  const to = -Math.PI * 0.06;
  return Math.min(arc(x, y, 0.52, 0.48, 0.15, from, to, 0.03), arc(x, y, 0.52, 0.48, 0.27, from, to, 0.03));
};

function pixel(x, y, size) {
  if (roundBox(x, y, 0.5, 0.5, 0.49, 0.49, 0.23) > 0) return [0, 0, 0, 0];
  const drawing = size < 24 ? handset(x, y) : Math.min(handset(x, y), waves(x, y));
  if (drawing < (size < 24 ? 0.012 : 0)) return [255, 255, 255, 255];
  const t = (x + y) / 2;
  return [Math.round(20 + 6 * t), Math.round(126 - 34 * t), Math.round(128 + 12 * t), 255];
}

function draw(size) {
  const over = 8;
  const raw = Buffer.alloc(size * (size * 4 + 1));
  for (let py = 0; py < size; py++) {
    for (let px = 0; px < size; px++) {
      const sum = [0, 0, 0, 0];
      for (let i = 0; i < over * over; i++) {
        const x = (px + ((i % over) + 0.5) / over) / size;
        const y = (py + (Math.floor(i / over) + 0.5) / over) / size;
        const [r, g, b, a] = pixel(x, y, size);
        sum[0] += r * a;
        sum[1] += g * a;
        sum[2] += b * a;
        sum[3] += a;
      }
      const at = py * (size * 4 + 1) + 1 + px * 4;
      for (let c = 0; c < 3; c++) raw[at + c] = sum[3] ? Math.round(sum[c] / sum[3]) : 0;
      raw[at + 3] = Math.round(sum[3] / (over * over));
    }
  }
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(size, 0);
  head.writeUInt32BE(size, 4);
  head.set([8, 6, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(raw, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

mkdirSync(folder, { recursive: true });
for (const size of [16, 32, 48, 128]) writeFileSync(join(folder, `${size}.png`), draw(size));
