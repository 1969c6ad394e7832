import type { Clock } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import { checkSessionSize } from '../leg/messages.ts';
import type { Access, CallCommand, CallView, ChannelOpening, EventChannel, OpenedChannel, SessionHost } from '../leg/session-host.ts';
import type { SessionReply, SessionRequest, WireRefusal } from '../leg/session-messages.ts';
import { PieceReceiver, PieceSender } from './event-pieces.ts';

/** What a program may ask of the owner of a session, legs left out. */
export type SessionDoor = Pick<SessionHost, 'connect' | 'attach' | 'command' | 'restart' | 'list'>;

/** An owner answers within a millisecond; one that is stuck must not keep a program waiting. */
const ANSWER_WITHIN_MS = 5000;

/** A transfer is taken within 32 s (Timer F of SIP) or never; the owner says so itself a little later. */
const REFER_WITHIN_MS = 40_000;

/** Programs at one owner at the same moment: several to each of its sessions. */
const MAX_CHANNELS = 4096;
const MAX_REQUESTS = 1024;

/** RFC 6455 §7.4.1. */
const TOO_BIG = 1009;
const SERVER_FAULT = 1011;
const TRY_LATER = 1013;

interface RemoteChannel {
  readonly channel: EventChannel;
  readonly pieces: PieceReceiver;
  readonly sender: PieceSender;
  readonly opened: (sessionId: string) => void;
  readonly failed: (error: GatewayError) => void;
  open: boolean;
}

interface RemoteRequest {
  readonly done: (reply: SessionReply) => void;
  readonly failed: (error: GatewayError) => void;
}

/** The sessions of one other process, for the programs that came to the door of this one. */
export class RemoteSessions implements SessionDoor {
  readonly #clock: Clock;
  readonly #send: (message: SessionRequest) => boolean;
  readonly #channels = new Map<number, RemoteChannel>();
  readonly #requests = new Map<number, RemoteRequest>();
  #lastNumber = 0;

  /** @param send hands a message to the owner; false when there is no way */
  constructor(clock: Clock, send: (message: SessionRequest) => boolean) {
    this.#clock = clock;
    this.#send = send;
  }

  /** Channels that are open, or being opened. */
  get size(): number {
    return this.#channels.size;
  }

  async connect({ access, session }: ChannelOpening, channel: EventChannel): Promise<OpenedChannel> {
    checkSessionSize(session);
    return this.#open(channel, (number) => ({ type: 'connect', channel: number, access, session }));
  }

  attach(sessionId: string, access: Access, channel: EventChannel): Promise<OpenedChannel> {
    return this.#open(channel, (number) => ({ type: 'attach', channel: number, access, sessionId }));
  }

  async command(sessionId: string, access: Access, command: CallCommand): Promise<void> {
    if (command.type === 'accept') checkSessionSize(command.session);
    const withinMs = command.type === 'refer' ? REFER_WITHIN_MS : ANSWER_WITHIN_MS;
    await this.#ask((request) => ({ type: 'command', request, access, sessionId, command }), withinMs);
  }

  async restart(sessionId: string, access: Access, offer: string): Promise<string> {
    const reply = await this.#ask((request) => ({ type: 'restart', request, access, sessionId, offer }), ANSWER_WITHIN_MS);
    if (reply.type !== 'restarted') throw new GatewayError('ERR_INTERNAL', 'the owner answered something else');
    return reply.answer;
  }

  async list(access: Access): Promise<readonly CallView[]> {
    const reply = await this.#ask((request) => ({ type: 'list', request, access }), ANSWER_WITHIN_MS);
    return reply.type === 'listed' ? reply.calls : [];
  }

  handle(message: SessionReply): void {
    switch (message.type) {
      case 'opened':
        this.#channels.get(message.channel)?.opened(message.sessionId);
        return;
      case 'refused':
        this.#forget(message.channel)?.failed(toError(message.refusal));
        return;
      case 'text':
        this.#text(message.channel, message.piece, message.last);
        return;
      case 'taken':
        this.#channels.get(message.channel)?.sender.taken(message.characters);
        return;
      case 'closed':
        this.#close(message.channel, message.code, message.reason);
        return;
      case 'done':
      case 'restarted':
      case 'listed': {
        const asked = this.#requests.get(message.request);
        this.#requests.delete(message.request);
        if (message.type === 'done' && message.refusal) asked?.failed(toError(message.refusal));
        else asked?.done(message);
      }
    }
  }

