import type { Endpoint } from './endpoint.ts';
import { type DialAddresses, newBranch, PhoneDialog } from './phone-dialog.ts';
import { type PhoneMedia, type PhoneSdpOptions, phoneSdp, readPhoneMedia } from './phone-sdp.ts';
import type { RtpPhone, RtpPhoneOptions } from './rtp-phone.ts';
import { type HeaderLine, type SipMessage, writeResponse } from './sip-message.ts';
import { EventLog } from './wait.ts';

/** A request under way. */
export interface SentRequest {
  readonly branch: string;
  readonly responses: EventLog<SipMessage>;
  final(deadlineMs: number): Promise<SipMessage>;
}

/** What a call needs of its phone. */
export interface PhoneLine {
  readonly local: Endpoint;
  readonly uri: string;
  readonly retransmits: boolean;
  readonly t1Ms: number;
  via(branch: string): string;
  transmit(text: string, to: Endpoint): void;
  request(text: string, to: Endpoint): SentRequest;
  reply(request: SipMessage, to: Endpoint, text: string): void;
}

export interface DialOptions extends DialAddresses {
  readonly headers?: readonly HeaderLine[];
  /** The body as it is; `none` for an INVITE without offer: then our description is the answer, in the ACK. */
  readonly sdp?: string | 'none';
  readonly offer?: PhoneSdpOptions;
  /** False leaves the answer to a late offer out of the ACK. */
  readonly lateAnswer?: boolean;
  /** False suppresses every ACK; a number that many of them. */
  readonly ack?: boolean | number;
  /** A phone with its own sockets, e.g. one shared by calls. */
  readonly media?: RtpPhone;
  readonly rtp?: RtpPhoneOptions;
  /** Begin to send audio when the answer is in. On unless false. */
  readonly talk?: boolean;
}

type Beginning =
  | { readonly role: 'caller'; readonly to: Endpoint; readonly options: DialOptions }
  | { readonly role: 'callee'; readonly invite: SipMessage; readonly from: Endpoint };

const ANSWER_DEADLINE_MS = 5000;

/** Repeats of 200 OK end after 64·T1 (RFC 3261 §13.3.1.4). */
const ANSWER_LIFE_T1 = 64;

/** One call of a SipPhone: what was sent and seen of it, and what the test may do to it. */
export class PhoneCall {
  readonly #line: PhoneLine;
  readonly #beginning: Beginning;
  readonly #dialog: PhoneDialog;
  readonly #inviteBranch = newBranch();
  #over = false;
  #decided = false;
  #acksToSuppress = 0;
  /** Numbers of INVITEs that left the offer to the other side. */
  readonly #unoffered = new Set<number>();
  #sdpVersion = 1;
  #repeats: NodeJS.Timeout | undefined;

  readonly callId: string;
  readonly media: RtpPhone;
  /** Responses to the INVITE and to re-INVITEs, repeats included. */
  readonly responses = new EventLog<SipMessage>();
  /** Requests of the other side inside this call, repeats excluded. */
  readonly requests = new EventLog<SipMessage>();
  /** What the other side's last description said. */
  remoteMedia: PhoneMedia | undefined;
  /** Answers a re-INVITE or UPDATE of the other side; without it with our own SDP. */
  onOffer: ((sdp: string) => string) | undefined;

  constructor(line: PhoneLine, media: RtpPhone, beginning: Beginning) {
    this.#line = line;
    this.media = media;
    this.#beginning = beginning;
    this.#dialog = new PhoneDialog(line, beginning);
    this.callId = this.#dialog.callId;
    if (beginning.role === 'caller') {
      const { ack = true } = beginning.options;
      this.#acksToSuppress = typeof ack === 'number' ? ack : ack ? 0 : Number.POSITIVE_INFINITY;
    } else this.#learnMedia(beginning.invite.body);
  }

  /** Has one of the two hung up? */
  get over(): boolean {
    return this.#over;
  }

  /** Of an incoming call: how it began. */
  get invited(): SipMessage | undefined {
    return this.#beginning.role === 'callee' ? this.#beginning.invite : undefined;
  }

