import { GatewayError } from '../base/errors.ts';
import type { CallMedia, CallMediaEvents, MediaHost } from '../bridge/call-media.ts';
import type { InnerVoice } from '../bridge/inner-voice.ts';
import { commandedLeg } from '../leg/commanded-leg.ts';
import type { Leg } from '../leg/leg.ts';
import type { LegCommand } from '../leg/messages.ts';
import { type CallNews, type CallOrder, MAX_REASON } from './messages.ts';

/** So old are the figures at most that the record of a call has when its worker dies. */
const TELL_EVERY_MS = 5000;

/** On one beat: a quarter of a thousand calls get round in time, and the beat stays short. */
const TOLD_AT_ONCE = 16;

interface ServedCall {
  media: CallMedia | undefined;
  /** Set when the front ended the call while its ports were being opened. */
  ended: boolean;
  /** Clock.now milliseconds; when the front was told last what was measured. */
  toldAt: number;
}

/** The calls that a worker carries: its end of the pipe. What the front says of a call it does not know is late, and ignored. */
export class ServedCalls {
  readonly #host: MediaHost;
  readonly #send: (news: CallNews) => void;
  readonly #calls = new Map<number, ServedCall>();

  /** @param host carries the media in this process */
  constructor(host: MediaHost, send: (news: CallNews) => void) {
    this.#host = host;
    this.#send = send;
  }

  get size(): number {
    return this.#calls.size;
  }

  handle(order: CallOrder): void {
    const { call } = order;
    if (order.type === 'open') {
      void this.#open(call, order.voice);
      return;
    }
    const entry = this.#calls.get(call);
    if (!entry) return;
    const { media } = entry;
    switch (order.type) {
      case 'connect':
        if (media) void this.#connect(call, media, order);
        return;
      case 'acknowledged':
        media?.start();
        return;
      case 'renegotiate':
        media?.renegotiate(order.audio);
        return;
      case 'tell':
        if (order.event.type !== 'answered') media?.tell(order.event);
        return;
      case 'keys':
        media?.sendKeys(order.digits);
        return;
      case 'end':
        entry.ended = true;
        if (media) this.#end(call, media, order.cause, order.status);
        return;
    }
  }

  /** Tells the front what has been measured so far, of each call every five seconds; call it on every beat. */
  tellFigures(now: number): void {
    let told = 0;
    for (const [call, entry] of this.#calls) {
      if (told === TOLD_AT_ONCE) return;
      const figures = now - entry.toldAt < TELL_EVERY_MS ? undefined : entry.media?.snapshot();
      if (!figures) continue;
      told += 1;
      entry.toldAt = now;
      this.#send({ type: 'figures', call, figures, last: false });
    }
  }

  async #open(call: number, voice: InnerVoice): Promise<void> {
    if (this.#calls.has(call)) return;
    const entry: ServedCall = { media: undefined, ended: false, toldAt: Number.NEGATIVE_INFINITY };
    this.#calls.set(call, entry);
    try {
      const media = await this.#host.open(voice, this.#events(call, entry));
      entry.media = media;
      if (entry.ended) this.#end(call, media, 'cancelled');
      else this.#send({ type: 'ports', call, rtpPort: media.rtpPort, rtcpPort: media.rtcpPort, fingerprint: media.fingerprint });
    } catch (thrown) {
      this.#failed(call, thrown);
      this.#calls.delete(call);
      this.#send({ type: 'closed', call });
    }
  }

  async #connect(call: number, media: CallMedia, order: Extract<CallOrder, { type: 'connect' }>): Promise<void> {
    try {
      await media.connect(order);
      this.#send({ type: 'connecting', call });
    } catch (thrown) {
      // The front ends the call, and that frees what is open.
      this.#failed(call, thrown);
    }
  }

  /** The figures go first: the call's record is written when the session's report is in. */
  #end(call: number, media: CallMedia, ...how: Parameters<CallMedia['end']>): void {
    this.#tellLastFigures(call, media);
    media.end(...how);
    this.#calls.delete(call);
    this.#send({ type: 'closed', call });
  }

  #failed(call: number, thrown: unknown): void {
    const { code, message } = GatewayError.from(thrown);
    this.#send({ type: 'failed', call, code, message: message.slice(0, MAX_REASON) });
  }

  #tellLastFigures(call: number, media: CallMedia | undefined): void {
    const figures = media?.snapshot();
    if (figures) this.#send({ type: 'figures', call, figures, last: true });
  }

  #events(call: number, entry: ServedCall): CallMediaEvents {
    return {
      leg: this.#leg(call, entry),
      onOpened: (sessionId) => this.#send({ type: 'opened', call, sessionId }),
      onConnected: () => this.#send({ type: 'connected', call }),
      onLost: (reason) => this.#send({ type: 'lost', call, reason: reason.slice(0, MAX_REASON) as typeof reason }),
      onKey: () => this.#send({ type: 'key', call }),
      onTimeout: () => this.#send({ type: 'timeout', call }),
      onFirstAudio: () => this.#send({ type: 'first_audio', call }),
    };
  }

  #leg(call: number, entry: ServedCall): Leg {
    const command = (each: LegCommand): void => this.#send({ type: 'command', call, command: each });
    return {
      ...commandedLeg(command),
      report: (summary) => {
        // A session that ends by itself reports before the front has heard of it.
        if (!entry.ended) this.#tellLastFigures(call, entry.media);
        command({ type: 'report', summary });
      },
    };
  }
}