  /** The connection is gone, and with it every channel and every answer. The sessions live on. */
  lost(): void {
    const error = new GatewayError('ERR_NODE_UNREACHABLE', 'the connection to the owner of the session was lost');
    for (const number of [...this.#channels.keys()]) this.#close(number, SERVER_FAULT, 'connection to the session lost', error);
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const { failed } of requests) failed(error);
  }

  #open(channel: EventChannel, message: (number: number) => SessionRequest): Promise<OpenedChannel> {
    if (this.#channels.size >= MAX_CHANNELS) return Promise.reject(new GatewayError('ERR_OVERLOADED', 'too many channels to one node'));
    this.#lastNumber += 1;
    const number = this.#lastNumber;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(ANSWER_WITHIN_MS, () => {
        if (!this.#forget(number)) return;
        this.#send({ type: 'leave', channel: number });
        reject(new GatewayError('ERR_TIMEOUT', `the owner did not answer within ${ANSWER_WITHIN_MS} ms`));
      });
      const entry: RemoteChannel = {
        channel,
        open: false,
        pieces: new PieceReceiver((characters) => this.#send({ type: 'taken', channel: number, characters })),
        sender: new PieceSender((piece, last) => this.#send({ type: 'text', channel: number, piece, last })),
        opened: (sessionId) => {
          timer.cancel();
          if (entry.open) return;
          entry.open = true;
          resolve({ sessionId, receive: (event) => this.#receive(number, event), close: () => this.#leave(number) });
        },
        failed: (error) => {
          timer.cancel();
          reject(error);
        },
      };
      this.#channels.set(number, entry);
      if (!this.#send(message(number))) this.#forget(number)?.failed(unreachable());
    });
  }

  #ask(message: (request: number) => SessionRequest, withinMs: number): Promise<SessionReply> {
    if (this.#requests.size >= MAX_REQUESTS) return Promise.reject(new GatewayError('ERR_OVERLOADED', 'too much is asked of one node'));
    this.#lastNumber += 1;
    const request = this.#lastNumber;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimer(withinMs, () => {
        this.#requests.delete(request);
        reject(new GatewayError('ERR_TIMEOUT', `the owner did not answer within ${withinMs} ms`));
      });
      this.#requests.set(request, {
        done: (reply) => {
          timer.cancel();
          resolve(reply);
        },
        failed: (error) => {
          timer.cancel();
          reject(error);
        },
      });
      if (this.#send(message(request))) return;
      this.#requests.delete(request);
      timer.cancel();
      reject(unreachable());
    });
  }

  #receive(number: number, event: string): void {
    const entry = this.#channels.get(number);
    if (!entry || entry.sender.send(event)) return;
    this.#leave(number);
    entry.channel.close(TRY_LATER, 'the session does not take what is sent');
  }

  #text(number: number, piece: string, last: boolean): void {
    const entry = this.#channels.get(number);
    const whole = entry?.pieces.take(piece, last);
    if (!entry || !whole) return;
    if (whole !== 'overflow' && entry.channel.send(whole.event)) return;
    this.#leave(number);
    entry.channel.close(whole === 'overflow' ? TOO_BIG : TRY_LATER, whole === 'overflow' ? 'event too large' : 'too slow');
  }

  #leave(number: number): void {
    if (this.#forget(number)) this.#send({ type: 'leave', channel: number });
  }

  #close(number: number, code: number, reason: string, error = new GatewayError('ERR_NOT_FOUND', reason)): void {
    const entry = this.#forget(number);
    if (entry?.open) entry.channel.close(code, reason);
    else entry?.failed(error);
  }

  #forget(number: number): RemoteChannel | undefined {
    const entry = this.#channels.get(number);
    this.#channels.delete(number);
    return entry;
  }
}

function unreachable(): GatewayError {
  return new GatewayError('ERR_NODE_UNREACHABLE', 'no connection to the owner of the session');
}

function toError({ code, message, param }: WireRefusal): GatewayError {
  return new GatewayError(code, message, { param });
}
