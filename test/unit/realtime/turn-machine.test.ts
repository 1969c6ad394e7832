import { describe, expect, it } from 'vitest';
import { type AskedFor, askedBy, NOTHING_ASKED } from '../../../src/realtime/caller-words.ts';
import { TurnMachine } from '../../../src/realtime/turn-machine.ts';
import { DEFAULT_TURN_OPTIONS, type TurnOptions } from '../../../src/realtime/turn-options.ts';
import type { TurnOutput } from '../../../src/realtime/turn-output.ts';

const FRAME_MS = 20;

/** Feeds a machine with frames and notes when it says what. Time and heard audio run together from 0. */
class Bench {
  now = 0;
  remainingMs = Number.POSITIVE_INFINITY;
  playedShare = 0;
  asked: AskedFor = NOTHING_ASKED;
  readonly said: [number, TurnOutput][] = [];
  readonly machine: TurnMachine;

  constructor(options: Partial<TurnOptions> = {}) {
    this.machine = new TurnMachine(
      { remainingMs: () => this.remainingMs, asked: () => this.asked, playedShare: () => this.playedShare },
      { ...DEFAULT_TURN_OPTIONS, ...options },
    );
    this.handle('turns_on');
  }

  handle(event: Parameters<TurnMachine['handle']>[0]): void {
    this.machine.handle(event, this.now);
    this.#drain();
  }

  voice(ms: number, levelDb = -22): this {
    return this.#frames(ms, true, levelDb);
  }

  silence(ms: number): this {
    return this.#frames(ms, false, -70);
  }

  concealed(ms: number, voiced = true): this {
    return this.#frames(ms, voiced, -22, true);
  }

  /** No voice, on a line whose noise is known; `lost`: made up for packets that never came. */
  unvoiced(ms: number, levelDb: number, floorDb: number, lost = false): this {
    return this.#frames(ms, false, levelDb, lost, floorDb);
  }

  /** The agent's last sentence, and how much of it was heard. */
  agentSaid(text: string, playedShare = 1): this {
    this.asked = askedBy(text);
    this.playedShare = playedShare;
    return this;
  }

  words(text: string): this {
    this.machine.handleWords(text, this.now);
    this.#drain();
    return this;
  }

  /** The agent has been speaking for so long, and for the first time in the call long ago. */
  agentSpeaks(ms = 2000): this {
    this.handle('audio_started');
    return this.silence(ms);
  }

  /** What was said since the last call, as [time, type]. */
  take(): [number, string][] {
    return this.said.splice(0).map(([at, output]) => [at, output.type]);
  }

  #frames(ms: number, voiced: boolean, levelDb: number, concealed = false, floorDb?: number): this {
    for (let at = 0; at < ms; at += FRAME_MS) {
      this.now += FRAME_MS;
      this.machine.handleTimeout(this.now);
      this.machine.handleFrame({ voiced, levelDb, concealed, heardMs: this.now, ...(floorDb !== undefined && { floorDb }) }, this.now);
      this.#drain();
    }
    return this;
  }

  #drain(): void {
    for (let output = this.machine.pollOutput(); output; output = this.machine.pollOutput()) this.said.push([this.now, output]);
  }
}

