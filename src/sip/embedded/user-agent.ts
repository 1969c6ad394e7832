import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { randomText } from '../../base/ids.ts';
import type { Logger } from '../../base/log.ts';
import type { InboundCall, SipSource } from '../engine.ts';
import { type Refused, refuse } from './admission.ts';
import type { DialogHolder, SentRequest } from './call-services.ts';
import { ACCEPT, ALLOW, RETRY_AFTER_S, SUPPORTED } from './capabilities.ts';
import { dialogKey } from './dialog.ts';
import { DialogCall } from './dialog-call.ts';
import type { Flow } from './flow.ts';
import { InboundInvite } from './inbound-invite.ts';
import type { LoginRefusal } from './inbound-login.ts';
import { type IncomingRequest, mergeKey, type ReplyHead, readRequest, serverTransactionKey } from './incoming-request.ts';
import { bad, type SipRequest, type SipResponse } from './message.ts';
import type { OutboundServices, OutboundWay } from './outbound-services.ts';
import type { RefusedInvites } from './refused-invites.ts';
import { readReplaces } from './replaces.ts';
import { RequestSender } from './request-sender.ts';
import type { SipMetrics } from './sip-metrics.ts';
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

export interface UserAgentOptions {
  readonly userAgent: string;
  readonly maxTransactions: number;
  /** The address a peer at `remote` reaches us at. */
  readonly localAddressFor: (remote: string) => string;
  /** RFC 4028: what we ask for, 0 for nothing, and the least we accept. */
  readonly sessionIntervalS: number;
  readonly minSessionS: number;
  /** Hears of INVITEs that are refused here. */
  readonly refusedInvites?: RefusedInvites;
  /** Why an INVITE from there may not come in: it has to authenticate first. Everything may when absent. */
  readonly login?: (request: IncomingRequest) => LoginRefusal | undefined;
  /** May an INVITE from this address take the place of a call? Only from the address of its peer when absent. */
  readonly mayReplace?: (address: string, call: DialogCall) => boolean;
}

/** 128 bits: nobody guesses a tag or a branch. */
const ID_CHARACTERS = 22;

/**
 * The core of the embedded engine (RFC 3261 §8.2, §12.2.2): takes whole messages, finds the transaction, dialog or call
 * they belong to, and answers by itself whatever needs no decision. What it refuses without a call is answered statelessly
 * (§8.2.7): one response a request, and nothing remembered.
 */
export class UserAgent implements OutboundServices {
  readonly clock: Clock;
  readonly log: Logger;
  onInvite: ((invite: InboundCall) => void) | undefined;
  readonly #metrics: SipMetrics;
  readonly #options: UserAgentOptions;
  readonly #transports: Transports;
  readonly #transactions: Transactions;
  readonly #sender: RequestSender;
  readonly #dialogs = new Map<string, DialogHolder>();
  /** INVITEs of calls that have no final response yet, by the key of their transaction. */
  readonly #pending = new Map<string, InboundInvite>();
  /** INVITE transactions by what identifies the request however it came. */
  readonly #merges = new Set<string>();
  /** What INVITEs from outside are answered with, by the key of their transaction: for a CANCEL that comes after the answer. */
  readonly #localTags = new Map<string, string>();
  readonly #tagSecret = randomBytes(16);
  #draining = false;

