import type { Clock, Timer } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import { randomText } from '../base/ids.ts';
import type { Access, EventChannel, OpenedChannel, SessionHost } from '../leg/session-host.ts';
import { parseJson } from '../realtime/safe-json.ts';

/** The owner ends an entry by itself; one that is stuck keeps nobody waiting for longer than this after it should have. */
const OWNER_SLACK_MS = 5000;

/** RFC 6455 §7.4.1: the owner, or the way to it, failed. */
const CONNECTION_LOST = 1011;

/** What a caller has typed. */
export interface Collected {
  readonly digits: string;
  readonly count: number;
  readonly ended_by: string;
  readonly secure: boolean;
}

export interface DigitAsk {
  readonly sessionId: string;
  readonly access: Access;
  /** The knobs of `call.digits.collect`. */
  readonly rules: Readonly<Record<string, unknown>>;
  /** The owner ends it by then. */
  readonly withinMs: number;
}

/**
 * One entry of keys for one request: a channel of the session that asks for it, and is closed when it is over. The owner gives keys to the channel
 * that asked alone, and forgets them when that is gone, so they are nobody's when the request is.
 */
export class DigitRequest implements EventChannel {
  /** @throws GatewayError as `SessionHost.attach`; ERR_INVALID_STATE (not answered, no keys, or somebody else collects them), ERR_TIMEOUT */
  readonly collected: Promise<Collected>;
  readonly #entryId = `entry_${randomText(16)}`;
  readonly #timer: Timer;
  #resolve!: (collected: Collected) => void;
  #reject!: (error: GatewayError) => void;
  #opened: OpenedChannel | undefined;
  #over = false;

  constructor(deps: { readonly clock: Clock; readonly host: SessionHost }, ask: DigitAsk) {
    this.collected = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#timer = deps.clock.setTimer(ask.withinMs + OWNER_SLACK_MS, () =>
      this.#fail(new GatewayError('ERR_TIMEOUT', 'The owner of the call did not answer.')),
    );
    void this.#open(deps.host, ask);
  }

  /** An event of the session, of which few are for us. */
  send(text: string): boolean {
    if (this.#over || !text.includes(this.#entryId)) return true;
    const event = parseJson(text) as Readonly<Record<string, unknown>> | undefined;
    if (event?.['type'] === 'call.digits.collected' && event['entry_id'] === this.#entryId) this.#take(event);
    else if (event?.['type'] === 'error') this.#refuse(event['error']);
    return true;
  }

  /** The owner has closed the channel. */
  close(code: number): void {
    this.#opened = undefined;
    this.#fail(
      code === CONNECTION_LOST
        ? new GatewayError('ERR_NODE_UNREACHABLE', 'The connection to the owner of the call was lost.')
        : new GatewayError('ERR_NOT_FOUND', 'The call is over.'),
    );
  }

  /** Nobody waits for the keys any more. */
  leave(): void {
    this.#fail(new GatewayError('ERR_TIMEOUT', 'The client has gone.'));
  }

  async #open(host: SessionHost, { sessionId, access, rules }: DigitAsk): Promise<void> {
    try {
      const opened = await host.attach(sessionId, access, this);
      if (this.#over) {
        opened.close();
        return;
      }
      this.#opened = opened;
      opened.receive(JSON.stringify({ type: 'call.digits.collect', event_id: this.#entryId, entry_id: this.#entryId, ...rules }));
    } catch (thrown) {
      this.#fail(GatewayError.from(thrown));
    }
  }

  #take({ digits, count, ended_by, secure }: Readonly<Record<string, unknown>>): void {
    if (this.#end()) this.#resolve({ digits: String(digits), count: Number(count), ended_by: String(ended_by), secure: secure === true });
  }

  #refuse(error: unknown): void {
    const { event_id, code, message } = error as { event_id?: unknown; code?: unknown; message?: unknown };
    if (event_id !== this.#entryId) return;
    this.#fail(new GatewayError(code === 'forbidden' ? 'ERR_FORBIDDEN' : 'ERR_INVALID_STATE', String(message)));
  }

  #fail(error: GatewayError): void {
    if (this.#end()) this.#reject(error);
  }

  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#timer.cancel();
    this.#opened?.close();
    this.#opened = undefined;
    return true;
  }
}
