import type { Socket } from 'node:net';
import { type Endpoint, formatEndpoint, plainAddress } from '../../base/addresses.ts';
import type { Clock } from '../../base/clock.ts';
import type { Flow } from '../embedded/flow.ts';
import { parseMessage, type SipMessage, type SipRequest, type SipResponse } from '../embedded/message.ts';
import { parseNameAddress } from '../embedded/name-address.ts';
import type { SipListener, SipSource } from '../engine.ts';
import { sendResponse } from './send-response.ts';
import {
  goodbyeAfter,
  inwardRequest,
  inwardResponse,
  madeUpResponse,
  outward,
  sentLine,
  serverGoodbye,
  transactionOf,
} from './server-messages.ts';
import { SocketUses } from './socket-uses.ts';
import type { SrfAcknowledge, SrfMessage, SrfRequest, SrfRequestOptions, SrfResponse } from './srf.ts';

export interface DrachtioWireDeps {
  readonly clock: Clock;
  /** A connection by which a call can be placed. */
  readonly dialling: () => Socket | undefined;
  readonly request: (options: SrfRequestOptions, done: (error: unknown, request?: SrfRequest) => void) => void;
  /** Nothing that came by this connection lives any more. */
  readonly release: (socket: Socket) => void;
  readonly onRequest: (message: SipRequest, source: SipSource, flow: Flow) => void;
  readonly onResponse: (message: SipResponse) => void;
}

/** A request of somebody that waits for our final response. */
interface Asked {
  readonly response: SrfResponse;
  readonly socket: Socket;
  readonly source: SipSource;
  readonly flow: Flow;
  /** It begins a dialog. */
  readonly initial: boolean;
  /** RSeq of the reliable provisional response that was last sent. */
  rseq?: string;
}

/** A request of ours that waits for its final response. */
interface Sent {
  readonly message: SipRequest;
  readonly socket: Socket;
  request?: SrfRequest;
  cancelled: boolean;
}

interface DialogAtServer {
  readonly id: string;
  readonly socket: Socket;
}

/** Beyond these the oldest is forgotten: what a process can hold of calls, several times over. */
const MAX_KEPT = 50_000;

/**
 * Between our user agent and a drachtio server. The user agent writes and reads whole SIP messages, as it does on sockets of its own; the server has the transactions,
 * the routes, the numbers and the timers of sessions. Here each message is turned into what the other one understands: responses find their request again, requests
 * inside a dialog the server's name for it.
 */
export class DrachtioWire {
  readonly #deps: DrachtioWireDeps;
  readonly #uses: SocketUses;
  readonly #asked = new Map<string, Asked>();
  readonly #sent = new Map<string, Sent>();
  readonly #dialogs = new Map<string, DialogAtServer>();
  readonly #acknowledges = new Map<string, SrfAcknowledge>();
  /** By Call-ID: the server's number of a reliable response, and ours (RFC 3262). */
  readonly #reliable = new Map<string, { readonly theirs: string; readonly ours: string }>();

  constructor(deps: DrachtioWireDeps) {
    this.#deps = deps;
    this.#uses = new SocketUses(deps.clock, deps.release);
  }

  /** @param socket the connection of the call; without one, any that places calls */
  flow(remote: Endpoint, transport: SipListener['transport'], socket?: Socket): Flow {
    const wire = this;
    return {
      transport,
      reliable: true,
      remote,
      get open() {
        return socket ? socket.writable : wire.#deps.dialling() !== undefined;
      },
      send: (bytes, onFailed) => wire.#send(bytes, { transport, remote, socket }, onFailed),
    };
  }

