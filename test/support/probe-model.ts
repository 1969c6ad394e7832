import type { ModelConnection, ModelEvent, RealtimeModel } from '../../src/realtime/model.ts';
import { concat } from './tones.ts';

/** The newest minute of a conversation is enough for any test. */
const MOST_FRAMES = 3000;

/** 20 ms of what the model heard (24 kHz), and when (performance.now() ms). */
export interface HeardFrame {
  readonly pcm: Int16Array;
  readonly at: number;
}

/** A model's side of one conversation: what it heard, and a mouth. Turns are off, so that nobody interrupts it. */
export class ProbeConversation implements ModelConnection {
  readonly #emit: (event: ModelEvent) => void;
  readonly #frames: HeardFrame[] = [];
  #responses = 0;
  readonly keys: string[] = [];
  started = false;
  closed = false;
  /** Called with the time of each frame (performance.now() ms). */
  onFrame: ((at: number) => void) | undefined;

  constructor(emit: (event: ModelEvent) => void) {
    this.#emit = emit;
  }

  appendAudio(pcm: Int16Array): void {
    const at = performance.now();
    this.#frames.push({ pcm: pcm.slice(), at });
    this.onFrame?.(at);
    if (this.#frames.length > MOST_FRAMES) this.#frames.shift();
  }

  /** The last `lastMs` it heard (24 kHz), or all of it. */
  heard(lastMs = MOST_FRAMES * 20): Int16Array {
    return concat(...this.#frames.slice(-Math.round(lastMs / 20)).map(({ pcm }) => pcm));
  }

  /** The same, frame by frame, with the time of each. */
  get frames(): readonly HeardFrame[] {
    return this.#frames;
  }

  forget(): void {
    this.#frames.length = 0;
  }

  /** Says this (24 kHz) after what it said before. */
  say(pcm: Int16Array): void {
    this.#responses += 1;
    const responseId = `probe_${this.#responses}`;
    this.#emit({ type: 'response_started', responseId });
    this.#emit({ type: 'audio', responseId, itemId: `item_${responseId}`, pcm });
    this.#emit({ type: 'response_done', responseId, status: 'completed' });
  }

  hangup(): void {
    this.#emit({ type: 'hangup' });
  }

  start(): void {
    this.started = true;
    this.#emit({ type: 'turn_detection', enabled: false });
  }

  dtmf(digit: string): void {
    this.keys.push(digit);
  }

  close(): void {
    this.closed = true;
  }

  speechStarted(): void {}
  commitTurn(): void {}
  cancelResponse(): void {}
  truncate(): void {}
}

/** Stands where a voice model stands, for tests that want to hear what it hears. */
export class ProbeModel implements RealtimeModel {
  readonly name = 'probe';
  readonly conversations: ProbeConversation[] = [];

  connect(onEvent: (event: ModelEvent) => void): ModelConnection {
    const conversation = new ProbeConversation(onEvent);
    this.conversations.push(conversation);
    return conversation;
  }

  /** The newest conversation. @throws Error when there is none */
  get last(): ProbeConversation {
    const last = this.conversations.at(-1);
    if (!last) throw new Error('nobody talks to the model');
    return last;
  }
}
