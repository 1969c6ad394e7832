import { Driver } from '../../base/driver.ts';
import { GatewayError } from '../../base/errors.ts';
import type { Call, InboundCall, Refusal, SipSource } from '../engine.ts';
import { sessionDescription } from './admission.ts';
import type { CallServices, DialogHolder } from './call-services.ts';
import { ACCEPT, ACCEPTED_TYPE, ALLOW, SUPPORTED } from './capabilities.ts';
import { Dialog } from './dialog.ts';
import { DialogCall } from './dialog-call.ts';
import { canonicalName } from './header-names.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { PendingMachine, type PendingOutput } from './pending-machine.ts';
import { refusalParts } from './refusal-parts.ts';
import { ReliableResponses } from './reliable-responses.ts';
import { agreeInterval, sessionAnswerLines } from './session-expires.ts';
import { decodeText } from './text.ts';
import type { ServerTransaction } from './transactions.ts';
import type { HeaderLine, ResponseParts } from './write-response.ts';

export interface InboundInviteOptions {
  readonly request: IncomingRequest;
  readonly transaction: ServerTransaction;
  /** Crypto-random: whoever guesses it can hang up. */
  readonly localTag: string;
  readonly localAddress: string;
  /** The call it takes the place of. */
  readonly replaces?: Call;
  /** A final response is on its way: CANCEL has nothing to end any more. */
  readonly onFinal: () => void;
}

/** An INVITE that waits for the application, and the early dialog that ringing makes of it. */
export class InboundInvite implements InboundCall, DialogHolder {
  readonly sipCallId: string;
  readonly source: SipSource;
  readonly from: string;
  readonly to: string;
  readonly requestUri: string;
  readonly offer: string | undefined;
  readonly localAddress: string;
  readonly replaces?: Call;
  onCancel: (() => void) | undefined;
  onAnswer: ((answer: string) => boolean) | undefined;
  onOffer: ((offer: string) => string | Refusal) | undefined;
  readonly #services: CallServices;
  readonly #request: IncomingRequest;
  readonly #transaction: ServerTransaction;
  readonly localTag: string;
  readonly #onFinal: () => void;
  readonly #dialog: Dialog;
  readonly #pending = new PendingMachine();
  readonly #driver: Driver<PendingOutput>;
  /** Of a caller that knows reliable provisional responses (RFC 3262). */
  readonly #reliable: ReliableResponses | undefined;
  #state: 'new' | 'trying' | 'ringing' | 'final' = 'new';
  /** What progress() sent: as long as nothing better is known, what a refresh repeats. */
  #early: string | undefined;
  /** The session was agreed on by a reliable response and its PRACK. */
  #agreedEarly = false;
  /** An answer that waits for the PRACK of early media (RFC 3262 §3). */
  #deferred: { readonly call: DialogCall; readonly send: () => void } | undefined;

