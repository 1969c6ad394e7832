// Renders prompts/texts.json to prompts/*.ul (G.711 µ-law code, mono, 24 kHz; what is heard seldom at 12 kHz, to be small) with espeak-ng and sox, and notes in
// prompts/rendered.json what was rendered from what. Run it after a change of a text; its output is committed.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const directory = fileURLToPath(new URL('../prompts/', import.meta.url));
const {
  voice,
  wordsPerMinute,
  rateHz: wideRateHz,
  narrowRateHz,
  narrow,
  prompts,
} = JSON.parse(readFileSync(join(directory, 'texts.json'), 'utf8'));
const sha256 = (data) => createHash('sha256').update(data).digest('hex');

const rendered = {};
for (const [name, text] of Object.entries(prompts)) {
  const rateHz = narrow.includes(name) ? narrowRateHz : wideRateHz;
  const wav = join(tmpdir(), `ringdown-prompt-${process.pid}.wav`);
  execFileSync('espeak-ng', ['-v', voice, '-s', String(wordsPerMinute), '-w', wav, text]);
  // Silence goes from both ends, so that the first packet of a greeting carries sound; -D: no dither, the same bytes each time.
  const trim = ['silence', '1', '0.005', '0.5%', 'reverse', 'silence', '1', '0.005', '0.5%', 'reverse'];
  const format = ['-r', String(rateHz), '-c', '1', '-e', 'u-law', '-b', '8', '-t', 'ul', '-'];
  const audio = execFileSync('sox', ['-D', wav, ...format, 'gain', '-n', '-3', ...trim, 'pad', '0', '0.05'], { maxBuffer: 1 << 24 });
  execFileSync('rm', ['-f', wav]);
  writeFileSync(join(directory, `${name}.ul`), audio);
  rendered[name] = {
    text: sha256(JSON.stringify([voice, wordsPerMinute, rateHz, text])),
    audio: sha256(audio),
    durationMs: Math.round((audio.length * 1000) / rateHz),
  };
  console.log(`${name}.ul ${audio.length} bytes`);
}
writeFileSync(join(directory, 'rendered.json'), `${JSON.stringify(rendered, null, 2)}\n`);
