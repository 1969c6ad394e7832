import { Driver } from '../../base/driver.ts';
import { GatewayError } from '../../base/errors.ts';
import type { Call, CallEnd, CallInfo, HangupReason, IncomingRefer, ReferProgress, Refusal, SentHeaders } from '../engine.ts';
import { sessionDescription } from './admission.ts';
import { CallMachine, type CallOutput } from './call-machine.ts';
import type { CallServices, DialogHolder } from './call-services.ts';
import { CallTransfer } from './call-transfer.ts';
import { ACCEPT, ALLOW, SUPPORTED } from './capabilities.ts';
import { type Dialog, dialogKey } from './dialog.ts';
import { DialogSession, type SessionOwner } from './dialog-session.ts';
import type { Flow } from './flow.ts';
import type { HeaderFields } from './header-fields.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { withReplaces } from './refer-to.ts';
import { quotedString } from './refusal-parts.ts';
import { readReplaces, writeReplaces } from './replaces.ts';
import { sentHeaderLines } from './sent-headers.ts';
import type { SessionInterval } from './session-expires.ts';
import type { ServerTransaction } from './transactions.ts';
import type { HeaderLine, ResponseParts } from './write-response.ts';

export interface DialogCallOptions {
  readonly dialog: Dialog;
  readonly localAddress: string;
  /** `callee` answered with a 2xx that waits for its ACK; `caller` has sent the ACK. */
  readonly role: 'callee' | 'caller';
  /** What we last sent as our session description. */
  readonly localSdp: string | undefined;
  /** Headers of the peer's INVITE or 2xx. */
  readonly peer: HeaderFields;
  /** Whether a PRACK that comes after the 2xx belongs to one of our provisional responses. */
  readonly takePrack?: (request: IncomingRequest) => boolean;
}

/** The answered call: requests of its dialog, offers in it, and its end. */
export class DialogCall implements Call, DialogHolder {
  readonly sipCallId: string;
  onAck: (() => void) | undefined;
  onOffer: Call['onOffer'];
  onAnswer: ((answer: string) => boolean) | undefined;
  onOfferWanted: (() => string | Refusal) | undefined;
  onInfo: ((info: CallInfo) => void) | undefined;
  onRefer: ((refer: IncomingRefer) => boolean) | undefined;
  onEnd: ((end: CallEnd) => void) | undefined;
  readonly #services: CallServices;
  readonly #dialog: Dialog;
  readonly #takePrack: ((request: IncomingRequest) => boolean) | undefined;
  readonly #localAddress: string;
  readonly #session: DialogSession;
  readonly #transfer: CallTransfer;
  readonly #machine: CallMachine;
  readonly #driver: Driver<CallOutput>;
  #acknowledged: boolean;
  #hangupReason: HangupReason | undefined;
  #farewell: readonly HeaderLine[] | undefined;
  /** Where the latest 2xx goes when it is repeated. */
  #successFlow: Flow | undefined;

  constructor(services: CallServices, options: DialogCallOptions) {
    const { dialog, localAddress, role } = options;
    this.#services = services;
    this.#dialog = dialog;
    this.#localAddress = localAddress;
    this.#takePrack = options.takePrack;
    this.#machine = new CallMachine(role === 'caller' ? 'confirmed' : 'unacknowledged');
    this.#acknowledged = role === 'caller';
    const owner: SessionOwner = {
      answerOffer: (offer) => this.#answerOffer(offer),
      makeOffer: () => this.#ask<string | Refusal>(() => this.onOfferWanted?.()),
      waitsForAck: () => this.#machine.waitsForAck,
      fail: (why) => this.#driver.run(() => this.#machine.handle(why)),
    };
    this.#transfer = new CallTransfer(services, dialog, localAddress);
    this.#session = new DialogSession(services, owner, { ...options, ownsCallId: role === 'caller' });
    this.sipCallId = dialog.callId;
    this.#driver = new Driver(services.clock, this.#machine, (output) => this.#carryOut(output));
  }

  get acknowledged(): boolean {
    return this.#acknowledged;
  }

  /** The session timer both sides agreed on runs from now. @param offered our 2xx holds an offer, whose answer comes with the ACK */
  startSession(session: SessionInterval | undefined, offered = false): void {
    this.#session.start(session, offered);
  }

  reinvite(sdp: string): Promise<string> {
    return this.#session.offer(sdp, 'INVITE');
  }

  update(sdp: string): Promise<string> {
    return this.#session.offer(sdp, 'UPDATE');
  }

