import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { InboundCall, SipSource } from '../engine.ts';
import { type Refused, refuse } from './admission.ts';
import type { DialogHolder, SentRequest } from './call-services.ts';
import { ACCEPT, ALLOW, SUPPORTED } from './capabilities.ts';
import { dialogKey } from './dialog.ts';
import type { Flow } from './flow.ts';
import { InboundInvites, type InboundInvitesOptions } from './inbound-invites.ts';
import { type IncomingRequest, readRequest, serverTransactionKey } from './incoming-request.ts';
import type { SipRequest, SipResponse } from './message.ts';
import type { OutboundServices, OutboundWay } from './outbound-services.ts';
import { NO_DIALOG, NO_REFER, OVERLOADED } from './refusals.ts';
import type { RefusedInvites } from './refused-invites.ts';
import type { RegisterAnswer } from './registrar.ts';
import { RequestSender } from './request-sender.ts';
import type { ScanWatch } from './scan-watch.ts';
import type { SipMetrics } from './sip-metrics.ts';
import { StatelessAnswers } from './stateless-answers.ts';
import { splitElements } from './text.ts';
import { type ServerTransaction, Transactions } from './transactions.ts';
import type { Transports } from './transports.ts';
import { parseVia, responseTarget, type Via } from './via.ts';
import { type ResponseParts, writeResponse } from './write-response.ts';

export interface UserAgentDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: SipMetrics;
}

export interface UserAgentOptions extends InboundInvitesOptions {
  readonly userAgent: string;
  readonly maxTransactions: number;
  /** The address a peer at `remote` reaches us at. */
  readonly localAddressFor: (remote: string) => string;
  /** RFC 4028: what we ask for, 0 for nothing, and the least we accept. */
  readonly sessionIntervalS: number;
  readonly minSessionS: number;
  /** Hears of INVITEs that are refused here. */
  readonly refusedInvites?: RefusedInvites;
  /** Sees how requests outside of dialogs are answered. */
  readonly watch?: ScanWatch | undefined;
  /** Answers REGISTER, as long as there are users; 405 without one. */
  readonly register?: (request: IncomingRequest) => RegisterAnswer;
  readonly registers?: () => boolean;
}

/**
 * The core of the embedded engine (RFC 3261 §8.2, §12.2.2): takes whole messages, finds the transaction, dialog or call
 * they belong to, and answers by itself whatever needs no decision. What it refuses without a call is answered statelessly
 * (§8.2.7): one response a request, and nothing remembered.
 */
export class UserAgent implements OutboundServices {
  readonly clock: Clock;
  readonly log: Logger;
  readonly #metrics: SipMetrics;
  readonly #options: UserAgentOptions;
  readonly #transports: Transports;
  readonly #transactions: Transactions;
  readonly #sender: RequestSender;
  readonly #dialogs = new Map<string, DialogHolder>();
  readonly #invites: InboundInvites;
  readonly #stateless: StatelessAnswers;
  #draining = false;

  constructor({ clock, log, metrics }: UserAgentDeps, transports: Transports, options: UserAgentOptions) {
    this.clock = clock;
    this.log = log;
    this.#metrics = metrics;
    this.#transports = transports;
    this.#options = options;
    this.#transactions = new Transactions({ clock }, { limit: options.maxTransactions });
    this.#stateless = new StatelessAnswers(metrics);
    this.#invites = new InboundInvites({ services: this, transactions: this.#transactions, dialogs: this.#dialogs }, options);
    this.#sender = new RequestSender({ clock, transports, transactions: this.#transactions }, { userAgent: options.userAgent });
  }

  set onInvite(handler: ((invite: InboundCall) => void) | undefined) {
    this.#invites.onInvite = handler;
  }

  get userAgent(): string {
    return this.#options.userAgent;
  }

  get takesNoCalls(): boolean {
    return this.#draining || this.#transactions.full;
  }

  get sessionIntervalS(): number {
    return this.#options.sessionIntervalS;
  }

  get minSessionS(): number {
    return this.#options.minSessionS;
  }

  get transactionCount(): number {
    return this.#transactions.size;
  }