  constructor({ clock, log, metrics }: UserAgentDeps, transports: Transports, options: UserAgentOptions) {
    this.clock = clock;
    this.log = log;
    this.#metrics = metrics;
    this.#transports = transports;
    this.#options = options;
    this.#transactions = new Transactions({ clock }, { limit: options.maxTransactions });
    this.#sender = new RequestSender({ clock, transports, transactions: this.#transactions }, { userAgent: options.userAgent });
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

  drain(): void {
    this.#draining = true;
  }

  stop(): void {
    this.#transactions.stop();
    for (const holder of this.#dialogs.values()) holder.abandon();
    this.#dialogs.clear();
    this.#pending.clear();
    this.#merges.clear();
    this.#localTags.clear();
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
      return;
    }
    if (read.type === 'fault') {
      if (message.method === 'ACK') {
        this.#metrics.dropped('malformed_ack');
        return;
      }
      if (message.method === 'INVITE' && !read.head.toHasTag) {
        this.#options.refusedInvites?.malformed(read.head, message.uri, source, read.fault);
      }
      this.#refuse(read.head, read.fault, `${read.head.callId} ${read.head.from}`);
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
    const refused = refuse(request, this.#options.minSessionS);
    if (refused) {
      this.#refuseRequest(request, refused);
      return;
    }
    if (request.toTag !== undefined) {
      this.#handleInDialog(request, key);
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
      this.#refuseRequest(request, NO_REFER);
      return;
    }
    this.#refuseRequest(request, NO_DIALOG); // BYE, UPDATE and INFO live in dialogs only
  }

  #handleAck(request: IncomingRequest): void {
    if (this.#transactions.takeAck(serverTransactionKey(request, 'INVITE'))) return;
    const holder = this.#dialogs.get(dialogKey(request.callId, request.toTag ?? '', request.fromTag));
    if (holder) holder.handleAck(request);
    else this.#metrics.dropped('stray_ack');
  }

  /** RFC 3261 §9.2. After a 2xx it is answered and changes nothing. The tag is the one of the INVITE's responses. */
  #handleCancel(request: IncomingRequest, key: string): void {
    const inviteKey = serverTransactionKey(request, 'INVITE');
    if (!this.#transactions.hasInvite(inviteKey)) {
      this.#refuseRequest(request, NO_DIALOG);
      return;
    }
    const transaction = this.#transactions.openRequest(key, request.head.flow);
    const invite = this.#pending.get(inviteKey);
    this.respond(transaction, request, 200, { toTag: this.#localTags.get(inviteKey) ?? this.#statelessTag(request.callId) });
    invite?.cancel();
  }

  #handleInDialog(request: IncomingRequest, key: string): void {
    const holder = this.#dialogs.get(dialogKey(request.callId, request.toTag ?? '', request.fromTag));
    if (!holder) {
      this.#refuseRequest(request, NO_DIALOG);
      return;
    }
    const { flow } = request.head;
    if (request.method === 'INVITE' && this.#transactions.full) {
      this.#refuseRequest(request, OVERLOADED);
      return;
    }
    const transaction = request.method === 'INVITE' ? this.#transactions.openInvite(key, flow) : this.#transactions.openRequest(key, flow);
    holder.handleRequest(request, transaction);
  }

  #handleOptions(request: IncomingRequest): void {
    if (this.#draining) {
      this.#refuseRequest(request, OVERLOADED);
      return;
    }
    this.#answerStateless(request.head, 200, { headers: [ALLOW, ACCEPT, SUPPORTED] }, request.callId);
  }

  #handleInvite(request: IncomingRequest, key: string): void {
    if (this.#draining || this.#transactions.full) {
      this.#refuseRequest(request, OVERLOADED);
      return;
    }
    const merge = mergeKey(request);
    if (this.#merges.has(merge)) {
      this.#refuseRequest(request, { status: 482, reason: 'Loop Detected' });
      return;
    }
    const stranger = this.#options.login?.(request);
    if (stranger) {
      this.#refuseRequest(request, stranger, stranger.guessed);
      return;
    }
    const replaced = this.#replaced(request);
    if (replaced && 'status' in replaced) {
      this.#refuseRequest(request, replaced);
      return;
    }
    const localTag = randomText(ID_CHARACTERS);
    this.#merges.add(merge);
    this.#localTags.set(key, localTag);
    const transaction = this.#transactions.openInvite(key, request.head.flow, () => {
      this.#merges.delete(merge);
      this.#localTags.delete(key);
    });
    const invite = new InboundInvite(this, {
      request,
      transaction,
      localTag,
      ...(replaced ? { replaces: replaced } : {}),
      localAddress: this.#options.localAddressFor(request.source.address),
      onFinal: () => this.#pending.delete(key),
    });
    this.#pending.set(key, invite);
    try {
      if (this.onInvite) this.onInvite(invite);
      else invite.reject({ status: 480 });
    } catch (error) {
      this.log.error({ err: error }, 'the handler of an invite failed');
      invite.reject({ status: 500 });
    }
    invite.trying();
  }

  /** The call that an INVITE is to take the place of (RFC 3891 §3), or why it may not. */
  #replaced(request: IncomingRequest): DialogCall | Refused | undefined {
    const values = request.message.headers.all('replaces');
    const [value] = values;
    if (value === undefined) return undefined;
    const replaces = values.length === 1 ? readReplaces(value) : undefined;
    if (!replaces) return bad('Replaces');
    const holder = this.#dialogs.get(dialogKey(replaces.callId, replaces.toTag, replaces.fromTag));
    if (!(holder instanceof DialogCall)) return NO_DIALOG;
    // Knowing both tags is not enough: they may have been overheard, or leaked by a REFER.
    if (!(this.#options.mayReplace?.(request.source.address, holder) ?? holder.peerAddress === request.source.address)) {
      return { status: 403, reason: 'Forbidden' };
    }
    return replaces.earlyOnly ? { status: 486, reason: 'Busy Here' } : holder;
  }

  respond(transaction: ServerTransaction, request: IncomingRequest, status: number, parts: ResponseParts, repeats?: boolean): Uint8Array {
    const message = writeResponse(request.head, status, parts);
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

  contact(localAddress: string, transport?: SipSource['transport']): string {
    return this.#sender.contact(localAddress, transport);
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

  /** @param final whether it is the end of the call it begins; as its status says when absent */
  #refuseRequest(request: IncomingRequest, refused: Refused, final?: boolean): void {
    if (request.method === 'INVITE' && request.toTag === undefined)
      this.#options.refusedInvites?.refused(request, refused, final || undefined);
    this.#refuse(request.head, refused, request.callId);
  }

  #refuse(head: ReplyHead, { status, reason, headers }: Refused, tagSeed: string): void {
    this.#answerStateless(head, status, { reason, headers }, tagSeed);
  }

  #answerStateless(head: ReplyHead, status: number, parts: ResponseParts, tagSeed: string): void {
    this.#metrics.response(status);
    head.flow.send(writeResponse(head, status, { ...parts, toTag: this.#statelessTag(tagSeed) }));
  }

  /** The same tag for every repeat of a request, without remembering it (RFC 3261 §8.2.7). */
  #statelessTag(seed: string): string {
    return createHmac('sha1', this.#tagSecret).update(seed).digest('hex').slice(0, 16);
  }
}

/** Nobody is dialled for a stranger. */
const NO_REFER: Refused = { status: 405, reason: 'Method Not Allowed', headers: [ALLOW] };
const NO_DIALOG: Refused = { status: 481, reason: 'Call/Transaction Does Not Exist' };
const OVERLOADED: Refused = { status: 503, reason: 'Service Unavailable', headers: [['Retry-After', String(RETRY_AFTER_S)]] };
