import { randomBytes } from 'node:crypto';
import { type Endpoint, endpointText, LOOPBACK, openUdp } from './endpoint.ts';
import { type DialOptions, PhoneCall, type PhoneLine, type SentRequest } from './phone-call.ts';
import { newBranch, newTag } from './phone-dialog.ts';
import type { PhoneWire } from './phone-wire.ts';
import { RtpPhone } from './rtp-phone.ts';
import type { Loss } from './sip-loss.ts';
import { type HeaderLine, SipMessage, writeResponse, writeSip } from './sip-message.ts';
import { EventLog } from './wait.ts';

/** RFC 3261 §17.1.1.1: estimate of the round trip, and the longest interval of non-INVITE repeats. */
const T1_MS = 500;
const T2_MS = 4000;

/** Answers kept to be repeated when the request is: more than any test has under way at a time. */
const MAX_KEPT_ANSWERS = 2000;

export interface SipPhoneOptions {
  readonly address?: string;
  readonly port?: number;
  /** The user part of the phone's own URI. */
  readonly user?: string;
  /** What it speaks through; a UDP port of its own unless given. */
  readonly wire?: PhoneWire;
  /** As Via names it: UDP unless given. */
  readonly transport?: string;
  /** Host of Via and Contact, and parameters of the latter, where they are not the wire's address. */
  readonly host?: string;
  readonly uriParameters?: string;
  readonly loss?: Loss;
  /** Repeat requests and 200 OK as the RFC wants. On unless false. */
  readonly retransmit?: boolean;
  /** Shorter than the RFC's 500 ms for tests of loss that should not take long. */
  readonly t1Ms?: number;
  /** Everything is sent here, whatever the dialog says. */
  readonly outboundProxy?: Endpoint;
}

/** A message that passed the phone; `at` in performance.now() milliseconds. */
export interface SeenMessage {
  readonly at: number;
  readonly direction: 'in' | 'out';
  /** Lost on purpose. */
  readonly lost: boolean;
  readonly peer: Endpoint;
  readonly message: SipMessage;
}

export type Reply = (status: number, reason: string, headers?: readonly HeaderLine[], body?: string) => void;

/** A telephone under the test's control: a SIP user agent on UDP with as many calls as wanted. */
export class SipPhone implements PhoneLine {
  readonly #socket: PhoneWire;
  readonly #options: SipPhoneOptions;
  readonly #sent = new Map<string, { readonly log: EventLog<SipMessage>; stop(): void }>();
  readonly #answers = new Map<string, { readonly text: string; readonly to: Endpoint }>();
  readonly #calls = new Map<string, PhoneCall>();
  #cseq = 0;

  /** All messages both ways, lost ones too. */
  readonly messages = new EventLog<SeenMessage>();
  /** Calls that came in. */
  readonly incoming = new EventLog<PhoneCall>();
  readonly local: Endpoint;
  readonly uri: string;
  readonly retransmits: boolean;
  readonly t1Ms: number;
  loss: Loss | undefined;
  /** Sees each request first; true when it has dealt with it. */
  onRequest: ((request: SipMessage, reply: Reply) => boolean) | undefined;

  constructor(socket: PhoneWire, options: SipPhoneOptions) {
    this.#socket = socket;
    this.#options = options;
    this.local = socket.local;
    this.uri = `sip:${options.user ?? 'phone'}@${options.host ?? endpointText(socket.local)}${options.uriParameters ?? ''}`;
    this.retransmits = options.retransmit ?? true;
    this.t1Ms = options.t1Ms ?? T1_MS;
    this.loss = options.loss;
    socket.onDatagram = (datagram, from) => this.#handleDatagram(datagram.toString('latin1'), from);
  }

  static async open(options: SipPhoneOptions = {}): Promise<SipPhone> {
    return new SipPhone(options.wire ?? (await openUdp(options.address ?? LOOPBACK, options.port ?? 0)), options);
  }

  /** Sends an INVITE; the call's own methods wait for what comes of it. */
  async dial(to: Endpoint, options: DialOptions = {}): Promise<PhoneCall> {
    const media = options.media ?? (await RtpPhone.open({ address: this.local.address, ...options.rtp }));
    const call = new PhoneCall(this, media, { role: 'caller', to, options });
    this.#calls.set(call.callId, call);
    call.invite();
    return call;
  }

  /** Waits for a call to come in. */
  nextCall(deadlineMs = 5000): Promise<PhoneCall> {
    return this.incoming.next(() => true, deadlineMs, 'an incoming call');
  }

  /** Any request outside a dialog, e.g. `OPTIONS`; resolves with its final response. */
  async ask(
    method: string,
    to: Endpoint,
    { headers = [], body = '', uri = `sip:agent@${endpointText(to)}`, about = uri, deadlineMs = 5000 }: AskOptions = {},
  ): Promise<SipMessage> {
    this.#cseq += 1;
    const branch = newBranch();
    const text = writeSip(
      `${method} ${uri} SIP/2.0`,
      [
        ['Via', this.via(branch)],
        ['Max-Forwards', '70'],
        ['From', `<${this.uri}>;tag=${newTag()}`],
        ['To', `<${about}>`],
        ['Call-ID', newCallId()],
        ['CSeq', `${this.#cseq} ${method}`],
        ['Contact', `<${this.uri}>`],
        ...headers,
      ],
      body,
    );
    return this.request(text, to).final(deadlineMs);
  }

