import { type Endpoint, formatEndpoint } from '../../../src/base/addresses.ts';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import type { DatagramSocket } from '../../../src/base/udp.ts';
import { EmbeddedEngine, type EmbeddedEngineOptions } from '../../../src/sip/embedded/embedded-engine.ts';
import { TrunkBook } from '../../../src/sip/trunk-book.ts';
import type { FakeClock } from '../../support/fake-clock.ts';
import { seededRandom } from '../../support/random.ts';
import { header } from './engine-under-test.ts';
import { FakeListener, FakeStream } from './fake-stream.ts';
import { TRUNK } from './outbound-under-test.ts';

export const CALLER: Endpoint = { address: '192.0.2.1', port: 5060 };
export const CALLEE: Endpoint = { address: '192.0.2.9', port: 5060 };

/** A datagram that somebody sent, whether it arrived or not. */
export interface Datagram {
  readonly at: number;
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly text: string;
  readonly lost: boolean;
}

export interface BadNetworkOptions {
  readonly seed?: number;
  /** 0 … 1 of the datagrams vanish. */
  readonly loss?: number;
  /** 0 … 1 of them arrive twice. */
  readonly twice?: number;
  /** Each takes a time of its own, so that they overtake each other. */
  readonly delayMs?: readonly [least: number, most: number];
}

/** A network on a fake clock that loses, doubles, delays and reorders: the same for the same seed. */
export class BadNetwork {
  readonly #clock: FakeClock;
  readonly #options: BadNetworkOptions;
  readonly #random: () => number;
  readonly #sockets = new Map<string, DatagramSocket>();
  readonly datagrams: Datagram[] = [];
  /** True loses the datagram, whatever chance says. */
  lose: ((text: string, from: Endpoint) => boolean) | undefined;
  /** A box in between that changes what passes. */
  rewrite: ((text: string) => string) | undefined;

  constructor(clock: FakeClock, options: BadNetworkOptions = {}) {
    this.#clock = clock;
    this.#options = options;
    this.#random = seededRandom(options.seed ?? 1);
  }

  open(local: Endpoint): DatagramSocket {
    const socket: DatagramSocket = {
      local,
      sendErrors: 0,
      onDatagram: undefined,
      send: (datagram, to) => this.send(Buffer.from(datagram).toString(), local, to),
      close: () => {
        if (this.#sockets.get(formatEndpoint(local)) === socket) this.#sockets.delete(formatEndpoint(local));
      },
    };
    this.#sockets.set(formatEndpoint(local), socket);
    return socket;
  }

  send(text: string, from: Endpoint, to: Endpoint): void {
    const { loss = 0, twice = 0, delayMs: [least, most] = [20, 20] } = this.#options;
    const lost = this.#random() < loss || (this.lose?.(text, from) ?? false);
    const copies = this.#random() < twice ? 2 : 1;
    this.datagrams.push({ at: this.#clock.now(), from, to, text, lost });
    if (lost) return;
    const arrives = Buffer.from(this.rewrite?.(text) ?? text);
    for (let copy = 0; copy < copies; copy += 1) {
      const delay = least + Math.floor(this.#random() * (most - least + 1));
      this.#clock.setTimer(delay, () => this.#sockets.get(formatEndpoint(to))?.onDatagram?.(Buffer.from(arrives), from));
    }
  }
}

export interface EngineOnNetwork {
  readonly engine: EmbeddedEngine;
  /** What it holds: nothing of a call, once the call is forgotten. */
  held(): Promise<{ readonly transactions: number; readonly dialogs: number }>;
  /** What it logged as broken. */
  readonly faults: string[];
}

/** An engine on a network in memory. It may call `trunkPeer`. */
export async function engineOn(
  clock: FakeClock,
  network: BadNetwork,
  local: Endpoint,
  { trunkPeer, ...options }: Partial<EmbeddedEngineOptions> & { readonly trunkPeer?: Endpoint } = {},
): Promise<EngineOnNetwork> {
  const metrics = new Metrics();
  const faults: string[] = [];
  const engine = new EmbeddedEngine(
    {
      clock,
      log: createLog('error', { write: (line) => void faults.push(line) }),
      metrics,
      ...(trunkPeer && { trunks: new TrunkBook(clock, [{ ...TRUNK, peer: trunkPeer, caps: { ...TRUNK.caps, durationS: 86_400 } }]) }),
      bind: async (at) => network.open(at),
      listen: async (at) => new FakeListener(at),
      connect: (to) => new FakeStream(to),
    },
    { bind: local.address, port: local.port, requestsPerSecond: 0, userAgent: 'ringdown', ...options },
  );
  await engine.start();
  const count = async (name: string): Promise<number> => {
    const line = (await metrics.text()).split('\n').find((each) => each.startsWith(`ringdown_${name} `));
    return Number(line?.split(' ').at(-1) ?? 0);
  };
  const held = async () => ({ transactions: await count('sip_transactions'), dialogs: await count('sip_dialogs') });
  return { engine, held, faults };
}

function branch(text: string): string | undefined {
  return /;branch=([^;\s]+)/.exec(header(text, 'Via') ?? '')?.[1];
}

/** Final responses by the request they answer, repeats left out. */
export function finals(datagrams: readonly Datagram[]): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const { from, text } of datagrams) {
    if (!/^SIP\/2\.0 [2-6]/.test(text)) continue;
    const request = `${header(text, 'CSeq')} ${branch(text)} to ${from.address}`;
    found.set(request, (found.get(request) ?? new Set()).add(text));
  }
  return found;
}

/** Requests that arrived somewhere, repeats left out. */
export function requests(datagrams: readonly Datagram[]): Set<string> {
  const arrived = datagrams.filter(({ lost, text }) => !lost && /^(?!SIP|ACK)/.test(text));
  return new Set(arrived.map(({ to, text }) => `${header(text, 'CSeq')} ${branch(text)} to ${to.address}`));
}
