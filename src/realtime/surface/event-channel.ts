import { randomText } from '../../base/ids.ts';
import type { EventChannel } from '../../leg/session-host.ts';
import type { Fault } from './fault.ts';

/** Events a second that a client may send for long, and how many at once. Audio counts a tenth: a file may be pushed in pieces of 20 ms. */
const EVENTS_A_SECOND = 200;
const MOST_AT_ONCE = 1000;
const AUDIO_COST = 0.1;

/** Who goes on like that is not told any more, but sent away. */
const MOST_REFUSED = 5000;

/** One error about too many events a second is enough. */
const REFUSAL_EVERY_MS = 1000;

/** Policy violation: the client does not read, or does not stop (RFC 6455 §7.4.1). */
const POLICY_VIOLATION = 1008;

/** A client's connection, with its limits both ways. */
export class Channel {
  readonly ephemeral: boolean;
  readonly #channel: EventChannel;
  readonly #onClosed: (channel: Channel) => void;
  #tokens = MOST_AT_ONCE;
  #filledAt: number;
  #refused = 0;
  #refusedAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(
    channel: EventChannel,
    options: { readonly ephemeral: boolean; readonly now: number; readonly onClosed: (channel: Channel) => void },
  ) {
    this.#channel = channel;
    this.ephemeral = options.ephemeral;
    this.#filledAt = options.now;
    this.#onClosed = options.onClosed;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** A client that does not read what it is sent is cut off, and nobody else waits for it. */
  send(event: string): void {
    if (this.#closed) return;
    if (!this.#channel.send(event)) this.close(POLICY_VIOLATION, 'too slow');
  }

  fault(fault: Fault, eventId?: string): void {
    this.send(errorEvent(fault, eventId));
  }

  /** May one more event be handled? `text`: the event, not parsed yet. */
  admit(text: string, now: number): boolean {
    this.#tokens = Math.min(MOST_AT_ONCE, this.#tokens + ((now - this.#filledAt) * EVENTS_A_SECOND) / 1000);
    this.#filledAt = now;
    const cost = text.includes('input_audio_buffer.append') ? AUDIO_COST : 1;
    if (this.#tokens >= cost) {
      this.#tokens -= cost;
      if (this.#tokens > MOST_AT_ONCE / 2) this.#refused = 0;
      return true;
    }
    this.#refused += 1;
    if (this.#refused >= MOST_REFUSED) this.close(POLICY_VIOLATION, 'too many events');
    else if (now - this.#refusedAt >= REFUSAL_EVERY_MS) {
      this.#refusedAt = now;
      this.fault({ message: `More than ${EVENTS_A_SECOND} events a second; some were dropped.`, code: 'rate_limit_exceeded' });
    }
    return false;
  }

  close(code: number, reason: string): void {
    if (this.#closed) return;
    this.forget();
    this.#channel.close(code, reason);
  }

  /** The client has gone by itself. */
  forget(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClosed(this);
  }
}

export function newEventId(): string {
  return `event_${randomText(16)}`;
}

/** @param eventId the name the client gave the event that is at fault */
export function errorEvent({ message, code, param, type }: Fault, eventId?: string): string {
  return JSON.stringify({
    type: 'error',
    event_id: newEventId(),
    error: {
      type: type ?? 'invalid_request_error',
      code,
      message,
      param: param === '' ? null : (param ?? null),
      event_id: eventId ?? null,
    },
  });
}
