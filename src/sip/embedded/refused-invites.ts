import { sourceOf } from '../../base/addresses.ts';
import type { Clock } from '../../base/clock.ts';
import type { RuleTried } from '../../base/rule-tried.ts';
import type { RefusedInvite, SipSource } from '../engine.ts';
import type { IncomingRequest, ReplyHead } from './incoming-request.ts';
import { parseMessage } from './message.ts';
import { parseNameAddress } from './name-address.ts';
import type { SipMetrics } from './sip-metrics.ts';
import { decodeText } from './text.ts';

/** What a full gateway refuses in a second of a busy hour; beyond it only the count goes on. */
const PER_SECOND = 10;
const BURST = 100;

/** Call-IDs whose refusal was told lately: their repeats, with which a stateless refusal is answered again, are the same call. */
const REMEMBERED = 1000;

/** Of a source that sends faster than it may one INVITE in this time is told. */
const RATE_TOLD_MS = 60_000;
const RATE_SOURCES = 256;

/** No address is longer; a forged one must not fill a record. */
const MAX_TEXT = 256;

/** 401: a challenge, which its call answers. 422: its call comes again with what it asks for. 482: the call itself is here already. */
const NO_END: readonly number[] = [401, 422, 482];

/** The INVITEs that the engine refuses without asking anybody, for their records. However many come, a bounded number is told. */
export class RefusedInvites {
  readonly #clock: Clock;
  readonly #metrics: SipMetrics;
  readonly #tell: (refused: RefusedInvite) => void;
  readonly #told = new Set<string>();
  readonly #limited = new Map<string, number>();
  #tokens = BURST;
  #filledAt = 0;

  constructor(deps: { readonly clock: Clock; readonly metrics: SipMetrics }, tell: (refused: RefusedInvite) => void) {
    this.#clock = deps.clock;
    this.#metrics = deps.metrics;
    this.#tell = tell;
  }

  /** One that was read. @param final whatever its status: this refusal is the end of it */
  refused({ callId, from, message, source }: IncomingRequest, { status, reason, tried }: Why, final = !NO_END.includes(status)): void {
    if (final) this.#note(callId, from.uri, message.uri, source, { status, reason, ...(tried ? { tried } : {}) });
  }

  /** One that could not be read to its end; without a Call-ID it is nobody's call. */
  malformed({ callId, from }: ReplyHead, uri: string, source: SipSource, why: Why): void {
    if (callId !== '') this.#note(callId, parseNameAddress(from)?.uri ?? '', uri, source, why);
  }

  /** A datagram that was dropped, whatever it says. It is not read, but for one INVITE of a source in a minute. */
  unread(datagram: Buffer, source: SipSource, why: string): void {
    if (datagram.toString('latin1', 0, 7) !== 'INVITE ') return;
    const now = this.#clock.now();
    const key = sourceOf(source.address);
    const until = this.#limited.get(key);
    if (until !== undefined && now < until) return;
    const message = parseMessage(datagram);
    if (message?.type !== 'request' || /;[ \t]*tag[ \t]*=/i.test(message.headers.first('to') ?? '')) return;
    this.#limited.delete(key);
    if (this.#limited.size >= RATE_SOURCES) this.#limited.delete(this.#limited.keys().next().value ?? '');
    this.#limited.set(key, now + RATE_TOLD_MS);
    const { headers, uri } = message;
    const from = parseNameAddress(headers.first('from') ?? '')?.uri ?? '';
    this.#note(headers.first('call-id') ?? '', from, uri, source, { status: 0, reason: `dropped: ${why}` });
  }

  #note(callId: string, from: string, uri: string, source: SipSource, why: Why): void {
    if (this.#told.has(callId)) return;
    const now = this.#clock.now();
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#filledAt) / 1000) * PER_SECOND);
    this.#filledAt = now;
    if (this.#tokens < 1) {
      this.#metrics.refusalUntold();
      return;
    }
    this.#tokens -= 1;
    if (this.#told.size >= REMEMBERED) this.#told.delete(this.#told.keys().next().value ?? '');
    this.#told.add(callId);
    const text = (wire: string): string => decodeText(wire).slice(0, MAX_TEXT);
    this.#tell({ sipCallId: text(callId), from: text(from), requestUri: text(uri), source, ...why });
  }
}

interface Why {
  readonly status: number;
  readonly reason: string;
  readonly tried?: readonly RuleTried[];
}
