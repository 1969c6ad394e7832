import { createHash } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import { randomText } from '../base/ids.ts';
import type { SessionJson } from '../leg/session-host.ts';

/** What a secret for a browser stands for. */
export interface EphemeralSecret {
  readonly project: string;
  /** What its sessions are made with. */
  readonly session: SessionJson;
  /** The calls it has made: the only ones it reaches. */
  readonly calls: Set<string>;
}

interface Entry extends EphemeralSecret {
  readonly expiresAt: number;
}

export const SHORTEST_S = 10;
export const LONGEST_S = 7200;
export const DEFAULT_S = 600;
const PREFIX = 'ek_';
/** 192 bits. */
const CHARACTERS = 32;
/** Each holds a session object of some kB, a megabyte at the very worst; nobody has as many callers within two hours. */
const MOST = 10_000;
const MOST_A_PROJECT = 5000;
/** What all session objects together may take, in characters. */
const MOST_CHARACTERS = 64 * 1024 * 1024;
/** A page that connects again and again keeps its newest calls. */
const MOST_CALLS = 100;

/** Secrets that live for minutes, given to browsers in place of a key. They are good for any number of calls until they end. */
export class EphemeralSecrets {
  readonly #clock: Clock;
  /** By the digest of the secret. In order of making. */
  readonly #entries = new Map<string, Entry & { readonly characters: number }>();
  #characters = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * @param lifetimeS SHORTEST_S to LONGEST_S
   * @returns the secret and when it ends, in Unix seconds
   * @throws GatewayError ERR_OVERLOADED
   */
  make(project: string, session: SessionJson, lifetimeS: number): { readonly value: string; readonly expiresAt: number } {
    this.#forgetExpired();
    const characters = JSON.stringify(session).length;
    const ofProject = [...this.#entries.values()].filter((entry) => entry.project === project).length;
    if (this.#entries.size >= MOST || ofProject >= MOST_A_PROJECT || this.#characters + characters > MOST_CHARACTERS) {
      throw new GatewayError('ERR_OVERLOADED', 'Too many client secrets are alive.');
    }
    const value = `${PREFIX}${randomText(CHARACTERS)}`;
    const entry = { project, session, calls: new Set<string>(), expiresAt: this.#clock.now() + lifetimeS * 1000, characters };
    this.#entries.set(digestOf(value), entry);
    this.#characters += characters;
    return { value, expiresAt: Math.floor(this.#clock.wallclock() / 1000) + lifetimeS };
  }

  static isOne(key: string): boolean {
    return key.startsWith(PREFIX);
  }

  /** What this secret stands for, if it is one and lives. */
  find(value: string): EphemeralSecret | undefined {
    const digest = digestOf(value);
    const entry = this.#entries.get(digest);
    if (entry && entry.expiresAt > this.#clock.now()) return entry;
    if (entry) this.#forget(digest, entry.characters);
    return undefined;
  }

  #forgetExpired(): void {
    const now = this.#clock.now();
    for (const [digest, { expiresAt, characters }] of this.#entries) if (expiresAt <= now) this.#forget(digest, characters);
  }

  #forget(digest: string, characters: number): void {
    if (this.#entries.delete(digest)) this.#characters -= characters;
  }
}

/** Notes a call as one that the secret has made. */
export function noteCall({ calls }: EphemeralSecret, id: string): void {
  calls.add(id);
  const [oldest] = calls;
  if (calls.size > MOST_CALLS && oldest !== undefined) calls.delete(oldest);
}

/** Looked up by its digest: the time a look-up takes says nothing about the secret. */
function digestOf(value: string): string {
  return createHash('sha256').update(value).digest('base64');
}
