import { Driver } from '../../base/driver.ts';
import type { Call, CallEnd, CallInfo, HangupReason, Refusal } from '../engine.ts';
import { sessionDescription } from './admission.ts';
import { CallMachine, type CallOutput } from './call-machine.ts';
import type { CallServices, DialogHolder } from './call-services.ts';
import { ACCEPT, ACCEPTED_TYPE, ALLOW, SUPPORTED } from './capabilities.ts';
import type { Dialog } from './dialog.ts';
import type { Flow } from './flow.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { quotedString, refusalParts } from './refusal-parts.ts';
import type { ServerTransaction } from './transactions.ts';
import type { HeaderLine, ResponseParts } from './write-response.ts';

/** The answered call: requests of its dialog, offers in it, and its end. */
export class DialogCall implements Call, DialogHolder {
  readonly sipCallId: string;
  onAck: (() => void) | undefined;
  onOffer: ((offer: string) => string | Refusal) | undefined;
  onInfo: ((info: CallInfo) => void) | undefined;
  onEnd: ((end: CallEnd) => void) | undefined;
  readonly #services: CallServices;
  readonly #dialog: Dialog;
  readonly #localAddress: string;
  readonly #machine = new CallMachine();
  readonly #driver: Driver<CallOutput>;
  #acknowledged = false;
  #hangupReason: HangupReason | undefined;
  /** Where the latest 2xx goes when it is repeated. */
  #successFlow: Flow | undefined;

  constructor(services: CallServices, { dialog, localAddress }: { readonly dialog: Dialog; readonly localAddress: string }) {
    this.#services = services;
    this.#dialog = dialog;
    this.#localAddress = localAddress;
    this.sipCallId = dialog.callId;
    this.#driver = new Driver(services.clock, this.#machine, (output) => this.#carryOut(output));
  }

  get acknowledged(): boolean {
    return this.#acknowledged;
  }

  /** Starts repeating the 2xx that has just been sent to an INVITE with this CSeq. */
  repeatSuccess(message: Uint8Array, cseq: number, flow: Flow): void {
    this.#successFlow = flow;
    this.#driver.run((now) => this.#machine.handleSuccessSent(now, cseq, message));
  }

  hangup(reason?: HangupReason): void {
    this.#hangupReason ??= reason;
    this.#driver.run(() => this.#machine.handle('hangup'));
  }

  handleAck(request: IncomingRequest): void {
    this.#driver.run(() => this.#machine.handleAck(request.cseq));
  }

  abandon(): void {
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
      case 'OPTIONS':
        respond(200, { headers: [ALLOW, ACCEPT, SUPPORTED] });
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
    const headers: HeaderLine[] = [['Contact', this.#services.contact(this.#localAddress, request.source.transport)], ALLOW, SUPPORTED];
    const offer = sessionDescription(request.message);
    if (offer === undefined) {
      if (request.method === 'INVITE') {
        respond(488, { headers: [['Warning', '399 ringdown "an offer is needed"']] });
        return;
      }
      this.#dialog.refreshTarget(request); // an UPDATE without an offer refreshes the session
      respond(200, { headers });
      return;
    }
    const answer = this.#answerTo(offer);
    if (typeof answer !== 'string') {
      respond(answer.status, refusalParts(answer));
      return;
    }
    this.#dialog.refreshTarget(request);
    const message = respond(200, { headers, body: { type: ACCEPTED_TYPE, text: answer } });
    if (request.method === 'INVITE') this.repeatSuccess(message, request.cseq, transaction.flow);
  }

  #answerTo(offer: string): string | Refusal {
    try {
      return this.onOffer?.(offer) ?? { status: 488 };
    } catch (error) {
      this.#services.log.error({ err: error }, 'the handler of an offer failed');
      return { status: 500 };
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
        this.#successFlow?.send(output.message);
        return;
      case 'acknowledged':
        this.#acknowledged = true;
        this.onAck?.();
        return;
      case 'send_bye':
        this.#sendBye();
        return;
      case 'ended':
        this.#driver.stop();
        this.#services.assign(this.#dialog.key, undefined);
        this.onEnd?.(output.end);
    }
  }

  #sendBye(): void {
    const reason = this.#hangupReason;
    const headers: HeaderLine[] = reason ? [['Reason', `Q.850;cause=${reason.q850};text=${quotedString(reason.text)}`]] : [];
    const done = (): void => this.#driver.run(() => this.#machine.handle('bye_done'));
    this.#services.request(this.#dialog, this.#localAddress, 'BYE', headers, {
      onResponse: (response) => {
        if (response.status >= 200) done();
      },
      onTimeout: done,
    });
  }
}
