import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type Endpoint, openUdp, type UdpPort } from './endpoint.ts';
import { EventLog, elapse } from './wait.ts';

/** Another machine, as far as addresses tell: all of 127/8 is this one. */
export const ATTACKER_ADDRESS = '127.0.0.66';

/** A socket of somebody who is not part of any call: counts what anybody is made to send to it. */
export class Attacker {
  readonly #socket: UdpPort;
  readonly local: Endpoint;
  readonly replies = new EventLog<{ readonly from: Endpoint; readonly datagram: Buffer; readonly at: number }>();
  sent = 0;
  sentBytes = 0;

  private constructor(socket: UdpPort) {
    this.#socket = socket;
    this.local = socket.local;
    socket.onDatagram = (datagram, from) => this.replies.push({ from, datagram, at: performance.now() });
  }

  static async open(address = ATTACKER_ADDRESS, port = 0): Promise<Attacker> {
    return new Attacker(await openUdp(address, port));
  }

  get replyBytes(): number {
    return this.replies.all.reduce((sum, { datagram }) => sum + datagram.length, 0);
  }

  send(datagram: Uint8Array, to: Endpoint): void {
    this.sent += 1;
    this.sentBytes += datagram.length;
    this.#socket.send(datagram, to);
  }

  close(): void {
    this.#socket.close();
  }
}

/** Datagrams that leave together: small, so that the receivers of this process are not kept waiting. */
const BURST = 10;

/** Does something `count` times at about this pace, and lets everything else run meanwhile. */
export async function paced(count: number, perSecond: number, act: (n: number) => void): Promise<void> {
  const startAt = performance.now();
  for (let n = 0; n < count; n++) {
    act(n);
    if (n % BURST !== BURST - 1) continue;
    const ahead = startAt + ((n + 1) * 1000) / perSecond - performance.now();
    await elapse(Math.max(1, ahead));
  }
}

/** How many pieces of time are looked at one by one. */
const ROUNDS = 4;

/**
 * The longest gap between two packets that an attack makes again and again: the time is cut into four rounds, and the longest gap of the best
 * round counts. A busy machine stalls somebody now and then; what an attack does to calls it does in every round.
 * @param streams arrival times of each stream, in milliseconds, over the time of the attack
 */
export function lastingGapMs(streams: readonly (readonly number[])[]): number {
  const from = Math.min(...streams.map((times) => times[0] ?? Number.NaN));
  const to = Math.max(...streams.map((times) => times.at(-1) ?? Number.NaN));
  const worst = Array<number>(ROUNDS).fill(0);
  for (const times of streams) {
    for (let n = 1; n < times.length; n++) {
      const at = times[n] as number;
      const round = Math.min(ROUNDS - 1, Math.floor(((at - from) * ROUNDS) / (to - from)));
      worst[round] = Math.max(worst[round] as number, at - (times[n - 1] as number));
    }
    // A stream that ended early has a gap up to the end.
    worst[ROUNDS - 1] = Math.max(worst[ROUNDS - 1] as number, to - (times.at(-1) ?? from));
  }
  return Math.min(...worst);
}

/** Every UDP port a process has open, as /proc tells: also those that it tells nobody. */
export function udpPortsOf(pid: number): readonly number[] {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? [];
      if (inode !== undefined) inodes.add(inode);
    } catch {
      // Closed between the two looks.
    }
  }
  const lines = readFileSync(`/proc/${pid}/net/udp`, 'latin1').trim().split('\n').slice(1);
  return lines.flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const port = Number.parseInt(fields[1]?.split(':')[1] ?? '', 16);
    return inodes.has(fields[9] ?? '') ? [port] : [];
  });
}
