import { type Endpoint, formatEndpoint } from '../../base/addresses.ts';
import type { Clock } from '../../base/clock.ts';
import { randomText } from '../../base/ids.ts';
import type { SipSource } from '../engine.ts';
import type { SentRequest } from './call-services.ts';
import type { Dialog } from './dialog.ts';
import type { Flow, Hop } from './flow.ts';
import type { OutboundWay } from './outbound-services.ts';
import type { ClientEvents, Transactions } from './transactions.ts';
import type { Transports } from './transports.ts';
import { uriHost } from './uri.ts';
import { BRANCH_COOKIE } from './via.ts';
import type { Body, HeaderLine } from './write-response.ts';

/** 128 bits: nobody guesses a branch. */
const ID_CHARACTERS = 22;

/** RFC 3261 §18.1.1: what is larger does not go by UDP where it can be helped, for it may be cut into fragments, and those are dropped by many. */
const MAX_DATAGRAM_BYTES = 1300;

/** Who takes no TCP now is asked again after this. */
const REFUSAL_MS = 600_000;

/** Addresses that have refused TCP: the trunks, and peers of calls we have. */
const MAX_REFUSALS = 256;

export interface RequestSenderDeps {
  readonly clock: Clock;
  readonly transports: Transports;
  readonly transactions: Transactions;
}

/** How requests of ours leave: which transport, with which Via, and what is done when a connection does not come up. */
export class RequestSender {
  readonly #deps: RequestSenderDeps;
  readonly #userAgent: string;
  readonly #refusals = new Map<string, number>();

  constructor(deps: RequestSenderDeps, options: { readonly userAgent: string }) {
    this.#deps = deps;
    this.#userAgent = options.userAgent;
  }

  /** CallServices.request() */
  request(
    dialog: Dialog,
    localAddress: string,
    method: string,
    headers: readonly HeaderLine[],
    events: ClientEvents,
    body?: Body,
  ): SentRequest {
    const lines: readonly HeaderLine[] = [...headers, ['User-Agent', this.#userAgent]];
    let cseq: number | undefined;
    let forgotten = false;
    const write = (via: string): Uint8Array => {
      const message = dialog.writeRequest({ method, via, headers: lines, body, ...(cseq === undefined ? {} : { cseq }) });
      cseq ??= dialog.localSequence;
      return message;
    };
    const send = (): { forget(): void } => {
      const way = this.way(dialog.nextHop(), localAddress, write);
      // Of a refusal: same branch, route and number (RFC 3261 §17.1.1.3); inside a dialog the tag in To is the same, too.
      const ack = method === 'INVITE' && cseq !== undefined ? dialog.writeRequest({ method: 'ACK', via: way.via, cseq }) : undefined;
      const again = (): void => {
        if (!forgotten) current = send();
      };
      return way.send(method, way.message, { ...eventsOf(events), ...(way.mayFail ? { onUndelivered: again } : {}) }, ack && (() => ack));
    };
    let current = send();
    return {
      cseq: cseq ?? dialog.localSequence,
      forget: () => {
        forgotten = true;
        current.forget();
      },
    };
  }

  /** CallServices.acknowledge() */
  acknowledge(dialog: Dialog, localAddress: string, cseq: number, body?: Body, headers: readonly HeaderLine[] = []): void {
    const write = (via: string): Uint8Array => dialog.writeRequest({ method: 'ACK', via, cseq, headers, body });
    const way = this.way(dialog.nextHop(), localAddress, write);
    const byUdp = (): void => {
      this.#note(way.flow.remote);
      const { flow, message } = this.way(dialog.nextHop(), localAddress, write);
      flow.send(message);
    };
    way.flow.send(way.message, way.mayFail ? byUdp : undefined);
  }

  /**
   * Opens a way for one message, which `write` makes for the Via it is given. A message that is too large for a datagram goes by TCP, unless its
   * receiver has refused that; `mayFail` then says that it is to be sent by another way if it cannot be delivered.
   */
  way(hop: Hop, localAddress: string, write: (via: string) => Uint8Array): OutboundWay {
    const plain = this.#open(this.#deps.transports.flowTo(hop), localAddress, write);
    if (plain.flow.reliable || plain.message.length <= MAX_DATAGRAM_BYTES || this.#hasRefused(hop)) return plain;
    const { address, port } = hop;
    const byTcp = this.#open(this.#deps.transports.flowTo({ address, port, transport: 'tcp' }), localAddress, write, true);
    return { ...byTcp, usual: plain.flow, mayFail: true };
  }

  contact(localAddress: string, transport: SipSource['transport'] = 'udp', secure = false): string {
    const over = transport === 'wss' ? 'ws' : transport; // RFC 7118 §5.2 knows no wss
    const parameter = over === 'udp' || (over === 'tls' && secure) ? '' : `;transport=${over}`;
    return `<${secure ? 'sips' : 'sip'}:${uriHost(localAddress)}:${this.#deps.transports.portOf(transport)}${parameter}>`;
  }

  /** @param forSize it goes by this flow for its size alone, and who refuses it is remembered */
  #open(flow: Flow, localAddress: string, write: (via: string) => Uint8Array, forSize = false): OutboundWay {
    const branch = `${BRANCH_COOKIE}${randomText(ID_CHARACTERS)}`;
    const port = this.#deps.transports.portOf(flow.transport);
    const via = `SIP/2.0/${flow.transport.toUpperCase()} ${uriHost(localAddress)}:${port};branch=${branch};rport`;
    return {
      flow,
      usual: flow,
      mayFail: false,
      via,
      message: write(via),
      send: (method, message, events, acknowledge) => {
        const { onUndelivered } = events;
        return this.#deps.transactions.send(
          { method, branch, message, flow, ...(acknowledge ? { acknowledge } : {}) },
          onUndelivered
            ? {
                ...eventsOf(events),
                onUndelivered: (why) => this.#undelivered(forSize ? flow.remote : undefined, () => onUndelivered(why)),
              }
            : events,
        );
      },
    };
  }

  /** Later, so that nothing is sent again while it is still being sent. */
  #undelivered(refuses: Endpoint | undefined, tell: () => void): void {
    if (refuses) this.#note(refuses);
    this.#deps.clock.setTimer(0, tell);
  }

  #note(remote: Endpoint): void {
    const key = formatEndpoint(remote);
    this.#refusals.delete(key);
    if (this.#refusals.size >= MAX_REFUSALS) this.#refusals.delete(this.#refusals.keys().next().value ?? '');
    this.#refusals.set(key, this.#deps.clock.now() + REFUSAL_MS);
  }

  #hasRefused(remote: Endpoint): boolean {
    return (this.#refusals.get(formatEndpoint(remote)) ?? Number.NEGATIVE_INFINITY) > this.#deps.clock.now();
  }
}

/** Those that every transaction has. */
function eventsOf(events: ClientEvents): ClientEvents {
  return { onResponse: (response) => events.onResponse(response), onTimeout: () => events.onTimeout() };
}