  refer(target: string, onProgress: (progress: ReferProgress) => void, headers: SentHeaders = []): void {
    if (this.#machine.state !== 'confirmed') throw new GatewayError('ERR_INVALID_STATE', 'the call is not up');
    this.#transfer.refer(target, onProgress, headers);
  }

  get replacesUri(): string {
    return withReplaces(this.#dialog.remoteTarget, writeReplaces(this.#dialog.asPeerKnowsIt));
  }

  isNamedBy(value: string): boolean {
    const replaces = readReplaces(value);
    return replaces !== undefined && dialogKey(replaces.callId, replaces.toTag, replaces.fromTag) === this.#dialog.key;
  }

  get peerAddress(): string {
    return this.#dialog.peerAddress;
  }

  info({ contentType, body }: CallInfo): void {
    if (this.#machine.state !== 'confirmed') return;
    const nothing = (): void => undefined;
    const events = { onResponse: nothing, onTimeout: nothing };
    this.#services.request(this.#dialog, this.#localAddress, 'INFO', [], events, { type: contentType, text: body });
  }

  /** Starts repeating the 2xx that has just been sent to an INVITE with this CSeq. */
  repeatSuccess(message: Uint8Array, cseq: number, flow: Flow): void {
    this.#successFlow = flow;
    this.#driver.run((now) => this.#machine.handleSuccessSent(now, cseq, message));
  }

  hangup(reason?: HangupReason, headers: SentHeaders = []): void {
    this.#hangupReason ??= reason;
    this.#farewell ??= sentHeaderLines(headers);
    this.#driver.run(() => this.#machine.handle('hangup'));
  }

  /** The 2xx was never sent: the caller cancelled before it could be, or did not acknowledge what had to come before it. */
  withdraw(why: 'bye' | 'unsent'): void {
    this.#driver.run(() => this.#machine.handle(why));
  }

  handleAck(request: IncomingRequest): void {
    if (!this.#machine.awaits(request.cseq)) return;
    const answered = !this.#session.expectsAnswer || this.#takeAnswer(sessionDescription(request.message));
    this.#driver.run(() => this.#machine.handleAck(request.cseq, answered));
    this.#session.acknowledged();
  }

  abandon(): void {
    this.#session.stop();
    this.#transfer.abandon();
    this.#driver.stop();
  }

  handleRequest(request: IncomingRequest, transaction: ServerTransaction): void {
    const respond = (status: number, parts: ResponseParts = {}): Uint8Array => this.#services.respond(transaction, request, status, parts);
    if (!this.#dialog.takeSequence(request.cseq)) {
      respond(500, { reason: 'CSeq Out Of Order' });
      return;
    }
    switch (request.method) {
      case 'BYE':
        respond(200);
        this.#driver.run(() => this.#machine.handle('bye'));
        return;
      case 'INVITE':
      case 'UPDATE':
        this.#handleOffer(request, transaction, respond);
        return;
      case 'INFO':
        this.#handleInfo(request, respond);
        return;
      case 'PRACK':
        respond(this.#takePrack?.(request) ? 200 : 481);
        return;
      case 'OPTIONS':
        respond(200, { headers: [ALLOW, ACCEPT, SUPPORTED] });
        return;
      case 'REFER':
        this.#transfer.handleRefer(request, respond, this.onRefer);
        return;
      case 'NOTIFY':
        this.#transfer.handleNotify(request, respond);
        return;
      default:
        respond(405, { headers: [ALLOW] });
    }
  }

  /** RFC 3261 §14.2 and RFC 3311 §5.2. */
  #handleOffer(
    request: IncomingRequest,
    transaction: ServerTransaction,
    respond: (status: number, parts?: ResponseParts) => Uint8Array,
  ): void {
    if (this.#machine.state === 'ending' || this.#machine.state === 'hangup_waits') {
      respond(487); // it crossed our BYE; nothing is agreed on any more
      return;
    }
    this.#session.handleRequest(request, respond, (message) => {
      if (request.method === 'INVITE') this.repeatSuccess(message, request.cseq, transaction.flow);
    });
  }

  #answerOffer(offer: string): string | Refusal | Promise<string | Refusal> {
    const answer = this.#ask<string | Refusal | Promise<string | Refusal>>(() => this.onOffer?.(offer));
    return answer instanceof Promise ? answer.catch((error: unknown) => this.#handlerFailed(error)) : answer;
  }

  #ask<Answer>(handler: () => Answer | undefined): Answer | Refusal {
    try {
      return handler() ?? { status: 488 };
    } catch (error) {
      return this.#handlerFailed(error);
    }
  }

  #handlerFailed(error: unknown): Refusal {
    this.#services.log.error({ err: error }, 'the handler of an offer failed');
    return { status: 500 };
  }

  #takeAnswer(answer: string | undefined): boolean {
    if (answer === undefined) return false;
    try {
      return this.onAnswer?.(answer) ?? false;
    } catch (error) {
      this.#services.log.error({ err: error }, 'the handler of an answer failed');
      return false;
    }
  }

  /** INFO as phones use it, without a package (RFC 6086 §2); we know no packages. */
  #handleInfo(request: IncomingRequest, respond: (status: number, parts?: ResponseParts) => Uint8Array): void {
    const { headers, body } = request.message;
    if (headers.first('info-package') !== undefined) {
      respond(469, { headers: [['Recv-Info', '']] });
      return;
    }
    respond(200);
    if (body.length === 0) return;
    this.onInfo?.({ contentType: headers.first('content-type') ?? '', body: new TextDecoder().decode(body) });
  }

  #carryOut(output: CallOutput): void {
    switch (output.type) {
      case 'send_success':
        // Who cannot be sent the 2xx cannot acknowledge it: no need to try for 32 s.
        this.#successFlow?.send(output.message, () => this.#driver.run(() => this.#machine.handle('no_ack')));
        return;
      case 'acknowledged':
        this.#acknowledged = true;
        this.onAck?.();
        return;
      case 'send_bye':
        this.#fallSilent();
        this.#sendBye();
        return;
      case 'ended':
        this.#driver.stop();
        this.#fallSilent();
        this.#services.assign(this.#dialog.key, undefined);
        this.onEnd?.(output.end);
    }
  }

  /** Nothing follows our BYE: a request that overtakes it would make its number an old one, and the peer refuse it. */
  #fallSilent(): void {
    this.#session.stop();
    this.#transfer.stop();
  }

  #sendBye(): void {
    const reason = this.#hangupReason;
    const because: HeaderLine[] = reason ? [['Reason', `Q.850;cause=${reason.q850};text=${quotedString(reason.text)}`]] : [];
    const headers = [...because, ...(this.#farewell ?? [])];
    const done = (): void => this.#driver.run(() => this.#machine.handle('bye_done'));
    this.#services.request(this.#dialog, this.#localAddress, 'BYE', headers, {
      onResponse: (response) => {
        if (response.status >= 200) done();
      },
      onTimeout: done,
    });
  }
}
