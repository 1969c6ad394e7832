import type { Clock } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import { bindUdp, type DatagramSocket } from '../base/udp.ts';

/** The two sockets of one call. */
export interface RtpPorts {
  readonly rtp: DatagramSocket;
  readonly rtcp: DatagramSocket;
  /** Closes both; the pair then rests before another call gets it. Repeated calls do nothing. */
  release(): void;
}

export interface RtpPortPoolOptions {
  /** Local address to bind. */
  readonly address: string;
  /** Ports to use, both ends included; undefined lets the kernel choose, and then the two need not be neighbours. */
  readonly range?: { readonly first: number; readonly last: number };
  /** How long a freed pair rests. */
  readonly restMs?: number;
}

/**
 * A caller whose BYE is on its way goes on sending for a round trip or two, an unanswered BYE is repeated within 4 s (T2):
 * after 5 s nobody reasonable sends to a port any more. Source learning drops who still does.
 */
const REST_MS = 5000;

/** Pairs tried when others have taken ports of our range; a bind costs 0.1 ms. */
const MAX_TRIES = 256;

/** Hands out even/odd pairs of UDP ports (RFC 3550 §11), the one that rested longest first. */
export class RtpPortPool {
  readonly #clock: Clock;
  readonly #address: string;
  readonly #restMs: number;
  /** Even ports that nobody has, in the order they will be given out. */
  readonly #free: { readonly port: number; readonly restedAt: number }[] | undefined;
  #inUse = 0;

  constructor(clock: Clock, { address, range, restMs = REST_MS }: RtpPortPoolOptions) {
    this.#clock = clock;
    this.#address = address;
    this.#restMs = restMs;
    if (!range) return;
    this.#free = [];
    for (let port = range.first + (range.first & 1); port + 1 <= range.last; port += 2) this.#free.push({ port, restedAt: 0 });
    // Start anywhere: after a restart, callers of the process before may still be sending to its first ports.
    const start = Math.floor(Math.random() * this.#free.length);
    this.#free.push(...this.#free.splice(0, start));
  }

  /** How many pairs are in use. */
  get inUse(): number {
    return this.#inUse;
  }

  /** @throws GatewayError ERR_NO_PORT when every pair is taken, resting or refused by the kernel */
  async open(): Promise<RtpPorts> {
    return this.#free ? await this.#openOf(this.#free) : await this.#openAny();
  }

  async #openAny(): Promise<RtpPorts> {
    try {
      return await this.#openPair(0, 0, () => {});
    } catch (error) {
      throw new GatewayError('ERR_NO_PORT', 'the system gives no UDP port for media', { cause: error });
    }
  }

  async #openOf(free: { readonly port: number; readonly restedAt: number }[]): Promise<RtpPorts> {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const pair = free[0];
      if (!pair || pair.restedAt > this.#clock.now()) throw new GatewayError('ERR_NO_PORT', 'all RTP ports are in use or resting');
      free.shift();
      const rest = () => free.push({ port: pair.port, restedAt: this.#clock.now() + this.#restMs });
      try {
        return await this.#openPair(pair.port, pair.port + 1, rest);
      } catch (error) {
        rest();
        if (!isTaken(error)) throw new GatewayError('ERR_NO_PORT', 'the system gives no UDP port for media', { cause: error });
      }
    }
    throw new GatewayError('ERR_NO_PORT', 'the RTP ports are in use by other programs');
  }

  async #openPair(rtpPort: number, rtcpPort: number, rest: () => void): Promise<RtpPorts> {
    const rtp = await bindUdp({ address: this.#address, port: rtpPort });
    let rtcp: DatagramSocket;
    try {
      rtcp = await bindUdp({ address: this.#address, port: rtcpPort });
    } catch (error) {
      rtp.close();
      throw error;
    }
    this.#inUse += 1;
    let released = false;
    return {
      rtp,
      rtcp,
      release: () => {
        if (released) return;
        released = true;
        this.#inUse -= 1;
        rtp.close();
        rtcp.close();
        rest();
      },
    };
  }
}

function isTaken(error: unknown): boolean {
  const { cause } = error as { cause?: { code?: string } };
  return cause?.code === 'EADDRINUSE';
}