  /** Bytes as they are, not counted as a message and never repeated. */
  sendRaw(datagram: Uint8Array | string, to: Endpoint): void {
    this.#socket.send(typeof datagram === 'string' ? Buffer.from(datagram, 'latin1') : datagram, to);
  }

  /** Messages that match, in order; lost ones only with `lost`. */
  seen(direction: 'in' | 'out', matches: (message: SipMessage) => boolean, lost = false): SeenMessage[] {
    return this.messages.all.filter((each) => each.direction === direction && (lost || !each.lost) && matches(each.message));
  }

  close(): void {
    for (const { stop } of this.#sent.values()) stop();
    for (const call of this.#calls.values()) call.close();
    this.#socket.close();
  }

  via(branch: string): string {
    const { transport = 'UDP', host = endpointText(this.local) } = this.#options;
    return `SIP/2.0/${transport} ${host};rport;branch=${branch}`;
  }

  transmit(text: string, to: Endpoint): void {
    const peer = this.#options.outboundProxy ?? to;
    const message = new SipMessage(text);
    const lost = this.loss?.({ direction: 'out', message }) ?? false;
    this.messages.push({ at: performance.now(), direction: 'out', lost, peer, message });
    if (!lost) this.sendRaw(text, peer);
  }

  /** Sends a request and repeats it until it is answered (Timer A or E; gives up after 64·T1). */
  request(text: string, to: Endpoint): SentRequest {
    const message = new SipMessage(text);
    const { branch, method } = message;
    const log = new EventLog<SipMessage>();
    const giveUpAt = performance.now() + 64 * this.t1Ms;
    let timer: NodeJS.Timeout | undefined;
    const repeat = (interval: number): void => {
      timer = setTimeout(() => {
        const answered = method === 'INVITE' ? log.count > 0 : log.all.some((each) => (each.status ?? 0) >= 200);
        if (answered || performance.now() > giveUpAt) return;
        this.transmit(text, to);
        repeat(method === 'INVITE' ? interval * 2 : Math.min(interval * 2, T2_MS));
      }, interval);
    };
    this.#sent.set(`${branch} ${method}`, { log, stop: () => clearTimeout(timer) });
    this.transmit(text, to);
    if (this.retransmits) repeat(this.t1Ms);
    const final = (deadlineMs: number): Promise<SipMessage> =>
      log.find((each) => (each.status ?? 0) >= 200, deadlineMs, `a final response to ${method}`);
    return { branch, responses: log, final };
  }

  /** Answers a request, and again each time the request is repeated. */
  reply(request: SipMessage, to: Endpoint, text: string): void {
    if (this.#answers.size >= MAX_KEPT_ANSWERS) {
      for (const oldest of this.#answers.keys()) {
        this.#answers.delete(oldest);
        break;
      }
    }
    this.#answers.set(`${request.branch} ${request.method}`, { text, to });
    this.transmit(text, to);
  }

  #handleDatagram(text: string, from: Endpoint): void {
    const message = new SipMessage(text);
    const lost = this.loss?.({ direction: 'in', message }) ?? false;
    this.messages.push({ at: performance.now(), direction: 'in', lost, peer: from, message });
    if (lost) return;
    if (message.status === undefined) this.#handleRequest(message, from);
    else this.#handleResponse(message);
  }

  #handleResponse(message: SipMessage): void {
    this.#sent.get(`${message.branch} ${message.method}`)?.log.push(message);
    this.#calls.get(message.callId)?.handleResponse(message);
  }

  #handleRequest(request: SipMessage, from: Endpoint): void {
    const repeated = request.method === 'ACK' ? undefined : this.#answers.get(`${request.branch} ${request.method}`);
    if (repeated) {
      this.transmit(repeated.text, repeated.to);
      return;
    }
    const tag = newTag();
    const reply: Reply = (status, reason, headers, body) =>
      this.reply(request, from, writeResponse(request, status, reason, tag, headers, body));
    if (this.onRequest?.(request, reply)) return;
    const call = this.#calls.get(request.callId);
    if (call) {
      call.handleRequest(request, from);
      return;
    }
    if (request.method === 'INVITE') void this.#takeCall(request, from);
    else if (request.method === 'OPTIONS') reply(200, 'OK', [['Allow', 'INVITE, ACK, CANCEL, BYE, OPTIONS']]);
    else if (request.method !== 'ACK') reply(481, 'Call/Transaction Does Not Exist');
  }

  async #takeCall(request: SipMessage, from: Endpoint): Promise<void> {
    const media = await RtpPhone.open({ address: this.local.address });
    // The INVITE may have been repeated while the port was opened.
    if (this.#calls.has(request.callId)) {
      media.close();
      return;
    }
    const call = new PhoneCall(this, media, { role: 'callee', invite: request, from });
    this.#calls.set(call.callId, call);
    this.incoming.push(call);
  }
}

export interface AskOptions {
  /** URI of To; the one that is asked when left out. */
  readonly about?: string;
  readonly headers?: readonly HeaderLine[];
  readonly body?: string;
  readonly uri?: string;
  readonly deadlineMs?: number;
}

function newCallId(): string {
  return `${randomBytes(8).toString('hex')}@phone`;
}