  /** Sends the INVITE; SipPhone.dial does it. */
  invite(): void {
    if (this.#beginning.role !== 'caller') return;
    const { options } = this.#beginning;
    const sdp = options.sdp ?? this.sdp(options.offer);
    const body = sdp === 'none' ? '' : sdp;
    if (!body) this.#unoffered.add(this.#dialog.cseq);
    const text = this.#dialog.request('INVITE', { branch: this.#inviteBranch, headers: options.headers, body });
    this.#line.request(text, this.#dialog.destination);
  }

  /** The phone's own description, e.g. for a re-INVITE. */
  sdp(options: PhoneSdpOptions = {}): string {
    return phoneSdp(this.media.local, this.media.rtcpLocal, { version: this.#sdpVersion++, ...options });
  }

  /** The first response with this status. */
  response(status: number, deadlineMs = ANSWER_DEADLINE_MS): Promise<SipMessage> {
    return this.responses.find((each) => each.status === status, deadlineMs, `${status} to INVITE`);
  }

  /** The final response, whatever it is. */
  final(deadlineMs = ANSWER_DEADLINE_MS): Promise<SipMessage> {
    return this.responses.find((each) => (each.status ?? 0) >= 200, deadlineMs, 'a final response to INVITE');
  }

  /** Waits for the 2xx; audio runs from then on. @throws Error when the call is refused */
  async answered(deadlineMs = ANSWER_DEADLINE_MS): Promise<SipMessage> {
    const final = await this.final(deadlineMs);
    if ((final.status ?? 0) >= 300) throw new Error(`call refused: ${final.startLine}`);
    return final;
  }

  /** Waits for a refusal. @throws Error when the call is answered */
  async refused(deadlineMs = ANSWER_DEADLINE_MS): Promise<SipMessage> {
    const final = await this.final(deadlineMs);
    if ((final.status ?? 0) < 300) throw new Error(`call was answered: ${final.startLine}`);
    return final;
  }

  /** Sends the ACK for the 2xx by hand, after `ack: false`. */
  ack(): void {
    const number = this.responses.last?.cseq.number ?? this.#dialog.cseq;
    this.#line.transmit(this.#dialog.request('ACK', { cseq: number }), this.#dialog.destination);
  }

  /** Sends a CANCEL at once, whatever has come back so far; resolves with the response to it. */
  cancel(deadlineMs = ANSWER_DEADLINE_MS): Promise<SipMessage> {
    const text = this.#dialog.request('CANCEL', { branch: this.#inviteBranch, cseq: 1, initial: true });
    return this.#line.request(text, this.#dialog.peer).final(deadlineMs);
  }

  /** Hangs up; resolves with the response to the BYE. Audio ends. */
  bye(deadlineMs = ANSWER_DEADLINE_MS, headers: readonly HeaderLine[] = []): Promise<SipMessage> {
    this.#end();
    return this.request('BYE', { headers, deadlineMs });
  }

  /** Any request inside the dialog; resolves with its final response. A re-INVITE is acknowledged by itself. */
  request(method: string, options: InDialog = {}): Promise<SipMessage> {
    this.#dialog.cseq += 1;
    if (method === 'INVITE' && !options.body) this.#unoffered.add(this.#dialog.cseq);
    const text = this.#dialog.request(method, { headers: options.headers, body: options.body, contentType: options.contentType });
    return this.#line.request(text, this.#dialog.destination).final(options.deadlineMs ?? ANSWER_DEADLINE_MS);
  }

  /** Offers again inside the call. */
  reinvite(sdp = this.sdp(), deadlineMs = ANSWER_DEADLINE_MS): Promise<SipMessage> {
    return this.request('INVITE', { body: sdp, deadlineMs });
  }

  /** Waits for the other side to hang up. */
  hungUp(deadlineMs = ANSWER_DEADLINE_MS): Promise<SipMessage> {
    return this.requests.find((each) => each.method === 'BYE', deadlineMs, 'BYE from the other side');
  }

  /** Of an incoming call: 180. */
  ring(): void {
    this.#replyToInvite(180, 'Ringing');
  }

  /** Of an incoming call: 183 with our description. Audio runs from then on. */
  progress(sdp = this.sdp()): void {
    this.#replyToInvite(183, 'Session Progress', sdp);
    this.#talk();
  }

  /** Of an incoming call: 200 with our answer, repeated until the ACK is in. Audio runs from then on. */
  answer(sdp = this.sdp()): void {
    this.#replyToInvite(200, 'OK', sdp);
    this.#talk();
  }

  /** Of an incoming call: a final refusal. */
  refuse(status: number, reason = 'Refused', headers: readonly HeaderLine[] = []): void {
    this.#replyToInvite(status, reason, '', headers);
  }

  /** Of an incoming call: waits for the ACK. */
  acknowledged(deadlineMs = ANSWER_DEADLINE_MS): Promise<SipMessage> {
    return this.requests.find((each) => each.method === 'ACK', deadlineMs, 'ACK');
  }

  close(): void {
    this.#stopRepeats();
    this.media.close();
  }

  handleResponse(response: SipMessage): void {
    if (response.method !== 'INVITE') return;
    const status = response.status ?? 0;
    if (status >= 300) this.#ackRefusal(response);
    else if (status >= 200) this.#learn(response);
    this.responses.push(response);
  }

  handleRequest(request: SipMessage, from: Endpoint): void {
    // The INVITE again: nobody has said anything to it yet.
    if (this.#beginning.role === 'callee' && request.method === 'INVITE' && request.branch === this.#beginning.invite.branch) return;
    this.requests.push(request);
    const reply = (status: number, reason: string, headers: readonly HeaderLine[] = [], body = ''): void =>
      this.#line.reply(request, from, writeResponse(request, status, reason, this.#dialog.localTag, headers, body));
    switch (request.method) {
      case 'ACK':
        this.#stopRepeats();
        if (request.body) this.#learnMedia(request.body);
        return;
      case 'CANCEL':
        reply(200, 'OK');
        this.#replyToInvite(487, 'Request Terminated');
        return;
      case 'BYE':
        this.#end();
        reply(200, 'OK');
        return;
      case 'INVITE':
      case 'UPDATE': {
        const answer = this.onOffer?.(request.body) ?? this.sdp();
        if (request.body) this.#learnMedia(request.body);
        reply(
          200,
          'OK',
          [
            ['Contact', `<${this.#line.uri}>`],
            ['Content-Type', 'application/sdp'],
          ],
          answer,
        );
        return;
      }
      default:
        reply(200, 'OK');
    }
  }

  #learn(response: SipMessage): void {
    this.#dialog.learn(response);
    if (response.body) this.#learnMedia(response.body);
    if (this.#acksToSuppress > 0) this.#acksToSuppress -= 1;
    else
      this.#line.transmit(
        this.#dialog.request('ACK', { cseq: response.cseq.number, body: this.#lateAnswer(response) }),
        this.#dialog.destination,
      );
    if (this.#beginning.role === 'caller' && (this.#beginning.options.talk ?? true)) this.#talk();
  }

  /** Our description in the ACK, when the 200 holds the offer. */
  #lateAnswer({ cseq }: SipMessage): string {
    const options = this.#beginning.role === 'caller' ? this.#beginning.options : {};
    return this.#unoffered.has(cseq.number) && (options.lateAnswer ?? true) ? this.sdp(options.offer) : '';
  }

  #learnMedia(sdp: string): void {
    const media = readPhoneMedia(sdp);
    if (!media) return;
    this.remoteMedia = media;
    this.media.remote = media.rtp;
    if (media.telephoneEventType !== undefined) this.media.telephoneEventType = media.telephoneEventType;
    const audio = media.payloadTypes.find((type) => type === 0 || type === 8);
    if (audio !== undefined) this.media.codec = audio === 0 ? 'PCMU' : 'PCMA';
  }

  #talk(): void {
    // A 200 that is repeated after the end must not bring the voice back.
    if (!this.#over) this.media.start();
  }

  /** ACK of a refusal belongs to the INVITE's transaction: same branch, same URI (RFC 3261 §17.1.1.3). */
  #ackRefusal(response: SipMessage): void {
    if (this.#acksToSuppress > 0) {
      this.#acksToSuppress -= 1;
      return;
    }
    const text = this.#dialog.request('ACK', {
      branch: response.branch,
      cseq: response.cseq.number,
      initial: response.cseq.number === 1,
      to: response.header('to'),
    });
    this.#line.transmit(text, this.#dialog.peer);
  }

  #replyToInvite(status: number, reason: string, body = '', more: readonly HeaderLine[] = []): void {
    // After a final response nothing changes any more (RFC 3261 §9.2).
    if (this.#beginning.role !== 'callee' || this.#decided) return;
    this.#decided = status >= 200;
    const { invite, from } = this.#beginning;
    const headers: HeaderLine[] = [
      ['Contact', `<${this.#line.uri}>`],
      ...(body ? [['Content-Type', 'application/sdp'] as const] : []),
      ...more,
    ];
    const text = writeResponse(invite, status, reason, this.#dialog.localTag, headers, body);
    this.#line.reply(invite, from, text);
    this.#stopRepeats();
    if (status >= 200 && this.#line.retransmits)
      this.#repeat(text, from, this.#line.t1Ms, performance.now() + ANSWER_LIFE_T1 * this.#line.t1Ms);
  }

  #repeat(text: string, to: Endpoint, interval: number, until: number): void {
    this.#repeats = setTimeout(() => {
      if (performance.now() > until) return;
      this.#line.transmit(text, to);
      this.#repeat(text, to, Math.min(interval * 2, 4000), until);
    }, interval);
  }

  #end(): void {
    this.#over = true;
    this.#stopRepeats();
    this.media.stop();
  }

  #stopRepeats(): void {
    clearTimeout(this.#repeats);
  }
}

export interface InDialog {
  readonly headers?: readonly HeaderLine[];
  readonly body?: string;
  readonly contentType?: string;
  readonly deadlineMs?: number;
}