  /** A request that came by the server. */
  handleRequest(request: SrfRequest, response: SrfResponse): void {
    const { socket, method } = request;
    const raw = request.msg.raw;
    const message = request.source === 'application' ? serverGoodbye(raw) : inwardRequest(raw, this.#rackOf(raw));
    if (!message) return;
    const source = sourceOf(request);
    const flow = this.flow(source, source.transport, socket);
    if (method !== 'ACK' && request.source === 'network') {
      this.#uses.take(socket);
      keep(this.#asked, transactionOf(message), { response, socket, source, flow, initial: dialogOf(message, 'theirs') === undefined });
    }
    const key = dialogOf(message, 'theirs');
    if (key !== undefined && request.stackDialogId !== undefined) this.#learn(key, request.stackDialogId, socket);
    if (method === 'INVITE') {
      request.on('cancel', (cancel) => this.#cancelled(cancel, source, flow));
      request.on('update', (update, answer) => this.handleRequest(update, answer));
    }
    this.#deps.onRequest(message, source, flow);
    if (method === 'BYE' && key !== undefined) this.#forget(key);
  }

  /** The server is gone: nothing it had of us can be answered any more. */
  lost(socket: Socket): void {
    for (const [key, asked] of this.#asked) if (asked.socket === socket) this.#asked.delete(key);
    for (const [key, dialog] of this.#dialogs) if (dialog.socket === socket) this.#dialogs.delete(key);
    for (const [key, sent] of this.#sent) {
      if (sent.socket !== socket) continue;
      this.#sent.delete(key);
      this.#deps.onResponse(madeUpResponse(503, 'the SIP server is gone', sent.message));
    }
    this.#uses.lost(socket);
  }

  #cancelled({ raw }: SrfMessage, source: SipSource, flow: Flow): void {
    const message = inwardRequest(raw);
    if (message) this.#deps.onRequest(message, source, flow);
  }

  #send(bytes: Uint8Array, way: Way, onFailed: ((why?: string) => void) | undefined): void {
    const message = parseMessage(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    if (!message) return;
    if (message.type === 'response') this.#respond(message);
    else if (message.method === 'ACK') this.#acknowledge(message);
    else if (message.method === 'CANCEL') this.#cancel(message);
    else this.#ask(message, way, onFailed);
  }

  #respond(message: SipResponse): void {
    const { status, headers, reason } = message;
    const key = transactionOf(message);
    const asked = this.#asked.get(key);
    if (!asked || status === 100) return; // repeated, or said by the server already
    const rseq = headers.first('rseq');
    if (rseq !== undefined && rseq === asked.rseq) return;
    if (rseq !== undefined) asked.rseq = rseq;
    const { headers: lines, body } = outward(message, false);
    const to = headers.first('to');
    if (to !== undefined) lines['To'] = to; // for the tag
    const { response, socket } = asked;
    if (status >= 200) this.#asked.delete(key);
    sendResponse(response, status, reason, { headers: lines, ...(body === undefined ? {} : { body }) }, (error, sent) => {
      // The server has given the call up before it heard of our answer, to a CANCEL: nobody will acknowledge it.
      if (error && asked.initial && status >= 200 && status < 300 && key.endsWith(' INVITE')) {
        this.#deps.onRequest(goodbyeAfter(message), asked.source, asked.flow);
      }
      if (rseq !== undefined) this.#learnNumber(headers.first('call-id') ?? '', rseq, sent?.raw);
      const dialog = status < 300 && key.endsWith(' INVITE') ? dialogOf(message, 'theirs') : undefined;
      if (dialog !== undefined && response.stackDialogId !== undefined) this.#learn(dialog, response.stackDialogId, socket);
      if (status >= 200) this.#uses.leave(socket);
    });
  }

  /** Of a 2xx. Refusals are acknowledged by the server. */
  #acknowledge(message: SipRequest): void {
    const key = invitationOf(message);
    const acknowledge = this.#acknowledges.get(key);
    this.#acknowledges.delete(key);
    const { headers, body } = outward(message, false);
    acknowledge?.({ headers, ...(body === undefined ? {} : { body }) });
  }

  #cancel(message: SipRequest): void {
    const sent = this.#sent.get(transactionOf(message).replace(/CANCEL$/, 'INVITE'));
    this.#deps.clock.setTimer(0, () => this.#deps.onResponse(madeUpResponse(200, 'OK', message))); // the server keeps its answer for itself
    if (!sent) return;
    sent.cancelled = true;
    sent.request?.cancel({}, () => undefined);
  }

  #ask(message: SipRequest, way: Way, onFailed: ((why?: string) => void) | undefined): void {
    const key = transactionOf(message);
    if (this.#sent.has(key)) return; // repeated by a transaction that thinks it is alone
    const place = dialogOf(message, 'ours');
    const dialog = place === undefined ? undefined : this.#dialogs.get(place);
    if (place !== undefined && !dialog) {
      this.#later(madeUpResponse(481, 'Call Does Not Exist', message));
      return;
    }
    const socket = dialog?.socket ?? this.#deps.dialling();
    if (!socket) {
      this.#deps.clock.setTimer(0, () => onFailed?.('no drachtio server is connected'));
      return;
    }
    const sent: Sent = { message, socket, cancelled: false };
    keep(this.#sent, key, sent);
    this.#uses.take(socket);
    this.#deps.request(optionsOf(message, way, socket, dialog), (error, request) => {
      if (error || !request) {
        this.#answered(key, madeUpResponse(isGone(error) ? 481 : 503, 'the SIP server did not send it', message));
        return;
      }
      sent.request = request;
      if (sent.cancelled) request.cancel({}, () => undefined);
      if (message.method === 'INVITE') request.on('update', (update, answer) => this.handleRequest(update, answer));
      request.on('response', (response, acknowledge) => this.#handleResponse(key, sent, response, acknowledge));
    });
  }

  #handleResponse(key: string, { message, socket }: Sent, { msg, stackDialogId }: SrfResponse, acknowledge: SrfAcknowledge): void {
    const response = inwardResponse(msg.raw, sentLine(message));
    if (!response) return;
    const { status } = response;
    const dialog = dialogOf(response, 'ours');
    if (message.method === 'INVITE' && status > 100 && status < 300 && dialog !== undefined && stackDialogId !== undefined) {
      this.#learn(dialog, stackDialogId, socket);
      if (status >= 200) keep(this.#acknowledges, invitationOf(message), acknowledge);
    }
    if (status < 200) {
      this.#deps.onResponse(response);
      return;
    }
    const initial = dialogOf(message, 'ours') === undefined;
    if (status >= 300 && message.method === 'INVITE' && initial) this.#forgetEarly(message);
    if (message.method === 'BYE' && dialog !== undefined) this.#forget(dialog);
    this.#answered(key, response);
  }

  #answered(key: string, response: SipResponse): void {
    const sent = this.#sent.get(key);
    if (!sent) return;
    this.#sent.delete(key);
    this.#deps.onResponse(response);
    this.#uses.leave(sent.socket);
  }

