import type { Endpoint } from '../../base/addresses.ts';
import type { Timer } from '../../base/clock.ts';
import { Driver } from '../../base/driver.ts';
import { randomText } from '../../base/ids.ts';
import type { Call, DialFailure, DialProgress, OffersByDevice, OutboundCall } from '../engine.ts';
import { hangupReason } from '../sip-status.ts';
import type { OutboundAdmission } from '../trunk-book.ts';
import type { Destination } from '../trunk-destination.ts';
import { sessionDescription } from './admission.ts';
import type { CallServices } from './call-services.ts';
import { ACCEPT, ACCEPTED_TYPE, ALLOW, SUPPORTED } from './capabilities.ts';
import type { Dialog } from './dialog.ts';
import { DialogCall } from './dialog-call.ts';
import type { Hop } from './flow.ts';
import type { SipResponse } from './message.ts';
import { OutboundBranches } from './outbound-branches.ts';
import { isChallenge, OutboundCredentials, withCredentials } from './outbound-credentials.ts';
import { failureOf } from './outbound-failure.ts';
import { OutboundMachine, type OutboundOutput } from './outbound-machine.ts';
import { type OutboundHead, type OutboundLine, writeOutbound, writeRefusalAck } from './outbound-request.ts';
import type { OutboundServices, OutboundWay } from './outbound-services.ts';
import { OutboundTargets } from './outbound-targets.ts';
import { agreedByPeer, readMinSe } from './session-expires.ts';
import { uriHost } from './uri.ts';
import type { HeaderLine } from './write-response.ts';

export interface OutboundInviteOptions {
  readonly admission: OutboundAdmission;
  /** User part of From. */
  readonly from: string;
  readonly headers: readonly HeaderLine[];
  readonly ringTimeoutMs: number;
  /** The way to a phone that registered, which everything of the call takes; by the hops of the admission when absent. */
  readonly hop?: Hop;
  /** Where the trunk is: nobody else gets its credentials. */
  readonly peers?: readonly Endpoint[];
  /** Where another destination of the trunk is. */
  readonly hopsTo?: (destination: Destination) => readonly Hop[];
  /** Nothing of the call is left. Once. */
  readonly onGone: () => void;
}

/** A session interval that is raised by one proxy after another ends here (RFC 4028 §7.3). */
const MAX_RAISES = 3;

/** A place that has said nothing for so long is not there, as long as there is another one: three repeats over UDP. */
const NEXT_HOP_MS = 4000;

/** One INVITE of the call. */
interface Attempt extends OutboundLine {
  readonly way: OutboundWay;
  readonly endpoint: Endpoint;
  readonly credentials: readonly HeaderLine[];
  /** Ends its transaction. */
  forget: () => void;
  /** Another place was tried: whoever rings on this way all the same is told to stop. */
  left: boolean;
}

/** A call that we place: its INVITEs, its branches, and the dialog that one of them becomes (RFC 3261 §13.2). */
export class OutboundInvite implements OutboundCall {
  readonly sipCallId = randomText(22);
  readonly from: string;
  readonly requestUri: string;
  readonly localAddress: string;
  readonly remote: Endpoint;
  readonly transport: Hop['transport'];
  onProgress: ((progress: DialProgress) => void) | undefined;
  onAnswered: ((call: Call, answer: string) => void) | undefined;
  onFailed: ((failure: DialFailure) => void) | undefined;
  onDurationCap: (() => void) | undefined;
  readonly #services: OutboundServices;
  /** With the trunk's credentials. */
  readonly #inDialog: CallServices;
  readonly #options: OutboundInviteOptions;
  readonly #credentials: OutboundCredentials;
  readonly #targets: OutboundTargets;
  readonly #localTag = randomText(22);
  readonly #head: OutboundHead;
  #offer = '';
  readonly #machine = new OutboundMachine();
  readonly #driver: Driver<OutboundOutput>;
  readonly #branches: OutboundBranches;
  #target: Destination;
  /** Where the target is, the next one to try first. */
  #hops: readonly Hop[];
  #hopTimer: Timer | undefined;
  #undeliveredWhy: string | undefined;
  #attempt: Attempt | undefined;
  #cseq = 0;
  #minSeS: number;
  #raises = 0;
  #success: SipResponse | undefined;
  #failure: DialFailure | undefined;
  #durationTimer: Timer | undefined;
  #gone = false;
  #abandoned = false;
  #started = false;

