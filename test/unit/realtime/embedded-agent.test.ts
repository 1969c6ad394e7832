import { describe, expect, it } from 'vitest';
import { createLog } from '../../../src/base/log.ts';
import type { EndCause } from '../../../src/leg/leg.ts';
import { EmbeddedAgent } from '../../../src/realtime/embedded/agent.ts';
import { loadPrompts } from '../../../src/realtime/embedded/prompts.ts';
import { loadVoiceDetectors } from '../../../src/realtime/fvad-detector.ts';
import { Session } from '../../../src/realtime/session.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { speech } from '../../support/speech.ts';
import { concat, findTone, isSilent, rms, silence, soundOnset, toneRuns } from '../../support/tones.ts';

const RATE = 24_000;
const SAMPLES_PER_MS = 24;
const prompts = await loadPrompts();
const createVoiceDetector = await loadVoiceDetectors();

/** A call in memory: plays `uplink` frame by frame, records what comes down, 20 ms at a time. */
class Call {
  readonly clock = new FakeClock(1000);
  readonly down: Int16Array[] = [];
  readonly commands: [string, string?][] = [];
  readonly ends: EndCause[] = [];
  readonly session: Session;

  constructor() {
    this.session = new Session({ clock: this.clock, log: createLog('silent'), model: new EmbeddedAgent({ prompts }), createVoiceDetector });
    this.session.onEnded = (cause) => this.ends.push(cause);
    this.session.attach({
      answer: () => this.commands.push(['answer']),
      reject: (cause) => this.commands.push(['reject', cause]),
      hangup: (cause) => this.commands.push(['hangup', cause]),
      report: () => this.commands.push(['report']),
    });
    this.session.start();
    this.session.handleLegEvent({ type: 'answered' });
  }

  get nowMs(): number {
    return this.down.length * 20;
  }

  get heard(): Int16Array {
    return concat(...this.down);
  }

  press(digit: string): void {
    this.session.handleLegEvent({ type: 'dtmf', digit, durationMs: 100 });
  }

  /** The caller says this; meanwhile the line goes both ways, and may bring back some of what we say. */
  say(pcm: Int16Array, echo?: { gain: number; delayMs: number }): void {
    for (let at = 0; at < pcm.length; at += 480) {
      const back = echo && this.down[this.down.length - echo.delayMs / 20];
      const frame = Int16Array.from({ length: 480 }, (_, n) => (pcm[at + n] ?? 0) + (back ? (back[n] as number) * echo.gain : 0));
      this.session.handleUplink(frame, { concealed: false }, this.clock.now());
      const out = new Int16Array(480);
      this.session.pullDownlink(out, this.clock.now());
      this.down.push(out);
      this.clock.advance(20);
    }
  }

  wait(ms: number): void {
    this.say(silence(ms, RATE));
  }

  waitUntilIdle(): void {
    this.wait(20);
    for (let n = 0; n < 200 && this.session.snapshot().state !== 'idle'; n++) this.wait(100);
    this.wait(400);
  }
}

const phrase = speech(1500, { rateHz: RATE, seed: 7, peak: 9000 });

/** Where `part` lies in `whole`, in milliseconds, and how alike they are there (normalised correlation of every 29th sample). */
function find(whole: Int16Array, part: Int16Array, fromMs: number): { atMs: number; likeness: number } {
  const picked: number[] = [];
  for (let n = 0; n < part.length; n += 29) picked.push(n);
  const partEnergy = picked.reduce((sum, n) => sum + (part[n] as number) ** 2, 0);
  let best = { atMs: 0, likeness: 0 };
  for (let at = fromMs * SAMPLES_PER_MS; at + part.length <= whole.length; at += 6) {
    let dot = 0;
    let energy = 1;
    for (const n of picked) {
      const sample = whole[at + n] as number;
      dot += (part[n] as number) * sample;
      energy += sample * sample;
    }
    const likeness = dot / Math.sqrt(partEnergy * energy);
    if (likeness > best.likeness) best = { atMs: at / SAMPLES_PER_MS, likeness };
  }
  return best;
}

