import type { Refusal } from '../engine.ts';
import { sessionDescription } from './admission.ts';
import type { CallServices } from './call-services.ts';
import { ACCEPTED_TYPE, ALLOW, SUPPORTED } from './capabilities.ts';
import type { Dialog } from './dialog.ts';
import type { IncomingRequest } from './incoming-request.ts';
import { refusalParts } from './refusal-parts.ts';
import { ReliableResponses } from './reliable-responses.ts';
import type { ServerTransaction } from './transactions.ts';
import type { HeaderLine, ResponseParts } from './write-response.ts';

/** The INVITE an early session belongs to. */
export interface EarlySessionOwner {
  readonly onAnswer: ((answer: string) => boolean) | undefined;
  readonly onOffer: ((offer: string) => string | Refusal) | undefined;
  /** Contact, for whatever makes or refreshes the dialog. */
  contact(): HeaderLine;
  /** A provisional response that is not sent reliably. */
  respond(status: number, parts: ResponseParts): void;
  /** Early media is agreed on: an answer that waited for it may go. */
  agreed(): void;
  /** The caller did not acknowledge, or not with a usable answer. */
  giveUp(status: number): void;
}

export interface EarlySessionOptions {
  readonly invite: IncomingRequest;
  readonly transaction: ServerTransaction;
  readonly localTag: string;
  readonly dialog: Dialog;
}

type Reply = (status: number, parts?: ResponseParts) => void;

/** Offers and answers before the call is answered: early media, PRACK and UPDATE (RFC 3262 §5, RFC 3311 §5.2). */
export class EarlySession {
  readonly #services: CallServices;
  readonly #owner: EarlySessionOwner;
  readonly #dialog: Dialog;
  readonly #reliable: ReliableResponses | undefined;
  /** The INVITE left the offer to us. */
  readonly #weOffer: boolean;
  readonly #recordRoutes: readonly HeaderLine[];
  /** What we last described. */
  #local: string | undefined;
  #agreed = false;

  constructor(services: CallServices, owner: EarlySessionOwner, { invite, transaction, localTag, dialog }: EarlySessionOptions) {
    this.#services = services;
    this.#owner = owner;
    this.#dialog = dialog;
    this.#weOffer = sessionDescription(invite.message) === undefined;
    this.#recordRoutes = invite.message.headers.all('record-route').map((value) => ['Record-Route', value]);
    this.#reliable = ReliableResponses.for(services, invite, transaction, {
      localTag,
      onAcknowledged: (prack) => this.#acknowledged(prack),
      onFailed: () => owner.giveUp(504),
    });
  }

  /** Whatever makes a dialog repeats the route the request took (RFC 3261 §12.1.1). */
  get routes(): readonly HeaderLine[] {
    return this.#recordRoutes;
  }

  /** Whether a description waits for its PRACK: no 2xx may be sent before (RFC 3262 §3). */
  get holdsAnswerBack(): boolean {
    return this.#reliable?.holdsSdp ?? false;
  }

  /** Whether our offer has its answer: it is not made again. */
  get offerAnswered(): boolean {
    return this.#weOffer && this.#agreed;
  }

  /** What stands instead of a later answer: the caller reads no second one (RFC 3261 §13.2.1). */
  get answered(): string | undefined {
    return this.#reliable && !this.#weOffer ? this.#local : undefined;
  }

  /** 180, or what there is of early media. */
  ring(): void {
    this.#provisional(180, undefined);
  }

  /** 183 with a description; the first one given stands. */
  progress(sdp: string): void {
    this.#local ??= sdp;
    this.#provisional(183, this.#local);
  }

  /** Again, once a minute. */
  refresh(ringing: boolean): void {
    this.#provisional(ringing && this.#local === undefined ? 180 : 183, this.#local);
  }

  /** A final response is out. */
  finish(): void {
    this.#reliable?.finish();
  }

  /** A PRACK after the 2xx. */
  takeLatePrack(prack: IncomingRequest): boolean {
    return this.#reliable?.takePrack(prack) ?? false;
  }

  /** An offer is taken only once the first one has its answer. */
  handleUpdate(request: IncomingRequest, respond: Reply): void {
    const offer = sessionDescription(request.message);
    if (offer !== undefined && !this.#agreed) {
      respond(500, tryLater());
      return;
    }
    const answer = offer === undefined ? undefined : this.#answerTo(offer);
    if (typeof answer === 'object') {
      respond(answer.status, refusalParts(answer));
      return;
    }
    this.#dialog.refreshTarget(request);
    const body = answer === undefined ? undefined : { type: ACCEPTED_TYPE, text: answer };
    respond(200, { headers: [this.#owner.contact(), ALLOW, SUPPORTED], body });
  }

  /** The PRACK of early media may carry the answer to our offer, or a new offer. */
  handlePrack(prack: IncomingRequest, respond: Reply): void {
    if (!this.#reliable?.awaits(prack)) {
      respond(481);
      return;
    }
    const sdp = sessionDescription(prack.message);
    const answersOurs = this.#weOffer && this.#reliable.holdsSdp;
    const answer = sdp === undefined || answersOurs ? undefined : this.#answerTo(sdp);
    this.#reliable.takePrack(prack, () => {
      if (typeof answer === 'object') respond(answer.status, refusalParts(answer));
      else respond(200, answer === undefined ? {} : { body: { type: ACCEPTED_TYPE, text: answer } });
    });
  }

  #answerTo(offer: string): string | Refusal {
    try {
      const answer = this.#owner.onOffer?.(offer) ?? { status: 488 };
      if (typeof answer === 'string') this.#local = answer;
      return answer;
    } catch (error) {
      this.#services.log.error({ err: error }, 'the handler of an offer failed');
      return { status: 500 };
    }
  }

  /** The PRACK of a response with a description is in. */
  #acknowledged(prack: IncomingRequest): void {
    if (this.#weOffer && !this.#agreed && !this.#takeAnswer(sessionDescription(prack.message))) {
      this.#owner.giveUp(488);
      return;
    }
    this.#agreed = true;
    this.#owner.agreed();
  }

  #takeAnswer(answer: string | undefined): boolean {
    if (answer === undefined) return false;
    try {
      return this.#owner.onAnswer?.(answer) ?? false;
    } catch (error) {
      this.#services.log.error({ err: error }, 'the handler of an answer failed');
      return false;
    }
  }

  /** A provisional response: reliably where the caller requires it, and with a description where it can (RFC 3262 §3). */
  #provisional(status: number, sdp: string | undefined): void {
    const headers = [this.#owner.contact(), ...this.#recordRoutes];
    if (!this.#reliable || (sdp === undefined && !this.#reliable.required)) {
      // Without an offer a description would be one, and only a reliable response may bring it.
      const body = sdp === undefined || this.#weOffer ? undefined : { type: ACCEPTED_TYPE, text: sdp };
      this.#owner.respond(status, { headers, body });
      return;
    }
    // The first reliable response to an INVITE without an offer must bring ours (§5): ringing alone cannot be said.
    if (sdp === undefined && this.#weOffer) return;
    this.#reliable.send(status, headers, this.#agreed ? undefined : sdp);
  }
}

/** Up to 10 s, at random, so that two agents do not meet again (RFC 3261 §14.2). */
export function tryLater(): ResponseParts {
  return { headers: [['Retry-After', String(Math.floor(Math.random() * 10))]] };
}