  #later(response: SipResponse): void {
    this.#deps.clock.setTimer(0, () => this.#deps.onResponse(response));
  }

  #learn(key: string, id: string, socket: Socket): void {
    if (!this.#dialogs.has(key)) this.#uses.take(socket);
    keep(this.#dialogs, key, { id, socket });
  }

  #forget(key: string): void {
    const dialog = this.#dialogs.get(key);
    if (!dialog) return;
    this.#dialogs.delete(key);
    this.#reliable.delete(key.split(' ')[0] ?? '');
    this.#uses.leave(dialog.socket);
  }

  /** The branches of an INVITE that came to nothing. */
  #forgetEarly({ headers }: SipRequest): void {
    const start = `${headers.first('call-id') ?? ''} ${tagOf(headers.first('from'))} `;
    for (const key of this.#dialogs.keys()) if (key.startsWith(start)) this.#forget(key);
  }

  #learnNumber(callId: string, ours: string, sent: string | undefined): void {
    const theirs = /^rseq[ \t]*:[ \t]*(\d+)/im.exec(sent ?? '')?.[1];
    if (theirs !== undefined) keep(this.#reliable, callId, { theirs, ours });
  }

  /** RAck of a PRACK as it means our response. */
  #rackOf(raw: string | undefined): string | undefined {
    const [, theirs, rest] = /^rack[ \t]*:[ \t]*(\d+)([ \t]+\d+[ \t]+\S+)/im.exec(raw ?? '') ?? [];
    const callId = /^(?:call-id|i)[ \t]*:[ \t]*(\S+)/im.exec(raw ?? '')?.[1];
    const known = theirs === undefined || callId === undefined ? undefined : this.#reliable.get(callId);
    return known && known.theirs === theirs ? `${known.ours}${rest}` : undefined;
  }
}

interface Way {
  readonly transport: SipListener['transport'];
  readonly remote: Endpoint;
  readonly socket: Socket | undefined;
}

function optionsOf(message: SipRequest, { transport, remote }: Way, socket: Socket, dialog: DialogAtServer | undefined): SrfRequestOptions {
  const { headers, body } = outward(message, dialog === undefined);
  const rest = { method: message.method, headers, ...(body === undefined ? {} : { body }), _socket: socket };
  if (dialog) return { ...rest, stackDialogId: dialog.id };
  return { ...rest, uri: message.uri, proxy: `sip:${formatEndpoint(remote)};transport=${transport}` };
}

function sourceOf({ source_address: address, source_port: port, protocol }: SrfRequest): SipSource {
  const transports = ['udp', 'tcp', 'tls', 'ws', 'wss'] as const;
  return {
    address: plainAddress(address),
    port: Number(port),
    transport: transports.find((each) => each === protocol.toLowerCase()) ?? 'udp',
  };
}

/** Call-ID and both tags, ours first; undefined where there is no dialog yet. @param whose the request is, or the one that is responded to */
function dialogOf({ headers }: SipMessage, whose: 'ours' | 'theirs'): string | undefined {
  const from = tagOf(headers.first('from'));
  const to = tagOf(headers.first('to'));
  if (to === '') return undefined;
  return `${headers.first('call-id') ?? ''} ${whose === 'ours' ? `${from} ${to}` : `${to} ${from}`}`;
}

/** Names an INVITE of ours, for its ACK. */
function invitationOf({ headers }: SipMessage): string {
  return `${headers.first('call-id') ?? ''} ${tagOf(headers.first('from'))} ${Number.parseInt(headers.first('cseq') ?? '', 10)}`;
}

function tagOf(address: string | undefined): string {
  return parseNameAddress(address ?? '')?.parameters.get('tag') ?? '';
}

/** drachtio-srf names a dialog that the server has forgotten. */
function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENODIALOG';
}

function keep<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > MAX_KEPT) map.delete(map.keys().next().value ?? '');
}
