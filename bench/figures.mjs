/** The q-quantile (0..1) of some numbers; NaN of none. */
export function quantile(values, q) {
  const sorted = Float64Array.from(values).sort();
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

export const median = (values) => quantile(values, 0.5);

/** `3.14159` as `3.14`, `314.159` as `314`: three digits that mean something. */
export function short(value) {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  return value.toFixed(size >= 1 ? 2 : 3);
}

/** Middle and tail in one cell. */
export function spread(values, unit = '') {
  return `${short(quantile(values, 0.5))} / ${short(quantile(values, 0.95))}${unit}`;
}

/** Rows of cells as a Markdown table. */
export function table(header, rows) {
  const all = [header, header.map(() => '---'), ...rows.map((row) => row.map((cell) => (typeof cell === 'number' ? short(cell) : cell)))];
  return all.map((row) => `| ${row.join(' | ')} |`).join('\n');
}
