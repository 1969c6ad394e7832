import { Driver } from '../../base/driver.ts';
import { GatewayError } from '../../base/errors.ts';
import type { Refusal } from '../engine.ts';
import { sessionDescription } from './admission.ts';
import type { CallServices, SentRequest } from './call-services.ts';
import { ACCEPT, ACCEPTED_TYPE, ALLOW, SUPPORTED } from './capabilities.ts';
import type { Dialog } from './dialog.ts';
import { tryLater } from './early-session.ts';
import type { HeaderFields } from './header-fields.ts';
import type { IncomingRequest } from './incoming-request.ts';
import type { SipResponse } from './message.ts';
import { refusalParts } from './refusal-parts.ts';
import { ReofferMachine, type ReofferOutput } from './reoffer-machine.ts';
import {
  agreedByPeer,
  agreeInterval,
  readMinSe,
  type SessionInterval,
  sessionAnswerLines,
  sessionRequestLines,
} from './session-expires.ts';
import { SessionTimer, type SessionTimerOutput } from './session-timer.ts';
import { TRANSACTION_LIFETIME } from './timers.ts';
import type { HeaderLine, ResponseParts } from './write-response.ts';

/** The call a session belongs to. */
export interface SessionOwner {
  /** The application's answer to an offer of the peer. */
  answerOffer(offer: string): string | Refusal | Promise<string | Refusal>;
  /** The application's offer, for a re-INVITE without one. */
  makeOffer(): string | Refusal;
  /** Whether a 2xx of ours waits for its ACK: no INVITE of ours may be under way then. */
  waitsForAck(): boolean;
  /** The session cannot go on. */
  fail(why: 'lost' | 'expired'): void;
}

export interface DialogSessionOptions {
  readonly dialog: Dialog;
  readonly localAddress: string;
  /** The Call-ID was ours. */
  readonly ownsCallId: boolean;
  /** What we last sent as our session description. */
  readonly localSdp: string | undefined;
  /** Header of the peer's INVITE or 2xx: what it allows. */
  readonly peer: HeaderFields;
}

/** One thing we want from the peer: a new session description, or only to hear that it lives. */
interface Wish {
  readonly method: 'INVITE' | 'UPDATE';
  /** Undefined for a refresh by UPDATE. */
  readonly sdp: string | undefined;
  readonly refresh: boolean;
  readonly resolve: (answer: string) => void;
  readonly reject: (error: GatewayError) => void;
}

export type Respond = (status: number, parts?: ResponseParts) => Uint8Array;

/** Offers and answers inside a dialog, in both directions, and the session timer (RFC 3261 §14, RFC 3311, RFC 4028). */
export class DialogSession {
  readonly #services: CallServices;
  readonly #owner: SessionOwner;
  readonly #dialog: Dialog;
  readonly #localAddress: string;
  readonly #ownsCallId: boolean;
  readonly #timer = new SessionTimer();
  readonly #timerDriver: Driver<SessionTimerOutput>;
  /** Made with our first offer: most calls have none. */
  #reoffers: { readonly machine: ReofferMachine; readonly driver: Driver<ReofferOutput> } | undefined;
  #localSdp: string | undefined;
  #peerUpdates = false;
  /** Raised by 422 (RFC 4028 §7.3). */
  #minSeS: number;
  #wish: Wish | undefined;
  #next: Wish | undefined;
  #sent: SentRequest | undefined;
  /** An offer of ours stands in a 2xx; its answer comes with the ACK. */
  #offerInSuccess = false;
  /** An offer of the peer, whose answer takes its time. */
  #answering: { readonly respond: Respond } | undefined;
  #stopped = false;

  constructor(services: CallServices, owner: SessionOwner, options: DialogSessionOptions) {
    this.#services = services;
    this.#owner = owner;
    this.#dialog = options.dialog;
    this.#localAddress = options.localAddress;
    this.#localSdp = options.localSdp;
    this.#minSeS = services.minSessionS;
    this.#learn(options.peer);
    this.#ownsCallId = options.ownsCallId;
    this.#timerDriver = new Driver(services.clock, this.#timer, ({ type }) => (type === 'refresh' ? this.#refresh() : this.#expire()));
  }

  /** Whether the next ACK must carry the answer to an offer of ours. */
  get expectsAnswer(): boolean {
    return this.#offerInSuccess;
  }

  /** The first 2xx is out, with our offer if the INVITE had none. */
  start(session: SessionInterval | undefined, offered: boolean): void {
    this.#offerInSuccess = offered;
    this.#timerDriver.run((now) => this.#timer.agree(now, session));
  }