describe("the caller's turn", () => {
  it('begins after 60 ms of voice, and reaches 300 ms back', () => {
    const bench = new Bench();
    bench.silence(1000).voice(200);
    expect(bench.said).toEqual([[1060, { type: 'speech_started', startMs: 700 }]]);
    expect(bench.machine.state).toBe('user');
  });

  it('does not begin with a click of 40 ms, nor before the audio does', () => {
    const bench = new Bench();
    bench.voice(40).silence(500);
    expect(bench.said).toEqual([]);
    expect(new Bench().voice(100).said).toEqual([[60, { type: 'speech_started', startMs: 0 }]]);
  });

  it('ends when the silence outlasts the expected pause; 100 ms after the voice belong to it', () => {
    const bench = new Bench();
    bench.silence(1000).voice(1000).silence(1000);
    expect(bench.said[1]).toEqual([2500, { type: 'turn_committed', startMs: 700, endMs: 2100, speechEndedAt: 2000, continued: false }]);
    expect(bench.machine.state).toBe('waiting');
  });

  it('ends after a fixed silence when told so', () => {
    const bench = new Bench({ endOfTurn: { type: 'fixed', waitMs: 800 } });
    bench.voice(1000).silence(1000);
    expect(bench.take()).toEqual([
      [60, 'speech_started'],
      [1800, 'turn_committed'],
    ]);
  });

  it('goes on over a pause, which is learned', () => {
    const bench = new Bench();
    const before = bench.machine.waitMs;
    bench.voice(1000).silence(440).voice(600);
    expect(bench.take()).toEqual([[60, 'speech_started']]);
    expect(bench.machine.waitMs).toBeGreaterThan(before);
  });

  it('does not take a plosive for a pause', () => {
    const bench = new Bench();
    const before = bench.machine.waitMs;
    for (let n = 0; n < 10; n++) bench.voice(200).silence(140);
    expect(bench.machine.state).toBe('user');
    expect(bench.machine.waitMs).toBe(before);
  });

  it('is merged with what follows a commit that was too early, and the pause is learned', () => {
    const bench = new Bench();
    const before = bench.machine.waitMs;
    bench.silence(400).voice(1000).silence(900).voice(500).silence(700);
    expect(bench.said).toEqual([
      [460, { type: 'speech_started', startMs: 100 }],
      [1900, { type: 'turn_committed', startMs: 100, endMs: 1500, speechEndedAt: 1400, continued: false }],
      [2360, { type: 'cancel' }],
      [2360, { type: 'speech_started', startMs: 100 }],
      [3500, { type: 'turn_committed', startMs: 100, endMs: 2900, speechEndedAt: 2800, continued: true }],
    ]);
    expect(bench.machine.waitMs).toBeGreaterThan(before);
  });

  it('is a new one when the caller speaks again later, before the answer: the answer is cancelled', () => {
    const bench = new Bench();
    const before = bench.machine.waitMs;
    bench
      .voice(1000)
      .silence(500 + 1000)
      .voice(100);
    expect(bench.take()).toEqual([
      [60, 'speech_started'],
      [1500, 'turn_committed'],
      [2560, 'cancel'],
      [2560, 'speech_started'],
    ]);
    expect(bench.machine.waitMs).toBe(before);
  });

  it('is committed after a minute, whatever is heard', () => {
    const bench = new Bench();
    bench.voice(61_000);
    expect(bench.take().slice(0, 2)).toEqual([
      [60, 'speech_started'],
      [60_000, 'turn_committed'],
    ]);
  });

  it('is not begun, kept or ended by frames that were made up for lost ones', () => {
    const bench = new Bench();
    bench.concealed(400);
    expect(bench.take()).toEqual([]);
    bench.voice(100).concealed(200).silence(2000);
    expect(bench.take().map(([at]) => at)).toEqual([460, 700 + 500]);
  });

  it('ends in silence that the transport made up, even after a click', () => {
    const bench = new Bench();
    bench.voice(1000).silence(200).voice(20).concealed(2000, false);
    expect(bench.take().map(([, type]) => type)).toEqual(['speech_started', 'turn_committed']);
  });

  it('is discarded, and that is told, when a key takes its place', () => {
    const bench = new Bench();
    bench.voice(1000);
    bench.handle('key');
    expect(bench.said.at(-1)).toEqual([1000, { type: 'turn_discarded', startMs: 0, endMs: 1000 }]);
    expect(bench.machine.state).toBe('idle');
  });

  it('is answered by nothing when the model has nothing to say', () => {
    const bench = new Bench();
    bench.voice(1000).silence(500);
    bench.handle('nothing_to_say');
    expect(bench.machine.state).toBe('idle');
  });

  it('does not share its audio with the turn before', () => {
    const bench = new Bench();
    bench.voice(1000).silence(500);
    bench.handle('nothing_to_say');
    bench.voice(100);
    expect(bench.said.at(-1)).toEqual([1560, { type: 'speech_started', startMs: 1200 }]);
    bench.silence(500);
    bench.handle('nothing_to_say');
    bench.voice(100);
    // 300 ms back would be 1900: before that lies the turn that ended at 1700.
    expect(bench.said.at(-1)?.[1]).toEqual({ type: 'speech_started', startMs: 1800 });
  });
});