  constructor(services: CallServices, { request, transaction, localTag, localAddress, replaces, onFinal }: InboundInviteOptions) {
    if (replaces) this.replaces = replaces;
    this.#services = services;
    this.#request = request;
    this.#transaction = transaction;
    this.localTag = localTag;
    this.#onFinal = onFinal;
    this.#dialog = Dialog.ofInvite(request, localTag);
    this.sipCallId = decodeText(request.callId);
    this.source = request.source;
    this.from = decodeText(request.from.uri);
    this.to = decodeText(request.to.uri);
    this.requestUri = decodeText(request.message.uri);
    this.offer = sessionDescription(request.message);
    this.localAddress = localAddress;
    this.#driver = new Driver(services.clock, this.#pending, ({ type }) => (type === 'refresh' ? this.#refresh() : this.#expire()));
    this.#reliable = ReliableResponses.for(services, request, transaction, {
      localTag,
      onAcknowledged: (prack) => this.#acknowledgedEarly(prack),
      onFailed: () => this.#unacknowledgedEarly(),
    });
    services.assign(this.#dialog.key, this);
    transaction.onFailed = () => this.#unreachable();
  }

  header(name: string): string | undefined {
    const canonical = canonicalName(name);
    const value = canonical === undefined ? undefined : this.#request.message.headers.first(canonical);
    return value === undefined ? undefined : decodeText(value);
  }

  /** 100 Trying, unless the application has responded already. */
  trying(): void {
    if (this.#state !== 'new') return;
    this.#startWaiting();
    this.#state = 'trying';
    this.#services.respond(this.#transaction, this.#request, 100, {});
  }

  ring(): void {
    if (this.#state === 'final') return;
    if (this.#state === 'new') this.#startWaiting();
    this.#state = 'ringing';
    this.#provisional(180);
  }

  progress(sdp: string): void {
    if (this.#state === 'final') return;
    if (this.#state === 'new') this.#startWaiting();
    if (this.#state !== 'ringing') this.#state = 'trying';
    this.#early ??= sdp;
    this.#provisional(183, this.#early);
  }

  answer(sdp: string): Call {
    if (this.#state === 'final') throw new GatewayError('ERR_INVALID_STATE', 'the call has been cancelled, refused or answered already');
    this.#finish();
    const { headers: invited } = this.#request.message;
    const session = agreeInterval(invited, this.#services.sessionIntervalS, this.#services.minSessionS);
    const headers: HeaderLine[] = [this.#contact, ...this.#recordRoutes, ALLOW, SUPPORTED, ACCEPT, ...sessionAnswerLines(session)];
    // What was agreed on by early media stands; the caller reads no other description here (RFC 3261 §13.2.1).
    const early = this.#reliable && this.offer !== undefined ? this.#early : undefined;
    const localSdp = early ?? sdp;
    const call = new DialogCall(this.#services, {
      dialog: this.#dialog,
      localAddress: this.localAddress,
      role: 'callee',
      localSdp,
      peer: invited,
      takePrack: (request) => this.#reliable?.takePrack(request) ?? false,
    });
    const send = (): void => {
      this.#deferred = undefined;
      this.#onFinal();
      this.#reliable?.finish();
      // An offer of ours that was answered in a PRACK is not made again.
      const done = this.offer === undefined && this.#agreedEarly;
      const message = this.#respond(200, { headers, ...(done ? {} : { body: { type: ACCEPTED_TYPE, text: localSdp } }) });
      this.#services.assign(this.#dialog.key, call);
      call.startSession(session, this.offer === undefined && !done);
      call.repeatSuccess(message, this.#request.cseq, this.#transaction.flow);
    };
    this.#deferred = { call, send };
    if (!this.#reliable?.holdsSdp) send();
    return call;
  }

  reject(refusal: Refusal): void {
    if (this.#state === 'final') return;
    // Load that is shed at once is answered once an INVITE: the caller's own repeats make it reliable.
    const repeats = !(this.#state === 'new' && refusal.status === 503);
    this.#refuse(refusal.status, refusalParts(refusal), repeats);
  }

  /** The caller's CANCEL (RFC 3261 §9.2), or its BYE in the early dialog (§15.1.2). Without effect after a final response. */
  cancel(): void {
    const { call } = this.#deferred ?? {};
    if (this.#state === 'final' && !call) return;
    this.#refuse(487, {});
    if (call) call.withdraw('bye');
    else this.onCancel?.();
  }

  handleRequest(request: IncomingRequest, transaction: ServerTransaction): void {
    const respond = (status: number, parts: ResponseParts = {}): void => {
      this.#services.respond(transaction, request, status, parts);
    };
    if (!this.#dialog.takeSequence(request.cseq)) {
      respond(500, { reason: 'CSeq Out Of Order' });
      return;
    }
    switch (request.method) {
      case 'BYE':
        respond(200);
        this.cancel();
        return;
      case 'UPDATE':
        this.#handleUpdate(request, respond);
        return;
      case 'PRACK':
        this.#handlePrack(request, respond);
        return;
      case 'INVITE': // the first one has no final response yet (RFC 3261 §14.2)
        respond(500, tryLater());
        return;
      case 'INFO':
        respond(200);
        return;
      case 'OPTIONS':
        respond(200, { headers: [ALLOW, ACCEPT, SUPPORTED] });
        return;
      default:
        respond(405, { headers: [ALLOW] });
    }
  }

  handleAck(): void {
    // An ACK before any 2xx belongs to nothing.
  }

  /** The caller's connection is gone and it cannot be reached by another. */
  #unreachable(): void {
    if (this.#state === 'final') return;
    this.#finish();
    this.#onFinal();
    this.#reliable?.finish();
    this.#services.assign(this.#dialog.key, undefined);
    this.onCancel?.();
  }

  /** RFC 3311 §5.2: an offer only once the first one has its answer. */
  #handleUpdate(request: IncomingRequest, respond: (status: number, parts?: ResponseParts) => void): void {
    const offer = sessionDescription(request.message);
    if (offer !== undefined && !this.#agreedEarly) {
      respond(500, tryLater());
      return;
    }
    const answer = offer === undefined ? undefined : this.#answerTo(offer);
    if (typeof answer === 'object') {
      respond(answer.status, refusalParts(answer));
      return;
    }
    this.#dialog.refreshTarget(request);
    respond(200, {
      headers: [this.#contact, ALLOW, SUPPORTED],
      body: answer === undefined ? undefined : { type: ACCEPTED_TYPE, text: answer },
    });
  }

  /** RFC 3262 §3, §5: the PRACK of early media may carry the answer to our offer, or a new offer. */
  #handlePrack(request: IncomingRequest, respond: (status: number, parts?: ResponseParts) => void): void {
    const sdp = sessionDescription(request.message);
    const answersOurs = this.offer === undefined && this.#reliable?.holdsSdp === true;
    if (sdp === undefined || answersOurs) {
      const known = this.#reliable?.takePrack(request, () => respond(200)) ?? false;
      if (!known) respond(481);
      return;
    }
    const answer = this.#reliable?.awaits(request) ? this.#answerTo(sdp) : { status: 481 };
    const refused = typeof answer === 'object';
    const parts = refused ? refusalParts(answer) : { body: { type: ACCEPTED_TYPE, text: answer } };
    const reply = (): void => respond(refused ? answer.status : 200, parts);
    if (!this.#reliable?.takePrack(request, reply)) reply();
  }

  #answerTo(offer: string): string | Refusal {
    try {
      return this.onOffer?.(offer) ?? { status: 488 };
    } catch (error) {
      this.#services.log.error({ err: error }, 'the handler of an offer failed');
      return { status: 500 };
    }
  }

  /** The PRACK of a response with a description is in: what was offered is agreed on, and the 2xx may go. */
  #acknowledgedEarly(prack: IncomingRequest): void {
    const sdp = sessionDescription(prack.message);
    if (this.offer === undefined && !this.#agreedEarly && !(sdp !== undefined && this.#takeAnswer(sdp))) {
      this.#giveUp(488, 'unsent');
      return;
    }
    this.#agreedEarly = true;
    this.#deferred?.send();
  }

  #takeAnswer(answer: string): boolean {
    try {
      return this.onAnswer?.(answer) ?? false;
    } catch (error) {
      this.#services.log.error({ err: error }, 'the handler of an answer failed');
      return false;
    }
  }

  #unacknowledgedEarly(): void {
    this.#giveUp(504, 'unsent');
  }

  #giveUp(status: number, why: 'unsent'): void {
    const { call } = this.#deferred ?? {};
    if (this.#state === 'final' && !call) return;
    this.#refuse(status, {});
    if (call) call.withdraw(why);
    else this.onCancel?.();
  }

  /** A provisional response: reliably where the caller requires it, and with a description where it can (RFC 3262 §3). */
  #provisional(status: number, sdp?: string): void {
    const reliable = this.#reliable;
    const headers: HeaderLine[] = [this.#contact, ...this.#recordRoutes];
    if (!reliable || (sdp === undefined && !reliable.required)) {
      // Without an offer a description would be one, and only a reliable response may bring it.
      const body = sdp === undefined || this.offer === undefined ? undefined : { type: ACCEPTED_TYPE, text: sdp };
      this.#respond(status, { headers, body });
      return;
    }
    // The first reliable response to an INVITE without an offer must bring ours (§5): ringing alone cannot be said.
    if (sdp === undefined && this.offer === undefined && !this.#agreedEarly) return;
    reliable.send(status, headers, this.#agreedEarly ? undefined : sdp);
  }

  #startWaiting(): void {
    const expires = this.#request.message.headers.first('expires') ?? '';
    this.#driver.run((now) => this.#pending.start(now, /^\d{1,9}$/.test(expires) ? Number(expires) : undefined));
  }

  abandon(): void {
    this.#state = 'final';
    this.#reliable?.finish();
    this.#driver.stop();
  }

  get #contact(): HeaderLine {
    return ['Contact', this.#services.contact(this.localAddress, this.source.transport)];
  }

  /** Whatever makes a dialog repeats the route the request took (RFC 3261 §12.1.1). */
  get #recordRoutes(): HeaderLine[] {
    return this.#request.message.headers.all('record-route').map((value) => ['Record-Route', value]);
  }

  #respond(status: number, parts: ResponseParts, repeats?: boolean): Uint8Array {
    return this.#services.respond(this.#transaction, this.#request, status, { ...parts, toTag: this.localTag }, repeats);
  }

  #refuse(status: number, parts: ResponseParts, repeats?: boolean): void {
    this.#finish();
    this.#deferred = undefined;
    this.#onFinal();
    this.#reliable?.finish();
    this.#services.assign(this.#dialog.key, undefined);
    this.#respond(status, parts, repeats);
  }

  #finish(): void {
    this.#state = 'final';
    this.#pending.finish();
    this.#driver.stop();
    this.#transaction.onFailed = undefined; // the transaction outlives the call's answer by 32 s, and need not keep it
  }

  #refresh(): void {
    if (this.#state === 'final') return;
    if (this.#early !== undefined) this.#provisional(183, this.#early);
    else this.#provisional(this.#state === 'ringing' ? 180 : 183);
  }

  #expire(): void {
    const expired = this.#request.message.headers.first('expires') !== undefined;
    if (this.#state === 'final') return;
    this.#refuse(expired ? 487 : 480, {});
    this.onCancel?.();
  }
}

/** Up to 10 s, at random, so that two agents do not meet again (RFC 3261 §14.2). */
function tryLater(): ResponseParts {
  return { headers: [['Retry-After', String(Math.floor(Math.random() * 10))]] };
}
