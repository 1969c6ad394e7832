import { Driver } from '../../base/driver.ts';
import { GatewayError } from '../../base/errors.ts';
import type { RuleTried } from '../../base/rule-tried.ts';
import type { Call, InboundCall, InboundCaller, Refusal, SipSource } from '../engine.ts';
import { sessionDescription } from './admission.ts';
import type { CallServices, DialogHolder } from './call-services.ts';
import { ACCEPT, ACCEPTED_TYPE, ALLOW, SUPPORTED } from './capabilities.ts';
import { Dialog } from './dialog.ts';
import { DialogCall } from './dialog-call.ts';
import { EarlySession, type EarlySessionOwner, tryLater } from './early-session.ts';
import { canonicalName, isCredential, spelledName } from './header-names.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { PendingMachine, type PendingOutput } from './pending-machine.ts';
import { refusalParts } from './refusal-parts.ts';
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
  readonly caller?: InboundCaller;
  readonly tried?: readonly RuleTried[];
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
  readonly caller?: InboundCaller;
  readonly tried?: readonly RuleTried[];
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
  readonly #early: EarlySession;
  #state: 'new' | 'trying' | 'ringing' | 'final' = 'new';
  /** An answer that waits for the PRACK of early media (RFC 3262 §3). */
  #deferred: { readonly call: DialogCall; readonly send: () => void } | undefined;

  constructor(services: CallServices, options: InboundInviteOptions) {
    const { request, transaction, localTag, localAddress, replaces, caller, tried, onFinal } = options;
    if (replaces) this.replaces = replaces;
    if (caller) this.caller = caller;
    if (tried) this.tried = tried;
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
    this.#early = new EarlySession(services, this.#earlyOwner(), { invite: request, transaction, localTag, dialog: this.#dialog });
    services.assign(this.#dialog.key, this);
    transaction.onFailed = () => this.#unreachable();
  }

  get headers(): readonly { readonly name: string; readonly value: string }[] {
    return this.#request.message.headers.entries
      .filter(([name]) => !isCredential(name))
      .map(([name, value]) => ({ name: spelledName(name), value: decodeText(value) }));
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
    this.#early.ring();
  }

  progress(sdp: string): void {
    if (this.#state === 'final') return;
    if (this.#state === 'new') this.#startWaiting();
    if (this.#state !== 'ringing') this.#state = 'trying';
    this.#early.progress(sdp);
  }

  answer(sdp: string): Call {
    if (this.#state === 'final') throw new GatewayError('ERR_INVALID_STATE', 'the call has been cancelled, refused or answered already');
    this.#finish();
    const { headers: invited } = this.#request.message;
    const session = agreeInterval(invited, this.#services.sessionIntervalS, this.#services.minSessionS);
    const headers: HeaderLine[] = [this.#contact, ...this.#early.routes, ALLOW, SUPPORTED, ACCEPT, ...sessionAnswerLines(session)];
    const localSdp = this.#early.answered ?? sdp;
    const call = new DialogCall(this.#services, {
      dialog: this.#dialog,
      localAddress: this.localAddress,
      role: 'callee',
      localSdp,
      peer: invited,
      takePrack: (request) => this.#early.takeLatePrack(request),
    });
    const send = (): void => {
      this.#deferred = undefined;
      this.#onFinal();
      this.#early.finish();
      const done = this.#early.offerAnswered;
      const message = this.#respond(200, { headers, ...(done ? {} : { body: { type: ACCEPTED_TYPE, text: localSdp } }) });
      this.#services.assign(this.#dialog.key, call);
      call.startSession(session, this.offer === undefined && !done);
      call.repeatSuccess(message, this.#request.cseq, this.#transaction.flow);
    };
    this.#deferred = { call, send };
    if (!this.#early.holdsAnswerBack) send();
    return call;
  }

  reject(refusal: Refusal): void {
    if (this.#state === 'final') return;
    // Load that is shed at once, and who is nobody to us, is answered once an INVITE: the caller's own repeats make it reliable.
    const repeats = !(this.#state === 'new' && (refusal.status === 503 || this.caller?.type === 'stranger'));
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

  #earlyOwner(): EarlySessionOwner {
    const invite = this;
    return {
      get onAnswer() {
        return invite.onAnswer;
      },
      get onOffer() {
        return invite.onOffer;
      },
      contact: () => this.#contact,
      respond: (status, parts) => void this.#respond(status, parts),
      agreed: () => this.#deferred?.send(),
      giveUp: (status) => this.#giveUp(status),
    };
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
        this.#early.handleUpdate(request, respond);
        return;
      case 'PRACK':
        this.#early.handlePrack(request, respond);
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
    this.#early.finish();
    this.#services.assign(this.#dialog.key, undefined);
    this.onCancel?.();
  }

  #giveUp(status: number): void {
    const { call } = this.#deferred ?? {};
    if (this.#state === 'final' && !call) return;
    this.#refuse(status, {});
    if (call) call.withdraw('unsent');
    else this.onCancel?.();
  }

  #startWaiting(): void {
    const expires = this.#request.message.headers.first('expires') ?? '';
    this.#driver.run((now) => this.#pending.start(now, /^\d{1,9}$/.test(expires) ? Number(expires) : undefined));
  }

  abandon(): void {
    this.#state = 'final';
    this.#early.finish();
    this.#driver.stop();
  }

  get #contact(): HeaderLine {
    return ['Contact', this.#services.contact(this.localAddress, this.source.transport, this.#dialog.secure)];
  }

  #respond(status: number, parts: ResponseParts, repeats?: boolean): Uint8Array {
    return this.#services.respond(this.#transaction, this.#request, status, { ...parts, toTag: this.localTag }, repeats);
  }

  #refuse(status: number, parts: ResponseParts, repeats?: boolean): void {
    this.#finish();
    this.#deferred = undefined;
    this.#onFinal();
    this.#early.finish();
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
    this.#early.refresh(this.#state === 'ringing');
  }

  #expire(): void {
    const expired = this.#request.message.headers.first('expires') !== undefined;
    if (this.#state === 'final') return;
    this.#refuse(expired ? 487 : 480, {});
    this.onCancel?.();
  }
}
