import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { built } from '../built.mjs';

const { PCMU } = await built('audio/g711.js');

/** Rendered once a machine: the same text and voice give the same sound. */
const CACHE = join(tmpdir(), 'ringdown-bench-speech');
const SHIPPED = new URL('./clips/', import.meta.url);

/** Is there a synthesiser? Without it a few shipped clips are said in place of everything. */
export const hasSynthesiser = spawnSync('espeak-ng', ['--version']).status === 0;

/** Speech begins and ends where it is this far below its loudest. */
const EDGE_DB = -40;

const memory = new Map();

/** A text in a voice, Float64Array at `rateHz` (8000 or 24000), loudest tenth of its frames at 0 dB (full-scale square), edges cut at -40 dB. */
export function speak(text, [voice, rate, pitch], rateHz = 8000) {
  const key = JSON.stringify([text, voice, rate, pitch, rateHz]);
  let sound = memory.get(key);
  if (!sound) {
    sound = normalised(trimmed(hasSynthesiser ? synthesised(text, [voice, rate, pitch], rateHz) : shipped(text, rateHz)), rateHz);
    memory.set(key, sound);
  }
  return sound;
}

function synthesised(text, [voice, rate, pitch], rateHz) {
  mkdirSync(CACHE, { recursive: true });
  const name = createHash('sha256')
    .update(JSON.stringify([text, voice, rate, pitch]))
    .digest('hex')
    .slice(0, 24);
  const path = join(CACHE, `${name}.wav`);
  if (!existsSync(path)) writeFileSync(path, execFileSync('espeak-ng', ['-v', voice, '-s', rate, '-p', pitch, '--stdout', text]));
  const wav = readFileSync(path);
  const fromHz = wav.readUInt32LE(24);
  const at = wav.indexOf('data') + 8;
  const samples = Float64Array.from({ length: Math.floor((wav.length - at) / 2) }, (_, n) => wav.readInt16LE(at + 2 * n) / 32768);
  return resampled(samples, fromHz, rateHz);
}

/** Any clip will do, but the same text is always the same one. */
function shipped(text, rateHz) {
  const names = readFileSync(new URL('names.txt', SHIPPED), 'utf8').trim().split('\n');
  const words = text.split(' ').length;
  const close = names.filter((name) => Math.abs(Number(name.split('-')[0]) - words) <= 2);
  const list = close.length > 0 ? close : names;
  const pick = list[createHash('sha256').update(text).digest()[0] % list.length];
  const code = readFileSync(new URL(`${pick}.ulaw`, SHIPPED));
  const pcm = new Int16Array(code.length);
  PCMU.decode(code, pcm);
  return resampled(
    Float64Array.from(pcm, (sample) => sample / 32768),
    8000,
    rateHz,
  );
}

/** Windowed sinc; slow and good enough for a telephone. */
export function resampled(input, fromHz, toHz) {
  if (fromHz === toHz) return input;
  const cutoff = Math.min(1, toHz / fromHz) * 0.92;
  const reach = Math.ceil(12 / cutoff);
  return Float64Array.from({ length: Math.floor((input.length * toHz) / fromHz) }, (_, n) => {
    const centre = (n * fromHz) / toHz;
    let sum = 0;
    for (let k = Math.max(0, Math.ceil(centre - reach)); k <= Math.min(input.length - 1, centre + reach); k++) {
      const x = k - centre;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
      sum += input[k] * sinc * cutoff * (0.5 + 0.5 * Math.cos((Math.PI * x) / reach));
    }
    return sum;
  });
}

function trimmed(sound) {
  const peak = sound.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const edge = peak * 10 ** (EDGE_DB / 20);
  let first = 0;
  let last = sound.length - 1;
  while (first < last && Math.abs(sound[first]) < edge) first++;
  while (last > first && Math.abs(sound[last]) < edge) last--;
  return sound.subarray(first, last + 1);
}

function normalised(sound, rateHz) {
  const size = rateHz / 50;
  const energies = [];
  for (let at = 0; at + size <= sound.length; at += size) {
    let energy = 0;
    for (let n = at; n < at + size; n++) energy += sound[n] ** 2;
    energies.push(energy / size);
  }
  energies.sort((a, b) => b - a);
  const loud = energies[Math.floor(energies.length / 10)] || 1;
  return sound.map((x) => x / Math.sqrt(loud));
}