  /** A re-INVITE or UPDATE of the peer. @param onSuccess gets the 2xx, if it comes to one */
  handleRequest(request: IncomingRequest, respond: Respond, onSuccess: (message: Uint8Array) => void): void {
    const { headers } = request.message;
    const offer = sessionDescription(request.message);
    this.#learn(headers);
    const bringsOffer = offer !== undefined || request.method === 'INVITE';
    const ours =
      this.#wish !== undefined &&
      this.#reoffers?.machine.state === 'sent' &&
      (this.#wish.method === 'INVITE' || this.#wish.sdp !== undefined);
    if (bringsOffer && this.#answering) {
      respond(500, tryLater()); // RFC 3261 §14.2, RFC 3311 §5.2
      return;
    }
    if (bringsOffer && (ours || this.#offerInSuccess)) {
      respond(491);
      return;
    }
    const answer = this.#answerTo(request.method, offer);
    const reply = (each: string | undefined | Refusal): void => this.#reply(request, offer, each, { respond, onSuccess });
    if (!(answer instanceof Promise)) {
      reply(answer);
      return;
    }
    const answering = { respond };
    this.#answering = answering;
    void answer.then((each) => {
      if (this.#answering !== answering) return; // the call is over, and that has been said
      this.#answering = undefined;
      reply(each);
      if (this.#isFree) this.#reoffers?.driver.run((now) => this.#reoffers?.machine.free(now));
    });
  }

  #reply(
    request: IncomingRequest,
    offer: string | undefined,
    answer: string | undefined | Refusal,
    { respond, onSuccess }: { readonly respond: Respond; readonly onSuccess: (message: Uint8Array) => void },
  ): void {
    if (typeof answer === 'object') {
      respond(answer.status, refusalParts(answer));
      return;
    }
    const { headers } = request.message;
    this.#dialog.refreshTarget(request);
    const session = agreeInterval(headers, this.#services.sessionIntervalS, this.#services.minSessionS);
    this.#timerDriver.run((now) => this.#timer.agree(now, session));
    if (answer !== undefined) this.#localSdp = answer;
    this.#offerInSuccess = request.method === 'INVITE' && offer === undefined;
    const lines: HeaderLine[] = [
      ['Contact', this.#services.contact(this.#localAddress, request.source.transport, this.#dialog.secure)],
      ...[ALLOW, SUPPORTED, ACCEPT],
      ...sessionAnswerLines(session),
    ];
    onSuccess(respond(200, { headers: lines, body: answer === undefined ? undefined : { type: ACCEPTED_TYPE, text: answer } }));
  }

  /** The awaited ACK is in: the answer it carries, if one was due, has been taken. */
  acknowledged(): void {
    this.#offerInSuccess = false;
    this.#reoffers?.driver.run((now) => this.#reoffers?.machine.free(now));
  }

  /**
   * Offers the peer a new session.
   * @throws GatewayError ERR_INVALID_STATE when two are under way already, the call is over, or UPDATE is not allowed;
   *   ERR_BAD_OFFER when the peer refuses: the session stays as it was; ERR_TIMEOUT when the dialog is lost by it
   */
  offer(sdp: string, method: 'INVITE' | 'UPDATE'): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#stopped) reject(new GatewayError('ERR_INVALID_STATE', 'the call is over'));
      else if (method === 'UPDATE' && !this.#peerUpdates) reject(new GatewayError('ERR_INVALID_STATE', 'the peer does not allow UPDATE'));
      else if (this.#wish && this.#next) reject(new GatewayError('ERR_INVALID_STATE', 'two offers are under way already'));
      else this.#want({ method, sdp, refresh: false, resolve, reject });
    });
  }

  /** The call is over, or will be as soon as our BYE is answered: nothing more is asked of the peer. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#answering?.respond(487); // RFC 3261 §15.1.2
    this.#answering = undefined;
    this.#timer.stop();
    this.#timerDriver.stop();
    // Made only for who waits: the stack of an error is a twentieth of what a call costs.
    for (const wish of [this.#wish, this.#next]) {
      wish?.reject(new GatewayError('ERR_INVALID_STATE', 'the call ended before the offer was answered'));
    }
    this.#reoffers?.driver.stop();
    this.#wish = undefined;
    this.#next = undefined;
    const sent = this.#sent;
    // A peer that answered provisionally and never again would leave its transaction behind.
    if (sent) this.#services.clock.setTimer(TRANSACTION_LIFETIME, () => sent.forget());
  }

  #answerTo(method: string, offer: string | undefined): string | undefined | Refusal | Promise<string | Refusal> {
    if (offer !== undefined) return this.#owner.answerOffer(offer);
    return method === 'INVITE' ? this.#owner.makeOffer() : undefined;
  }

  #learn(headers: HeaderFields): void {
    const allow = headers.elements('allow');
    if (allow && allow.length > 0) this.#peerUpdates = allow.includes('UPDATE');
  }

  #refresh(): void {
    if (this.#wish) return; // what is under way refreshes too
    const nothing = (): void => undefined;
    const method = this.#peerUpdates ? 'UPDATE' : 'INVITE';
    this.#want({ method, sdp: method === 'INVITE' ? this.#localSdp : undefined, refresh: true, resolve: nothing, reject: nothing });
  }

  #expire(): void {
    this.#owner.fail('expired');
  }

  #want(wish: Wish): void {
    if (this.#wish) {
      this.#next = wish;
      return;
    }
    this.#wish = wish;
    const { machine, driver } = this.#reoffers ?? this.#prepareReoffers();
    driver.run((now) => machine.ask(now));
  }

  /** May an offer of ours go out? */
  get #isFree(): boolean {
    return !this.#answering && !this.#owner.waitsForAck();
  }

  #prepareReoffers(): { readonly machine: ReofferMachine; readonly driver: Driver<ReofferOutput> } {
    const machine = new ReofferMachine({ ownsCallId: this.#ownsCallId, random: Math.random, isFree: () => this.#isFree });
    const driver = new Driver<ReofferOutput>(this.#services.clock, machine, ({ type }) => this.#carryOut(type));
    this.#reoffers = { machine, driver };
    return this.#reoffers;
  }

  #carryOut(output: ReofferOutput['type']): void {
    if (output === 'send') {
      this.#send();
      return;
    }
    if (output === 'gave_up') {
      this.#wish?.reject(new GatewayError('ERR_TIMEOUT', 'the offer was never answered'));
      this.#owner.fail('lost');
    }
    this.#wish = undefined;
    const next = this.#next;
    this.#next = undefined;
    if (next && !this.#stopped) this.#want(next);
  }

  #send(): void {
    const wish = this.#wish;
    if (!wish) return;
    const { transport } = this.#dialog.nextHop();
    const agreed = this.#timer.session;
    const session = agreed && { ...agreed, intervalS: Math.max(agreed.intervalS, this.#minSeS) };
    const lines: HeaderLine[] = [
      ['Contact', this.#services.contact(this.#localAddress, transport, this.#dialog.secure)],
      ...[ALLOW, SUPPORTED, ACCEPT],
      ...sessionRequestLines(session, this.#minSeS, this.#services.minSessionS),
    ];
    const body = wish.sdp === undefined ? undefined : { type: ACCEPTED_TYPE, text: wish.sdp };
    const sent = this.#services.request(
      this.#dialog,
      this.#localAddress,
      wish.method,
      lines,
      {
        onResponse: (response) => this.#handleResponse(wish, sent, response),
        onTimeout: () => this.#handleSilence(wish),
      },
      body,
    );
    this.#sent = sent;
  }

  #handleResponse(wish: Wish, sent: SentRequest, response: SipResponse): void {
    const { status } = response;
    if (status < 200) return;
    if (status < 300 && this.#sent === sent) this.#dialog.refreshTargetBy(response.headers);
    if (wish.method === 'INVITE' && status < 300) this.#services.acknowledge(this.#dialog, this.#localAddress, sent.cseq);
    if (this.#sent !== sent) return; // a repeated 2xx, or one that came after all was over
    this.#sent = undefined;
    if (this.#stopped) return;
    this.#learn(response.headers);
    if (status < 300) this.#handleSuccess(wish, response);
    else if (status === 408) this.#handleSilence(wish);
    else if (status === 481) this.#handleLost(wish, 'the peer does not know the call any more (481)');
    else this.#handleRefusal(wish, response);
  }

  #handleSuccess(wish: Wish, { headers, body }: SipResponse): void {
    if (wish.sdp !== undefined) this.#localSdp = wish.sdp;
    const before = this.#timer.session;
    const session = before && agreedByPeer(headers, this.#services.minSessionS);
    this.#timerDriver.run((now) => this.#timer.agree(now, session));
    const answer = sessionDescription({ headers, body });
    if (answer !== undefined) wish.resolve(answer);
    else wish.reject(new GatewayError('ERR_BAD_OFFER', 'the peer accepted the offer without an answer'));
    this.#reoffers?.driver.run((now) => this.#reoffers?.machine.handleFinal(now, 'final'));
  }

  #handleRefusal(wish: Wish, { status, reason, headers }: SipResponse): void {
    const noUpdate = wish.method === 'UPDATE' && (status === 405 || status === 501);
    if (noUpdate) this.#peerUpdates = false;
    if (status === 422) this.#minSeS = readMinSe(headers, this.#minSeS);
    const kind = status === 491 ? 'pending' : status === 422 && this.#timer.session ? 'again' : 'final';
    let again = false;
    this.#reoffers?.driver.run((now) => {
      again = this.#reoffers?.machine.handleFinal(now, kind) ?? false;
    });
    if (again) return;
    if (wish.refresh) this.#timerDriver.run((now) => (noUpdate ? this.#timer.refreshNow(now) : this.#timer.refused(now)));
    else wish.reject(new GatewayError('ERR_BAD_OFFER', `the peer refused the offer: ${status} ${reason}`));
  }

  /** Nobody answered. A refresh may be tried again. */
  #handleSilence(wish: Wish): void {
    if (this.#stopped) return;
    let again = false;
    if (wish.refresh) {
      this.#timerDriver.run((now) => {
        again = this.#timer.lost(now);
      });
    }
    if (!again) {
      this.#handleLost(wish, 'nothing was heard of the offer');
      return;
    }
    this.#sent = undefined;
    this.#reoffers?.driver.run((now) => this.#reoffers?.machine.handleFinal(now, 'final'));
  }

  #handleLost(wish: Wish, message: string): void {
    if (this.#stopped) return;
    this.#sent = undefined;
    wish.reject(new GatewayError('ERR_TIMEOUT', message));
    this.#owner.fail('lost');
  }
}