  constructor(services: OutboundServices, options: OutboundInviteOptions) {
    const { trunk, destination } = options.admission;
    this.#services = services;
    this.#options = options;
    this.#credentials = new OutboundCredentials(trunk, options.peers ?? [trunk.peer]);
    this.#inDialog = withCredentials(services, this.#credentials);
    this.#targets = new OutboundTargets(trunk, destination);
    this.#target = destination;
    this.#hops = options.hop ? [options.hop] : options.admission.hops;
    this.remote = this.#hops[0] ?? destination.endpoint;
    // Where DNS may say another one for the next place, the one that is configured.
    this.transport = options.hop?.transport ?? trunk.transport;
    this.localAddress = services.localAddressFor(this.remote.address);
    this.requestUri = destination.uri;
    // Who has an account at the trunk is known there by its name, who has none by where it stands.
    this.from = `sip:${options.from}@${uriHost(trunk.username === undefined ? this.localAddress : trunk.peer.address)}`;
    this.#head = {
      from: `<${this.from}>;tag=${this.#localTag}`,
      to: `<${destination.uri}>`,
      callId: this.sipCallId,
    };
    const branches = { head: this.#head, localTag: this.#localTag, localAddress: this.localAddress, pinned: options.hop !== undefined };
    this.#branches = new OutboundBranches(this.#inDialog, branches);
    this.#minSeS = services.minSessionS;
    this.#driver = new Driver(services.clock, this.#machine, (output) => this.#carryOut(output));
  }

