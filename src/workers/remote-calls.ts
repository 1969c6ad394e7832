import type { Clock, Timer } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { CallMedia, CallMediaEvents, CallMediaOpening, DialogEvent, MediaHost } from '../bridge/call-media.ts';
import type { InnerVoice } from '../bridge/inner-voice.ts';
import type { PhoneMediaSnapshot } from '../bridge/phone-media.ts';
import type { EndCause } from '../leg/leg.ts';
import { checkSessionSize, cutOrigin } from '../leg/messages.ts';
import type { NegotiatedAudio } from '../sdp/phone-audio.ts';
import type { Fingerprint } from '../sdp/transport.ts';
import type { CallNews, CallOrder } from './messages.ts';

/** A worker that carries calls answers within a millisecond; one that is stuck must not keep a caller waiting. */
const ANSWER_WITHIN_MS = 2000;

export interface RemoteCallsDeps {
  readonly clock: Clock;
  /** To the worker; what cannot be sent is lost with it. */
  readonly send: (order: CallOrder) => void;
}

/** The calls of this process whose media one worker carries: the front's end of the pipe. */
export class RemoteCalls implements MediaHost {
  readonly #deps: RemoteCallsDeps;
  /** Until the worker has said its last word about them; at most as many as the switchboard lets in, and for a moment those that just ended. */
  readonly #calls = new Map<number, RemoteMedia>();
  #lastId = 0;

  constructor(deps: RemoteCallsDeps) {
    this.#deps = deps;
  }

  /** Calls that have not ended. */
  get size(): number {
    let size = 0;
    for (const call of this.#calls.values()) if (!call.ended) size += 1;
    return size;
  }

  async open(voice: InnerVoice, events: CallMediaEvents): Promise<CallMedia> {
    this.#lastId += 1;
    const id = this.#lastId;
    const media = new RemoteMedia(this.#deps, id, events);
    this.#calls.set(id, media);
    try {
      await media.open(voice);
      return media;
    } catch (thrown) {
      media.end('media_failed');
      throw thrown;
    }
  }

  handle(news: CallNews): void {
    const call = this.#calls.get(news.call);
    if (news.type === 'closed') this.#calls.delete(news.call);
    call?.handle(news);
  }

  /** The worker is dead, and with it everything of these calls but their dialogs. */
  lost(): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) call.lost();
  }
}

interface Waiting {
  readonly timer: Timer;
  readonly done: () => void;
  readonly failed: (error: GatewayError) => void;
}

class RemoteMedia implements CallMedia {
  rtpPort = 0;
  rtcpPort = 0;
  fingerprint: Fingerprint = { algorithm: '', value: '' };
  ended = false;
  snapshotAt: number | undefined;
  readonly #deps: RemoteCallsDeps;
  readonly #call: number;
  readonly #events: CallMediaEvents;
  #waiting: Waiting | undefined;
  #figures: PhoneMediaSnapshot | undefined;

  constructor(deps: RemoteCallsDeps, call: number, events: CallMediaEvents) {
    this.#deps = deps;
    this.#call = call;
    this.#events = events;
  }

  open(voice: InnerVoice): Promise<void> {
    return this.#ask({ type: 'open', call: this.#call, voice });
  }

  async connect({ origin, audio, policy, signallingAddress }: CallMediaOpening): Promise<void> {
    checkSessionSize(policy?.session);
    if (this.ended) throw new GatewayError('ERR_INVALID_STATE', 'the call has ended');
    const opening = { origin: cutOrigin(origin), audio, signallingAddress, ...(policy && { policy }) };
    await this.#ask({ type: 'connect', call: this.#call, ...opening });
  }

  start(): void {
    this.#tell({ type: 'acknowledged', call: this.#call });
  }

  renegotiate(audio: NegotiatedAudio): void {
    this.#tell({ type: 'renegotiate', call: this.#call, audio });
  }

  tell(event: DialogEvent): void {
    this.#tell({ type: 'tell', call: this.#call, event });
  }

  sendKeys(digits: string): void {
    this.#tell({ type: 'keys', call: this.#call, digits });
  }

  end(cause: EndCause, status?: number): void {
    if (this.ended) return;
    this.#tell({ type: 'end', call: this.#call, cause, ...(status === undefined ? {} : { status }) });
    this.ended = true;
    this.#fail(new GatewayError('ERR_INVALID_STATE', 'the call has ended'));
  }

  snapshot(): PhoneMediaSnapshot | undefined {
    return this.#figures;
  }

  lost(): void {
    if (this.ended) return;
    this.ended = true;
    this.#fail(new GatewayError('ERR_NODE_UNREACHABLE', 'the worker is gone'));
    this.#events.onLost('owner_lost');
  }

  /** After the end only what belongs into the call's record still counts; the rest does nothing to a call that has ended. */
  handle(news: CallNews): void {
    switch (news.type) {
      case 'ports':
        this.rtpPort = news.rtpPort;
        this.rtcpPort = news.rtcpPort;
        this.fingerprint = news.fingerprint;
        this.#answered();
        return;
      case 'opened':
        this.#events.onOpened(news.sessionId);
        return;
      case 'connecting':
        this.#answered();
        return;
      case 'failed':
        this.#fail(new GatewayError(news.code, news.message));
        return;
      case 'connected':
        this.#events.onConnected();
        return;
      case 'lost':
        this.#events.onLost(news.reason);
        return;
      case 'key':
        this.#events.onKey();
        return;
      case 'timeout':
        this.#events.onTimeout();
        return;
      case 'first_audio':
        this.#events.onFirstAudio();
        return;
      case 'figures':
        this.#figures = news.figures;
        this.snapshotAt = news.last ? undefined : this.#deps.clock.wallclock();
        return;
      case 'command':
        this.#command(news.command);
        return;
      case 'closed':
        return;
    }
  }

  #command(command: Extract<CallNews, { type: 'command' }>['command']): void {
    const { leg } = this.#events;
    if (command.type === 'answer') leg.answer();
    else if (command.type === 'reject') leg.reject(command.cause, command.status);
    else if (command.type === 'hangup') leg.hangup(command.cause, command.headers);
    else if (command.type === 'refer') leg.refer?.(command.target, command.headers);
    else if (command.type === 'refer_to_call') leg.referToCall?.(command.sipCallId, command.uri);
    else if (command.type === 'referred') leg.referred?.(command.status);
    else if (command.type === 'dtmf') leg.sendDtmf?.(command.digits);
    else leg.report({ ...command.summary, responseLatencyMs: command.summary.responseLatencyMs });
  }

  #tell(order: CallOrder): void {
    if (!this.ended) this.#deps.send(order);
  }

  #ask(order: CallOrder): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = () => this.#fail(new GatewayError('ERR_TIMEOUT', `the worker did not answer within ${ANSWER_WITHIN_MS} ms`));
      this.#waiting = { timer: this.#deps.clock.setTimer(ANSWER_WITHIN_MS, late), done: resolve, failed: reject };
      this.#deps.send(order);
    });
  }

  #answered(): void {
    this.#settle()?.done();
  }

  #fail(error: GatewayError): void {
    this.#settle()?.failed(error);
  }

  #settle(): Waiting | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.timer.cancel();
    return waiting;
  }
}