describe('a call with the embedded agent', () => {
  it('is taken at once, and the greeting begins with the first frame', () => {
    const call = new Call();
    expect(call.commands).toEqual([['answer']]);
    call.wait(20);
    expect(rms(call.heard)).toBeGreaterThan(0);
    call.wait(7000);
    expect(soundOnset(call.heard, { rateHz: RATE })).toBeLessThan(60);
    expect(find(call.heard, prompts.hello.subarray(0, RATE), 0)).toMatchObject({ atMs: 0 });
  });

  it('hears the caller and says it back', () => {
    const call = new Call();
    call.waitUntilIdle();
    const saidAt = call.nowMs;
    call.say(phrase);
    call.wait(4000);
    const middle = phrase.subarray(300 * SAMPLES_PER_MS, 1200 * SAMPLES_PER_MS);
    const { atMs, likeness } = find(call.heard, middle, saidAt);
    expect(likeness).toBeGreaterThan(0.95);
    // The end of the turn is decided within the wait of an unknown caller (495 ms), and what is said comes at once.
    const answerDelay = atMs - 300 - (saidAt + 1500);
    expect(answerDelay).toBeGreaterThan(400);
    expect(answerDelay).toBeLessThan(650);
    const { turns, bargeIns, responseLatencyMs } = call.session.snapshot();
    expect({ turns, bargeIns }).toEqual({ turns: 1, bargeIns: 0 });
    expect(responseLatencyMs.median).toBeLessThan(600);
  });

  it('falls silent within 200 ms when the caller speaks over the greeting, and says the interruption back', () => {
    const call = new Call();
    call.wait(2000);
    const onset = call.nowMs;
    call.say(phrase);
    const heard = call.heard;
    expect(rms(heard, { rateHz: RATE, fromMs: onset - 500, toMs: onset })).toBeGreaterThan(500);
    expect(isSilent(heard, { rateHz: RATE, fromMs: onset + 200, toMs: onset + 1500 }, 1)).toBe(true);
    call.wait(3000);
    expect(find(call.heard, phrase.subarray(300 * SAMPLES_PER_MS, 1200 * SAMPLES_PER_MS), onset + 1400).likeness).toBeGreaterThan(0.95);
    const { bargeIns, items } = call.session.snapshot();
    expect(bargeIns).toBe(1);
    // What the ledger says of the greeting is what was heard of it: up to the middle of the fade.
    const sentMs = items[0]?.sentMs ?? 0;
    const heardUntil = soundEnd(heard.subarray(0, (onset + 300) * SAMPLES_PER_MS));
    expect(Math.abs(sentMs - heardUntil)).toBeLessThanOrEqual(20);
  });

  it('goes on with the greeting after a cough', () => {
    const call = new Call();
    call.wait(2000);
    call.say(speech(200, { rateHz: RATE, seed: 3 }));
    call.wait(12_000);
    expect(call.session.snapshot()).toMatchObject({ bargeIns: 0, rejectedBargeIns: 1, turns: 0 });
    const end = prompts.menu.subarray(prompts.menu.length - RATE);
    expect(find(call.heard, end, 9000).likeness).toBeGreaterThan(0.99);
  });

  it.each([
    { db: -30, delayMs: 60 },
    { db: -20, delayMs: 20 },
    { db: -20, delayMs: 180 },
    { db: -15, delayMs: 180 },
    { db: -15, delayMs: 240 },
  ])('is greeted to the end on a line that brings $db dB of the greeting back after $delayMs ms', ({ db, delayMs }) => {
    const call = new Call();
    const echo = { gain: 10 ** (db / 20), delayMs };
    call.say(silence(18_000, RATE), echo);
    expect(call.session.snapshot()).toMatchObject({ turns: 0, bargeIns: 0, state: 'idle' });
    expect(call.session.snapshot().items[0]?.sentMs).toBeGreaterThan(12_000);
    call.say(concat(phrase, silence(6000, RATE)), echo);
    expect(call.session.snapshot().turns).toBe(1);
  });

  it('plays 1004 Hz for ten seconds on key 3, and is a parrot again after it', () => {
    const call = new Call();
    call.wait(1000);
    call.press('3');
    const pressedAt = call.nowMs;
    call.wait(11_000);
    const runs = toneRuns(call.heard, 1004, { rateHz: RATE, fromMs: pressedAt });
    expect(runs).toHaveLength(1);
    expect((runs[0]?.toMs ?? 0) - (runs[0]?.fromMs ?? 0)).toBeGreaterThan(9950);
    expect(findTone(call.heard, 1004, { rateHz: RATE, fromMs: pressedAt + 100, toMs: pressedAt + 9900 }).share).toBeGreaterThan(0.99);
    expect(call.session.snapshot().state).toBe('idle');
    call.say(phrase);
    call.wait(3000);
    expect(call.session.snapshot().turns).toBe(1);
  });

  it('gives the caller an echo with a small, steady delay on key 2, without turns', () => {
    const call = new Call();
    call.press('2');
    call.wait(2500);
    const saidAt = call.nowMs;
    call.say(phrase);
    call.wait(500);
    const { atMs, likeness } = find(call.heard, phrase, saidAt);
    expect(likeness).toBeGreaterThan(0.99);
    expect(atMs - saidAt).toBeLessThanOrEqual(60);
    expect(call.session.snapshot()).toMatchObject({ turns: 0, bargeIns: 0 });
    call.press('1');
    call.waitUntilIdle();
    call.say(phrase);
    call.wait(3000);
    expect(call.session.snapshot().turns).toBe(1);
  });

  it('says goodbye to the end on #, then hangs up', () => {
    const call = new Call();
    call.wait(500);
    call.press('#');
    const pressedAt = call.nowMs;
    call.say(phrase); // nobody interrupts a goodbye
    expect(find(call.heard, prompts.goodbye, pressedAt).likeness).toBeGreaterThan(0.99);
    expect(call.commands).toEqual([['answer'], ['hangup', 'agent_hangup']]);
    expect(call.ends).toEqual(['agent_hangup']);
  });

  it('says its menu for any other key', () => {
    const call = new Call();
    call.wait(500);
    call.press('7');
    const pressedAt = call.nowMs;
    call.wait(6000);
    expect(find(call.heard, prompts.menu.subarray(0, RATE), pressedAt).atMs - pressedAt).toBeLessThanOrEqual(40);
  });

  it('gives silence once the call is over', () => {
    const call = new Call();
    call.wait(500);
    call.session.handleLegEvent({ type: 'ended', cause: 'remote_hangup' });
    const from = call.nowMs;
    call.wait(200);
    expect(isSilent(call.heard, { rateHz: RATE, fromMs: from }, 1)).toBe(true);
    expect(call.ends).toEqual(['remote_hangup']);
    expect(call.commands).toEqual([['answer']]);
  });
});

function soundEnd(samples: Int16Array): number {
  let last = samples.length - 1;
  while (last > 0 && Math.abs(samples[last] as number) < 30) last -= 1;
  return last / SAMPLES_PER_MS;
}
