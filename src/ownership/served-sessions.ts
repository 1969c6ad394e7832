import { GatewayError } from '../base/errors.ts';
import { MAX_REFUSAL_TEXT } from '../leg/messages.ts';
import type { EventChannel, OpenedChannel } from '../leg/session-host.ts';
import { MAX_LISTED, type SessionReply, type SessionRequest, type WireRefusal } from '../leg/session-messages.ts';
import { PieceReceiver, PieceSender } from './event-pieces.ts';
import type { SessionDoor } from './remote-sessions.ts';

/** Programs that came by one door at the same moment. */
const MAX_CHANNELS = 4096;

/** RFC 6455 §5.5: a control frame has 125 bytes, two of them for the code. */
const MAX_CLOSE_REASON = 123;
const TOO_BIG = 1009;

interface ServedChannel {
  readonly pieces: PieceReceiver;
  readonly sender: PieceSender;
  opened: OpenedChannel | undefined;
}

/** The owner's end for the programs that came to the door of one other process. */
export class ServedSessions {
  readonly #host: SessionDoor;
  readonly #send: (message: SessionReply) => boolean;
  readonly #channels = new Map<number, ServedChannel>();
  /** Grows when the connection is lost: what comes late for an old request must not answer a new one of the same number. */
  #era = 0;

  /** @param send hands a message to the door; false when there is no way, or too much is on it */
  constructor(host: SessionDoor, send: (message: SessionReply) => boolean) {
    this.#host = host;
    this.#send = send;
  }

  get size(): number {
    return this.#channels.size;
  }

  handle(message: SessionRequest): void {
    switch (message.type) {
      case 'connect':
        void this.#open(message.channel, (channel) => this.#host.connect(message, channel));
        return;
      case 'attach':
        void this.#open(message.channel, (channel) => this.#host.attach(message.sessionId, message.access, channel));
        return;
      case 'text':
        this.#text(message.channel, message.piece, message.last);
        return;
      case 'taken':
        this.#channels.get(message.channel)?.sender.taken(message.characters);
        return;
      case 'leave':
        this.#forget(message.channel)?.opened?.close();
        return;
      case 'command':
        void this.#answer(message.request, async () => {
          await this.#host.command(message.sessionId, message.access, message.command);
          return { type: 'done', request: message.request };
        });
        return;
      case 'restart':
        void this.#answer(message.request, async () => {
          const answer = await this.#host.restart(message.sessionId, message.access, message.offer);
          return { type: 'restarted', request: message.request, answer };
        });
        return;
      case 'list':
        void this.#answer(message.request, async () => {
          const calls = await this.#host.list(message.access);
          return { type: 'listed', request: message.request, calls: calls.slice(0, MAX_LISTED) };
        });
        return;
    }
  }

  /** The connection is gone: to the sessions it is as if all these programs had left. */
  lost(): void {
    this.#era += 1;
    const channels = [...this.#channels.values()];
    this.#channels.clear();
    for (const { opened } of channels) opened?.close();
  }

  async #open(number: number, open: (channel: EventChannel) => Promise<OpenedChannel>): Promise<void> {
    if (this.#channels.has(number)) return;
    if (this.#channels.size >= MAX_CHANNELS) {
      this.#refuse(number, new GatewayError('ERR_OVERLOADED', 'too many channels from one node'));
      return;
    }
    const entry: ServedChannel = {
      opened: undefined,
      pieces: new PieceReceiver((characters) => this.#send({ type: 'taken', channel: number, characters })),
      sender: new PieceSender((piece, last) => this.#send({ type: 'text', channel: number, piece, last })),
    };
    this.#channels.set(number, entry);
    const live = () => this.#channels.get(number) === entry;
    try {
      const opened = await open({
        send: (event) => live() && entry.sender.send(event),
        close: (code, reason) => {
          if (!live()) return;
          this.#channels.delete(number);
          this.#send({ type: 'closed', channel: number, code, reason: reason.slice(0, MAX_CLOSE_REASON) });
        },
      });
      // The program has left meanwhile.
      if (!live()) opened.close();
      else {
        entry.opened = opened;
        this.#send({ type: 'opened', channel: number, sessionId: opened.sessionId });
      }
    } catch (thrown) {
      if (!live()) return;
      this.#channels.delete(number);
      this.#refuse(number, GatewayError.from(thrown));
    }
  }

  async #answer(request: number, work: () => Promise<SessionReply>): Promise<void> {
    const era = this.#era;
    const reply = await work().catch(
      (thrown: unknown): SessionReply => ({ type: 'done', request, refusal: refusalOf(GatewayError.from(thrown)) }),
    );
    if (this.#era === era) this.#send(reply);
  }

  #text(number: number, piece: string, last: boolean): void {
    const entry = this.#channels.get(number);
    const whole = entry?.pieces.take(piece, last);
    if (!entry || !whole) return;
    if (whole !== 'overflow') {
      entry.opened?.receive(whole.event);
      return;
    }
    this.#forget(number)?.opened?.close();
    this.#send({ type: 'closed', channel: number, code: TOO_BIG, reason: 'event too large' });
  }

  #refuse(number: number, error: GatewayError): void {
    this.#send({ type: 'refused', channel: number, refusal: refusalOf(error) });
  }

  #forget(number: number): ServedChannel | undefined {
    const entry = this.#channels.get(number);
    this.#channels.delete(number);
    return entry;
  }
}

function refusalOf({ code, message, param }: GatewayError): WireRefusal {
  return {
    code,
    message: message.slice(0, MAX_REFUSAL_TEXT),
    ...(param === undefined ? {} : { param: param.slice(0, MAX_REFUSAL_TEXT) }),
  };
}
