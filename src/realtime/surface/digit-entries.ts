import type { Session } from '../session.ts';
import type { Entry } from '../tools/digit-collector.ts';
import type { RunningEntry } from '../tools/key-entry.ts';
import type { ClientEvent } from './client-event.ts';
import { entryRulesOf } from './digit-rules.ts';
import type { Channel } from './event-channel.ts';
import type { Fault } from './fault.ts';
import type { ServerEvent } from './response-object.ts';

type DigitEvent = Extract<ClientEvent, { readonly type: 'call.digits.collect' | 'call.digits.stop' | 'call.digits.receive' }>;

/**
 * Keys that programs collect on a call. What was entered is told to the one channel that asked for it, or that has said it takes what tools ask
 * for: no other channel ever has it, and when the channel is gone nobody has.
 */
export class DigitEntries {
  readonly #session: Session;
  readonly #tell: (channel: Channel, event: ServerEvent) => void;
  #asked: { readonly channel: Channel; readonly running: RunningEntry } | undefined;
  #receiver: Channel | undefined;

  constructor(session: Session, tell: (channel: Channel, event: ServerEvent) => void) {
    this.#session = session;
    this.#tell = tell;
  }

  handle(channel: Channel, event: DigitEvent): Fault | undefined {
    if (channel.ephemeral) return { message: 'An ephemeral secret may not collect keys.', code: 'forbidden', type: 'permission_error' };
    switch (event.type) {
      case 'call.digits.collect':
        return this.#collect(channel, event);
      case 'call.digits.stop':
        this.#session.stopCollecting();
        return undefined;
      case 'call.digits.receive':
        return this.#receive(channel, event.receive);
    }
  }

  /** The call is over: what was typed so far still goes to whoever asked for it. */
  end(): void {
    this.#asked?.running.stop('ended');
  }

  /** The channel has closed. */
  forget(channel: Channel): void {
    if (this.#asked?.channel === channel) this.#asked.running.stop('gone');
    if (this.#receiver !== channel) return;
    this.#receiver = undefined;
    this.#session.receiver = undefined;
  }

  #collect(channel: Channel, event: Extract<DigitEvent, { readonly type: 'call.digits.collect' }>): Fault | undefined {
    const secure = event.secure ?? false;
    const running = this.#session.collectKeys(entryRulesOf(event), secure, (entry) => {
      this.#asked = undefined;
      this.#tellEntry(channel, entry, { secure, ...(event.entry_id === undefined ? {} : { entry_id: event.entry_id }) });
    });
    if ('code' in running) return running;
    this.#asked = { channel, running };
    return undefined;
  }

  #receive(channel: Channel, receive: boolean): Fault | undefined {
    if (this.#receiver && this.#receiver !== channel) return { message: 'Another program takes what is entered.', code: 'invalid_state' };
    this.#receiver = receive ? channel : undefined;
    this.#session.receiver = receive ? (entry) => this.#tellEntry(channel, entry, { secure: true }) : undefined;
    return undefined;
  }

  #tellEntry(channel: Channel, { digits, endedBy }: Entry, more: Readonly<Record<string, unknown>>): void {
    if (channel.isClosed) return;
    this.#tell(channel, { type: 'call.digits.collected', digits, count: digits.length, ended_by: endedBy, ...more });
  }
}