  /** Sends the first INVITE. Once. @param offer of two, the one for this device */
  start(offer: string | OffersByDevice): void {
    if (this.#abandoned || this.#machine.unwanted) return; // given up before it could be sent
    const isBrowser = this.transport === 'ws' || this.transport === 'wss';
    this.#offer = typeof offer === 'string' ? offer : isBrowser ? offer.browsers : offer.phones;
    this.#started = true;
    this.#driver.run((now) => this.#machine.start(now, this.#options.ringTimeoutMs));
    this.#send();
  }

  cancel(): void {
    this.#driver.run((now) => this.#machine.handle(now, 'cancel'));
    // What was never sent waits for no answer.
    if (!this.#started) this.#services.clock.setTimer(0, () => this.#driver.run((now) => this.#machine.handle(now, 'timed_out')));
  }

  /** It was never started, and never will be: nothing is told. */
  discard(): void {
    this.abandon();
    this.#over();
  }

  /** The engine stops: no timer may run on, nothing is sent. */
  abandon(): void {
    this.#abandoned = true;
    this.#driver.stop();
    this.#durationTimer?.cancel();
    this.#hopTimer?.cancel();
  }

  #send(): void {
    const { uri } = this.#target;
    const hop = this.#hops[0];
    if (!hop) return;
    const { address, port } = hop;
    const endpoint = { address, port };
    this.#cseq += 1;
    const cseq = this.#cseq;
    const credentials = this.#credentials.lines('INVITE', uri, endpoint);
    const lines = [...this.#lines(hop), ...credentials];
    const body = { type: ACCEPTED_TYPE, text: this.#offer };
    const way = this.#services.way(hop, this.localAddress, (via) => writeOutbound('INVITE', this.#head, { uri, via, cseq }, lines, body));
    const line: OutboundLine = { uri, via: way.via, cseq };
    const attempt: Attempt = { ...line, way, endpoint, credentials, forget: () => undefined, left: false };
    this.#attempt = attempt;
    const sent = way.send(
      'INVITE',
      way.message,
      {
        onResponse: (response) => this.#handleResponse(attempt, response),
        onTimeout: () => this.#timedOut(attempt),
        onUndelivered: (why) => this.#undelivered(attempt, why),
      },
      (response) => writeRefusalAck(this.#head, line, response),
    );
    attempt.forget = () => sent.forget();
    if (this.#hops.length > 1) this.#hopTimer = this.#services.clock.setTimer(NEXT_HOP_MS, () => this.#timedOut(attempt));
  }

  /** It could not be delivered: its receiver takes no TCP, for which it was too large, or nobody is there. */
  #undelivered(attempt: Attempt, why: string | undefined): void {
    if (attempt !== this.#attempt || this.#abandoned) return;
    this.#undeliveredWhy = why ?? this.#undeliveredWhy;
    if (this.#machine.unwanted || !attempt.way.mayFail) this.#timedOut(attempt);
    else this.#send();
  }

  /** Nobody has answered: the next place is tried (RFC 3263 §4.3). */
  #timedOut(attempt: Attempt): void {
    if (attempt !== this.#attempt || this.#abandoned) return;
    this.#hopTimer?.cancel();
    if (this.#machine.state === 'calling' && this.#nextHop()) {
      attempt.left = true;
      this.#send();
    } else this.#driver.run((now) => this.#machine.handle(now, 'timed_out'));
  }

  #nextHop(): boolean {
    if (this.#hops.length < 2) return false;
    this.#hops = this.#hops.slice(1);
    return true;
  }

  #lines({ transport }: Hop): HeaderLine[] {
    const { sessionIntervalS, minSessionS, userAgent } = this.#services;
    const interval: HeaderLine[] = sessionIntervalS > 0 ? [['Session-Expires', String(Math.max(sessionIntervalS, this.#minSeS))]] : [];
    const least: HeaderLine[] = sessionIntervalS > 0 && this.#minSeS > minSessionS ? [['Min-SE', String(this.#minSeS)]] : [];
    return [
      ['Contact', this.#services.contact(this.localAddress, transport, this.#target.uri.startsWith('sips:'))],
      ...[ALLOW, SUPPORTED, ACCEPT],
      ...interval,
      ...least,
      ...this.#options.headers,
      ['User-Agent', userAgent],
    ];
  }

  #handleResponse(attempt: Attempt, response: SipResponse): void {
    const { status } = response;
    if (attempt === this.#attempt) this.#hopTimer?.cancel();
    if (status >= 200 && status < 300) this.#handleSuccess(attempt, response);
    else if (attempt !== this.#attempt)
      this.#handleLeft(attempt, status); // of an INVITE that another has taken the place of
    else if (status < 200) this.#handleProvisional(attempt, response);
    else this.#handleRefusal(attempt, response);
  }

  #handleLeft(attempt: Attempt, status: number): void {
    if (!attempt.left || status >= 200) return;
    attempt.left = false;
    this.#sendCancel(attempt);
  }

  #handleProvisional(attempt: Attempt, response: SipResponse): void {
    const over = this.#machine.state === 'answered' || this.#machine.state === 'failed';
    const early = response.status > 100 && !over ? this.#branches.early(attempt, response) : undefined;
    const news = response.status > 100 && (early ? early.take(response) : true);
    this.#driver.run((now) => this.#machine.handle(now, 'provisional'));
    if (!news || this.#machine.unwanted || this.#machine.state === 'answered') return;
    this.onProgress?.({ status: response.status, reason: response.reason, sdp: sessionDescription(response) });
  }

  #handleRefusal(attempt: Attempt, response: SipResponse): void {
    if (!this.#machine.unwanted && this.#triesAgain(attempt, response)) {
      this.#branches.closeEarly();
      this.#driver.run((now) => this.#machine.handle(now, 'again'));
      this.#send();
      return;
    }
    this.#failure = failureOf(response.status, response.reason, response.headers);
    this.#driver.run((now) => this.#machine.handle(now, 'failure'));
  }

  #triesAgain({ endpoint }: Attempt, response: SipResponse): boolean {
    const { status, headers } = response;
    if (isChallenge(status)) return this.#credentials.challenged(response, endpoint);
    if (status === 422) {
      const wanted = readMinSe(headers, this.#services.minSessionS);
      this.#raises += 1;
      if (this.#raises > MAX_RAISES || wanted <= this.#minSeS) return false;
      this.#minSeS = wanted;
      return true;
    }
    // A redirection says where else to try; a busy target of it leaves the others (RFC 3261 §8.1.3.4).
    if (status === 503 && this.#nextHop()) return true; // RFC 3263 §4.3
    if (status < 400) this.#targets.redirected(headers);
    for (let next = status < 600 ? this.#targets.next() : undefined; next; next = this.#targets.next()) {
      const hops = this.#options.hopsTo?.(next) ?? [];
      if (hops.length === 0) continue;
      this.#target = next;
      this.#hops = hops;
      return true;
    }
    return false;
  }

  #handleSuccess(attempt: Attempt, response: SipResponse): void {
    const known = this.#branches.answered(response);
    if (known) {
      this.#acknowledge(known, attempt); // the ACK was lost
      return;
    }
    const dialog = this.#branches.answer(attempt, response);
    if (!dialog) return;
    const { state } = this.#machine;
    if (attempt !== this.#attempt || state === 'answered' || state === 'failed') {
      this.#acknowledge(dialog, attempt); // a second branch, or one that comes too late
      this.#hangUp(dialog);
      return;
    }
    this.#success = response;
    this.#driver.run((now) => this.#machine.handle(now, 'success'));
  }

  #carryOut(output: OutboundOutput): void {
    switch (output.type) {
      case 'send_cancel':
        if (this.#attempt) this.#sendCancel(this.#attempt);
        return;
      case 'answer':
        this.#answer();
        return;
      case 'withdraw':
        this.#withdraw();
        return;
      case 'forget':
        this.#attempt?.forget();
        return;
      case 'fail':
        this.#fail(output.why);
    }
  }

  #sendCancel(attempt: Attempt): void {
    const nothing = (): void => undefined; // what counts is the answer to the INVITE
    const message = writeOutbound('CANCEL', this.#head, attempt, [['User-Agent', this.#services.userAgent]]);
    attempt.way.send('CANCEL', message, { onResponse: nothing, onTimeout: nothing });
  }

  #answer(): void {
    const attempt = this.#attempt;
    const success = this.#success;
    const dialog = success && this.#branches.answered(success);
    if (!attempt || !success || !dialog) return;
    const answer = sessionDescription(success) ?? this.#branches.earlySdp(success);
    this.#credentials.accepted();
    this.#acknowledge(dialog, attempt);
    this.#branches.closeEarly();
    if (answer === undefined) {
      this.#hangUp(dialog);
      this.#failed({ cause: 'no_common_codec', status: success.status, reason: 'answered without a session description' });
      return;
    }
    const call = this.#makeCall(dialog, success);
    this.onAnswered?.(call, answer);
  }

  #makeCall(dialog: Dialog, success: SipResponse): DialogCall {
    const { caps } = this.#options.admission.trunk;
    const services: CallServices = {
      ...this.#inDialog,
      assign: (key, holder) => {
        this.#services.assign(key, holder);
        if (key === dialog.key && !holder) this.#over();
      },
    };
    const { headers: peer } = success;
    const call = new DialogCall(services, { dialog, localAddress: this.localAddress, role: 'caller', localSdp: this.#offer, peer });
    services.assign(dialog.key, call);
    call.startSession(agreedByPeer(peer, services.minSessionS));
    this.#durationTimer = services.clock.setTimer(caps.durationS * 1000, () => {
      this.onDurationCap?.();
      call.hangup(hangupReason('duration_cap'));
    });
    return call;
  }

  /** The answer crossed our CANCEL, or came when nobody wanted it any more. */
  #withdraw(): void {
    const attempt = this.#attempt;
    const dialog = this.#success && this.#branches.answered(this.#success);
    if (!attempt || !dialog) return;
    this.#acknowledge(dialog, attempt);
    this.#hangUp(dialog);
  }

  #fail(why: Extract<OutboundOutput, { type: 'fail' }>['why']): void {
    if (why === 'cancelled') this.#failed({ cause: 'cancelled', status: 487, reason: 'Request Terminated' });
    else if (why === 'no_answer') this.#failed({ cause: 'no_answer', status: 408, reason: 'not answered in time' });
    else if (why === 'timed_out') this.#failed({ cause: 'unreachable', status: 408, reason: this.#undeliveredWhy ?? 'no response' });
    else this.#failed(this.#failure ?? failureOf(500, 'no reason'));
  }

  #failed(failure: DialFailure): void {
    this.#branches.closeEarly();
    this.#over();
    this.onFailed?.(failure);
  }

  #over(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#durationTimer?.cancel();
    this.#hopTimer?.cancel();
    this.#options.admission.lease.release();
    this.#options.onGone();
  }

  /** With the credentials of its INVITE (RFC 3261 §13.2.2.4), if it goes where they may. */
  #acknowledge(dialog: Dialog, { cseq, credentials }: Attempt): void {
    const lines = this.#credentials.mayGoTo(dialog.nextHop()) ? credentials : [];
    this.#services.acknowledge(dialog, this.localAddress, cseq, undefined, lines);
  }

  #hangUp(dialog: Dialog): void {
    const nothing = (): void => undefined;
    this.#inDialog.request(dialog, this.localAddress, 'BYE', [], { onResponse: nothing, onTimeout: nothing });
  }
}
