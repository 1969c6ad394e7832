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
  onCancel: (() => void) | undefined;
  readonly #services: CallServices;
  readonly #request: IncomingRequest;
  readonly #transaction: ServerTransaction;
  readonly localTag: string;
  readonly #onFinal: () => void;
  readonly #dialog: Dialog;
  readonly #pending = new PendingMachine();
  readonly #driver: Driver<PendingOutput>;
  #state: 'new' | 'trying' | 'ringing' | 'final' = 'new';

  constructor(services: CallServices, { request, transaction, localTag, localAddress, onFinal }: InboundInviteOptions) {
    this.#services = services;
    this.#request = request;
    this.#transaction = transaction;
    this.localTag = localTag;
    this.#onFinal = onFinal;
    this.#dialog = new Dialog(request, localTag);
    this.sipCallId = decodeText(request.callId);
    this.source = request.source;
    this.from = decodeText(request.from.uri);
    this.to = decodeText(request.to.uri);
    this.requestUri = decodeText(request.message.uri);
    this.offer = sessionDescription(request.message);
    this.localAddress = localAddress;
    this.#driver = new Driver(services.clock, this.#pending, ({ type }) => (type === 'refresh' ? this.#refresh() : this.#expire()));
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
    this.#respond(180, { headers: [this.#contact, ...this.#recordRoutes] });
  }

  answer(sdp: string): Call {
    if (this.#state === 'final') throw new GatewayError('ERR_INVALID_STATE', 'the call has been cancelled, refused or answered already');
    this.#finish();
    const { headers: invited } = this.#request.message;
    const session = agreeInterval(invited, this.#services.sessionIntervalS, this.#services.minSessionS);
    const headers: HeaderLine[] = [this.#contact, ...this.#recordRoutes, ALLOW, SUPPORTED, ACCEPT, ...sessionAnswerLines(session)];
    const message = this.#respond(200, { headers, body: { type: ACCEPTED_TYPE, text: sdp } });
    const call = new DialogCall(this.#services, {
      dialog: this.#dialog,
      localAddress: this.localAddress,
      role: 'callee',
      localSdp: sdp,
      peer: invited,
    });
    this.#services.assign(this.#dialog.key, call);
    call.startSession(session, this.offer === undefined);
    call.repeatSuccess(message, this.#request.cseq, this.#transaction.flow);
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
    if (this.#state === 'final') return;
    this.#refuse(487, {});
    this.onCancel?.();
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
        if (sessionDescription(request.message) === undefined) {
          this.#dialog.refreshTarget(request);
          respond(200, { headers: [this.#contact, ALLOW, SUPPORTED] });
          return;
        }
        respond(500, tryLater()); // the first offer has no answer yet (RFC 3311 §5.2)
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
    this.#services.assign(this.#dialog.key, undefined);
    this.onCancel?.();
  }

  #startWaiting(): void {
    const expires = this.#request.message.headers.first('expires') ?? '';
    this.#driver.run((now) => this.#pending.start(now, /^\d{1,9}$/.test(expires) ? Number(expires) : undefined));
  }

  abandon(): void {
    this.#state = 'final';
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
    this.#services.assign(this.#dialog.key, undefined);
    this.#respond(status, parts, repeats);
  }

  #finish(): void {
    this.#state = 'final';
    this.#pending.finish();
    this.#driver.stop();
    this.#onFinal();
  }

  #refresh(): void {
    if (this.#state === 'ringing') this.ring();
    else if (this.#state === 'trying') this.#respond(183, { headers: [this.#contact, ...this.#recordRoutes] });
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