  get dialogCount(): number {
    return this.#dialogs.size;
  }

  /** Is there an answered call with this address, acknowledged from there? */
  hasCallWith(address: string): boolean {
    for (const { peerAddress, acknowledged } of this.#dialogs.values()) if (acknowledged && peerAddress === address) return true;
    return false;
  }

  drain(): void {
    this.#draining = true;
  }

  stop(): void {
    this.#transactions.stop();
    for (const holder of this.#dialogs.values()) holder.abandon();
    this.#dialogs.clear();
    this.#invites.stop();
  }

  handleResponse(response: SipResponse): void {
    const via = splitElements(response.headers.first('via') ?? '')?.[0];
    const branch = via === undefined ? undefined : parseVia(via)?.branch;
    const method = /[ \t](\S+)$/.exec(response.headers.first('cseq') ?? '')?.[1];
    if (response.fault || branch === undefined || method === undefined) {
      this.#metrics.dropped('malformed_response');
      return;
    }
    if (!this.#transactions.takeResponse(branch, method, response)) this.#metrics.dropped('stray_response');
  }

  /** @param replies the way of responses when it is not simply the source: a connection */
  handleRequest(message: SipRequest, source: SipSource, replies?: (via: Via | undefined) => Flow): void {
    this.#metrics.request(message.method);
    const read = readRequest(message, source, replies ?? ((via) => this.#datagramFlow(via, source)));
    if (read.type === 'unanswerable') {
      this.#metrics.dropped('no_via');
      this.#options.watch?.malformed(source);
      return;
    }
    if (read.type === 'fault') {
      this.#options.watch?.malformed(source);
      if (message.method === 'ACK') {
        this.#metrics.dropped('malformed_ack');
        return;
      }
      if (message.method === 'INVITE' && !read.head.toHasTag) {
        this.#options.refusedInvites?.malformed(read.head, message.uri, source, read.fault);
      }
      this.#stateless.refuseHead(read.head, read.fault, `${read.head.callId} ${read.head.from}`);
      return;
    }
    const { request } = read;
    if (request.method === 'ACK') {
      this.#handleAck(request);
      return;
    }
    const key = serverTransactionKey(request);
    if (this.#transactions.takeRepeat(key, request.method)) return;
    if (request.method === 'CANCEL') {
      this.#handleCancel(request, key);
      return;
    }
    const registers = this.#options.registers?.() ?? false;
    const refused = refuse(request, this.#options.minSessionS, registers);
    if (refused) {
      this.#refuse(request, refused);
      return;
    }
    if (request.toTag !== undefined) {
      this.#handleInDialog(request, key);
      return;
    }
    if (request.method === 'REGISTER') {
      this.#handleRegister(request, key);
      return;
    }
    if (request.method === 'OPTIONS') {
      this.#handleOptions(request);
      return;
    }
    if (request.method === 'INVITE') {
      this.#handleInvite(request, key);
      return;
    }
    if (request.method === 'REFER') {
      this.#refuse(request, NO_REFER);
      return;
    }
    this.#refuse(request, NO_DIALOG); // BYE, UPDATE and INFO live in dialogs only
  }

  #handleAck(request: IncomingRequest): void {
    if (this.#transactions.takeAck(serverTransactionKey(request, 'INVITE'))) return;
    const holder = this.#dialogs.get(dialogKey(request.callId, request.toTag ?? '', request.fromTag));
    if (!holder) {
      this.#metrics.dropped('stray_ack');
      return;
    }
    const { acknowledged } = holder;
    holder.handleAck(request);
    if (!acknowledged && holder.acknowledged) this.#options.watch?.acknowledged(request.source);
  }

  /** RFC 3261 §9.2. After a 2xx it is answered and changes nothing. The tag is the one of the INVITE's responses. */
  #handleCancel(request: IncomingRequest, key: string): void {
    const inviteKey = serverTransactionKey(request, 'INVITE');
    if (!this.#transactions.hasInvite(inviteKey)) {
      this.#refuse(request, NO_DIALOG);
      return;
    }
    const transaction = this.#transactions.openRequest(key, request.head.flow);
    this.respond(transaction, request, 200, { toTag: this.#invites.localTag(inviteKey) ?? this.#stateless.tag(request.callId) });
    this.#invites.cancel(inviteKey);
  }

  #handleInDialog(request: IncomingRequest, key: string): void {
    const holder = this.#dialogs.get(dialogKey(request.callId, request.toTag ?? '', request.fromTag));
    if (!holder) {
      this.#refuse(request, NO_DIALOG);
      return;
    }
    const { flow } = request.head;
    if (request.method === 'INVITE' && this.#transactions.full) {
      this.#refuse(request, OVERLOADED);
      return;
    }
    const transaction = request.method === 'INVITE' ? this.#transactions.openInvite(key, flow) : this.#transactions.openRequest(key, flow);
    holder.handleRequest(request, transaction);
  }

  #handleOptions(request: IncomingRequest): void {
    if (this.#draining) {
      this.#refuse(request, OVERLOADED);
      return;
    }
    this.#options.watch?.answered(request, 200);
    this.#stateless.answer(request.head, 200, { headers: [ALLOW, ACCEPT, SUPPORTED] }, request.callId);
  }

  /** A challenge leaves nothing behind; what was done is answered the same to each repeat. While we drain, phones are to find their way elsewhere. */
  #handleRegister(request: IncomingRequest, key: string): void {
    const { register } = this.#options;
    if (!register || this.#draining || this.#transactions.full) {
      this.#refuse(request, OVERLOADED);
      return;
    }
    const { status, reason, headers, kept, ...login } = register(request);
    if (!kept) {
      this.#refuse(request, { status, reason, ...(headers ? { headers } : {}), ...login });
      return;
    }
    const transaction = this.#transactions.openRequest(key, request.head.flow);
    this.respond(transaction, request, status, { reason, headers, toTag: this.#stateless.tag(request.callId) });
  }

  #handleInvite(request: IncomingRequest, key: string): void {
    if (this.#draining || this.#transactions.full) {
      this.#refuse(request, OVERLOADED);
      return;
    }
    const refused = this.#invites.accept(request, key);
    if (refused) this.#refuse(request, refused);
  }

  respond(transaction: ServerTransaction, request: IncomingRequest, status: number, parts: ResponseParts, repeats?: boolean): Uint8Array {
    const message = writeResponse(request.head, status, parts);
    if (status >= 200) this.#options.watch?.answered(request, status);
    this.#metrics.response(status);
    transaction.respond(status, message, repeats);
    return message;
  }

  request(...all: Parameters<RequestSender['request']>): SentRequest {
    return this.#sender.request(...all);
  }

  acknowledge(...all: Parameters<RequestSender['acknowledge']>): void {
    this.#sender.acknowledge(...all);
  }

  way(...all: Parameters<RequestSender['way']>): OutboundWay {
    return this.#sender.way(...all);
  }

  contact(...all: Parameters<RequestSender['contact']>): string {
    return this.#sender.contact(...all);
  }

  reaches(address: string): boolean {
    return this.#transports.reaches(address);
  }

  localAddressFor(remote: string): string {
    return this.#options.localAddressFor(remote);
  }

  #datagramFlow(via: Via | undefined, source: SipSource): Flow {
    const { address, port } = via ? responseTarget(via, source) : source;
    return this.#transports.flowTo({ address, port, transport: 'udp' });
  }

  assign(key: string, holder: DialogHolder | undefined): void {
    if (holder) this.#dialogs.set(key, holder);
    else this.#dialogs.delete(key);
  }

  /** A wrong password is the end of the call it begins; whether another refusal is says its status. */
  #refuse(request: IncomingRequest, refused: Refused & { readonly guessed?: boolean; readonly braked?: boolean }): void {
    const { guessed, braked } = refused;
    this.#options.watch?.answered(request, refused.status, guessed ? 'wrong' : braked ? 'braked' : undefined);
    if (request.method === 'INVITE' && request.toTag === undefined)
      this.#options.refusedInvites?.refused(request, refused, guessed || undefined);
    this.#stateless.refuse(request, refused);
  }
}