describe('a caller who speaks while the agent speaks', () => {
  it('makes it fall silent after 60 ms, without the model knowing', () => {
    const bench = new Bench();
    bench.agentSpeaks(2000).voice(100);
    expect(bench.said).toEqual([[2060, { type: 'hold', onsetAt: 2000 }]]);
    expect(bench.machine.mayPlay).toBe(false);
  });

  it('needs 100 ms in the first 600 ms of the first speech of a call, when the line is not known', () => {
    const bench = new Bench();
    bench.agentSpeaks(300).voice(400);
    expect(bench.take()).toEqual([[300 + 100, 'hold']]);
    const later = new Bench();
    later.agentSpeaks(300);
    later.handle('audio_ended');
    later.agentSpeaks(300).voice(400);
    expect(later.take()).toEqual([[660, 'hold']]);
  });

  it.each([
    ['begins with an "s": that speaks for the voice behind it', 80, -46, -62, false, 2120],
    ['begins after a click of 20 ms', 20, -46, -62, false, 2080],
    ['begins in the noise of the line', 80, -52, -62, false, 2140],
    ['begins in a room where others speak', 80, -29, -62, false, 2140],
    ['begins in a sound that has been there for long', 240, -46, -62, false, 2300],
    ['begins behind packets that were lost', 80, -46, -62, true, 2140],
  ] as const)('%s', (_, ms, levelDb, floorDb, lost, heldAt) => {
    const bench = new Bench();
    bench.agentSpeaks(2000).unvoiced(ms, levelDb, floorDb, lost).voice(100);
    expect(bench.take()).toEqual([[heldAt, 'hold']]);
  });

  it('only breathes: that is no voice, however long', () => {
    const bench = new Bench();
    bench.agentSpeaks(2000).unvoiced(1000, -46, -62).voice(20).unvoiced(1000, -46, -62);
    expect(bench.take()).toEqual([]);
  });

  it('begins a turn with an "s" while nobody speaks: 60 ms of voice, as ever', () => {
    const bench = new Bench();
    bench.silence(1000).unvoiced(80, -46, -62).voice(100);
    expect(bench.take()).toEqual([[1140, 'speech_started']]);
  });

  it('interrupts after 800 ms, and the turn began with the first syllable', () => {
    const bench = new Bench();
    bench.agentSpeaks(2000).voice(2000);
    expect(bench.said).toEqual([
      [2060, { type: 'hold', onsetAt: 2000 }],
      [2800, { type: 'interrupt', by: 'voice' }],
      [2800, { type: 'speech_started', startMs: 1700 }],
    ]);
    bench.silence(600);
    expect(bench.said.at(-1)?.[1]).toMatchObject({ type: 'turn_committed', startMs: 1700, endMs: 4100 });
  });

  it('only says "uh-huh": the agent goes on as soon as it has been away for 600 ms and heard nothing for 200', () => {
    const bench = new Bench();
    bench.agentSpeaks(2000).voice(440).silence(1000);
    expect(bench.said).toEqual([
      [2060, { type: 'hold', onsetAt: 2000 }],
      [2660, { type: 'resume', fromStart: false, why: 'short' }],
    ]);
    expect(bench.machine.state).toBe('agent');
  });

  it('murmurs for long: 100 ms without a breath are enough then', () => {
    const bench = new Bench();
    bench.agentSpeaks(2000).voice(700).unvoiced(1000, -60, -62);
    expect(bench.take()).toEqual([
      [2060, 'hold'],
      [2800, 'resume'],
    ]);
    const brief = new Bench();
    brief.agentSpeaks(2000).voice(300).unvoiced(1000, -60, -62);
    expect(brief.take()).toEqual([
      [2060, 'hold'],
      [2660, 'resume'],
    ]);
  });

  it.each([
    ['there is a soft consonant', -48, -62, false],
    ['the line is noisy, and nobody knows what is in the noise', -44, -45, false],
    ['the packets were lost', -70, -65, true],
  ] as const)('pauses for 180 ms in a sentence, and %s: the agent does not go on', (_, levelDb, floorDb, lost) => {
    const bench = new Bench();
    bench.agentSpeaks(2000).voice(560).unvoiced(180, levelDb, floorDb, lost).voice(600);
    expect(bench.take().map(([, type]) => type)).toEqual(['hold', 'interrupt', 'speech_started']);
    const over = new Bench();
    over.agentSpeaks(2000).voice(560).unvoiced(400, levelDb, floorDb, lost);
    expect(over.take()).toEqual([
      [2060, 'hold'],
      [2760, 'resume'],
    ]);
  });

  it('coughs twice within three seconds: then it is meant', () => {
    const bench = new Bench();
    bench.agentSpeaks(2000).voice(300).silence(1500).voice(300).silence(1500);
    expect(bench.take().map(([, type]) => type)).toEqual(['hold', 'resume', 'hold', 'interrupt', 'speech_started', 'turn_committed']);
  });

  it('coughs twice in a minute: nothing but two holds', () => {
    const bench = new Bench();
    bench.agentSpeaks(2000).voice(300).silence(30_000).voice(300).silence(1500);
    expect(bench.take().map(([, type]) => type)).toEqual(['hold', 'resume', 'hold', 'resume']);
  });

  it('coughs after our own echo has held us: that is the first sound of a person, and not the second', () => {
    const bench = new Bench();
    bench.agentSpeaks(2000).voice(260, -33).silence(800).voice(300).silence(1500);
    expect(bench.said.map(([, output]) => (output.type === 'resume' ? output.why : output.type))).toEqual([
      'hold',
      'echo',
      'hold',
      'short',
    ]);
    bench.voice(300).silence(1500);
    expect(bench.take().map(([, type]) => type)).toContain('interrupt');
    // In later speeches the line is known, and what was taken for its echo was likelier a word.
    const later = new Bench();
    later.agentSpeaks(2000);
    later.handle('audio_ended');
    later.agentSpeaks(2000).voice(260, -33).silence(800).voice(300).silence(1500);
    expect(later.take().map(([, type]) => type)).toContain('interrupt');
  });

  it('coughs: the agent goes on after 350 ms of silence', () => {
    const bench = new Bench();
    bench.agentSpeaks(2000).voice(100).silence(1000);
    expect(bench.take()).toEqual([
      [2060, 'hold'],
      [2460, 'resume'],
    ]);
  });

  it('answers while the last words are said: that is a turn', () => {
    const bench = new Bench();
    bench.agentSpeaks(2000);
    bench.remainingMs = 500;
    bench.voice(400).silence(600);
    expect(bench.take()).toEqual([
      [2060, 'hold'],
      [2660, 'interrupt'],
      [2660, 'speech_started'],
      [2900, 'turn_committed'],
    ]);
  });

  it('collides with our first syllable: a short sound makes us begin again, a longer one has the floor', () => {
    const short = new Bench();
    short.agentSpeaks(40).voice(200).silence(1000);
    expect(short.said.map(([, output]) => output)).toEqual([
      { type: 'hold', onsetAt: 40 },
      { type: 'resume', fromStart: true, why: 'short' },
    ]);
    const long = new Bench();
    long.agentSpeaks(40).voice(500).silence(1000);
    expect(long.take().map(([, type]) => type)).toEqual(['hold', 'interrupt', 'speech_started', 'turn_committed']);
  });

  it('makes scattered sounds for two seconds without a verdict: the agent goes on', () => {
    const bench = new Bench();
    bench.agentSpeaks(2000).voice(60);
    for (let n = 0; n < 12; n++) bench.silence(180).voice(20);
    expect(bench.take()).toEqual([
      [2060, 'hold'],
      [4060, 'resume'],
    ]);
  });

  it('is not the television: what is 13 dB quieter than this caller does not interrupt', () => {
    const bench = new Bench();
    bench.voice(1000, -20).silence(500);
    bench.take();
    bench.agentSpeaks(2000).voice(2000, -34);
    expect(bench.take()).toEqual([]);
    bench.voice(100, -32);
    expect(bench.take()).toEqual([[5560, 'hold']]);
  });

  it('may be our own echo: what ends when we do, and is quiet, holds us once and not again', () => {
    const bench = new Bench();
    bench.agentSpeaks(2000).voice(260, -33).silence(1000).voice(260, -33).silence(1000);
    expect(bench.take().map(([, type]) => type)).toEqual(['hold', 'resume']);
    bench.voice(900, -24);
    expect(bench.take().map(([, type]) => type)).toEqual(['hold', 'interrupt', 'speech_started']);
  });

  it('coughs more softly than it speaks, and is heard all the same when it speaks', () => {
    const bench = new Bench();
    bench.voice(1000, -20).silence(500);
    bench.take();
    bench.agentSpeaks(2000).voice(200, -27).silence(1000).voice(900, -26);
    // Softer than 9 dB below its loud frames it could be our echo.
    expect(bench.take()).toEqual([
      [3560, 'hold'],
      [4060, 'resume'],
      [4760, 'hold'],
      [5500, 'interrupt'],
      [5500, 'speech_started'],
    ]);
  });

  it('may be our own echo over our first syllable: we begin again, and then it does not hold us', () => {
    const bench = new Bench();
    bench.agentSpeaks(180).voice(360, -33).silence(400).voice(1000, -33);
    expect(bench.said.map(([, output]) => output)).toEqual([
      { type: 'hold', onsetAt: 180 },
      { type: 'resume', fromStart: true, why: 'echo' },
    ]);
  });

  it('may be our own echo after we have ended, for 600 ms', () => {
    const bench = new Bench();
    bench.agentSpeaks(2000);
    bench.handle('audio_ended');
    bench.voice(600, -50).silence(200);
    expect(bench.take()).toEqual([]);
    bench.voice(300, -50);
    expect(bench.take()).toEqual([[2860, 'speech_started']]);
  });

  it('presses a key: we stop at once', () => {
    const bench = new Bench();
    bench.agentSpeaks(2000);
    bench.handle('key');
    expect(bench.said).toEqual([[2000, { type: 'interrupt', by: 'key' }]]);
    expect(bench.machine.state).toBe('idle');
  });

  it('teaches no pause by it', () => {
    const bench = new Bench();
    const before = bench.machine.waitMs;
    bench.voice(1000).silence(500);
    bench.agentSpeaks(400).voice(440).silence(1000); // a backchannel in the answer is no long pause of the caller
    bench.handle('audio_ended');
    bench.voice(1000).silence(2000);
    expect(bench.machine.waitMs).toBe(before);
  });

  it('is answered after noise before the reply, too', () => {
    const bench = new Bench();
    bench.voice(1000).silence(500).voice(40).silence(200).voice(80).silence(700);
    expect(bench.take().map(([, type]) => type)).toEqual([
      'speech_started',
      'turn_committed',
      'cancel',
      'speech_started',
      'turn_committed',
    ]);
  });

  it('is heard when the agent has fallen silent in the middle of its answer', () => {
    const bench = new Bench();
    bench.agentSpeaks(2000);
    bench.handle('audio_stalled');
    bench.voice(400).silence(1000);
    expect(bench.take().map(([, type]) => type)).toEqual(['cancel', 'speech_started', 'turn_committed']);
  });
});

describe('turn detection', () => {
  it('hears nothing while it is off', () => {
    const bench = new Bench();
    bench.handle('turns_off');
    bench.voice(2000).silence(2000);
    expect(bench.said).toEqual([]);
    expect(bench.machine.mayPlay).toBe(true);
  });

  it('lets go of a hold when it is switched off or the model is lost', () => {
    for (const event of ['turns_off', 'model_lost'] as const) {
      const bench = new Bench();
      bench.agentSpeaks(2000).voice(100);
      bench.handle(event);
      expect(bench.take().at(-1)?.[1]).toBe('resume');
      expect(bench.machine.mayPlay).toBe(true);
    }
  });
});
