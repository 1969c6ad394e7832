import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { plainAddress, sourceOf } from '../base/addresses.ts';

/** Connections of people we know nothing about: monitors, pages, scanners. Each costs some 10 kB. */
const MOST_STRANGERS = 256;
/** Of them for any one address: it takes more than one to keep the others out. */
const MOST_STRANGERS_AN_ADDRESS = 64;
/** With connections that have shown a key, or come from this machine: one program that watches a thousand calls has a socket for each. */
const MOST = 4096;
const MOST_AN_ADDRESS = 2048;

interface Entry {
  readonly socket: Socket;
  readonly source: string;
  isKnown: boolean;
}

/** Every TCP connection of the HTTP port, counted by where it comes from; strangers get a small part of what there is. */
export class ConnectionBook {
  readonly #entries = new WeakMap<Duplex, Entry>();
  readonly #sockets = new Set<Socket>();
  readonly #strangers = new Map<string, number>();
  readonly #known = new Map<string, number>();
  #strangersInAll = 0;

  get size(): number {
    return this.#sockets.size;
  }

  /** Counts the connection until it closes; one too many is cut at once. @returns whether it may stay */
  admit(socket: Socket): boolean {
    const source = sourceOf(plainAddress(socket.remoteAddress ?? ''));
    const held = this.#strangers.get(source) ?? 0;
    if (this.#sockets.size >= MOST || this.#strangersInAll >= MOST_STRANGERS || held >= MOST_STRANGERS_AN_ADDRESS) {
      socket.destroy();
      return false;
    }
    const entry: Entry = { socket, source, isKnown: false };
    this.#entries.set(socket, entry);
    this.#sockets.add(socket);
    this.#count(entry, 1);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#count(entry, -1);
    });
    return true;
  }

  /** TLS over this connection: the same one. */
  wrap(inner: Socket, outer: Duplex): void {
    const entry = this.#entries.get(inner);
    if (entry) this.#entries.set(outer, entry);
  }

  /** A request on this connection was authorised: it is no stranger's any more, unless its address has too many already. */
  know(socket: Duplex): void {
    const entry = this.#entries.get(socket);
    if (!entry || entry.isKnown || entry.socket.destroyed || (this.#known.get(entry.source) ?? 0) >= MOST_AN_ADDRESS) return;
    this.#count(entry, -1);
    entry.isKnown = true;
    this.#count(entry, 1);
  }

  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #count({ source, isKnown }: Entry, by: 1 | -1): void {
    const counts = isKnown ? this.#known : this.#strangers;
    if (!isKnown) this.#strangersInAll += by;
    const count = (counts.get(source) ?? 0) + by;
    if (count > 0) counts.set(source, count);
    else counts.delete(source);
  }
}
