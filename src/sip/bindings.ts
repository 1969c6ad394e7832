import type { Machine } from '../base/driver.ts';
import type { Flow } from './embedded/flow.ts';
import type { SipSource } from './engine.ts';

/** One phone of a user: where it is reached until when (RFC 3261 §10.2.1). */
export interface Binding {
  /** Contact URI, as wire text. */
  readonly uri: string;
  /** 0 to 1; the higher one is rung first. */
  readonly q: number;
  /** RFC 5626 §4.1: the device, whatever address it has now, and which of its flows this is. */
  readonly instance?: string;
  readonly regId?: number;
  readonly callId: string;
  readonly cseq: number;
  /** Where its REGISTER really came from: the way through its NAT. */
  readonly source: SipSource;
  /** Proxies that are to be passed (RFC 3327), the first one first. */
  readonly path: readonly string[];
  /** Clock.now milliseconds. */
  readonly expiresAt: number;
  /** The connection it came by, if it was one. */
  readonly flow?: Flow;
}

/** A Contact of a REGISTER. */
export interface BindingAsk {
  readonly uri: string;
  readonly q: number;
  readonly instance?: string;
  readonly regId?: number;
  /** Seconds; 0 takes the binding away. */
  readonly expiresS: number;
}

export interface RegisterAsk {
  readonly user: string;
  /** `*`: all of them go. */
  readonly contacts: readonly BindingAsk[] | '*';
  readonly callId: string;
  readonly cseq: number;
  readonly source: SipSource;
  readonly path: readonly string[];
  readonly flow?: Flow | undefined;
}

export type RegisterOutcome =
  | { readonly type: 'ok' }
  /** RFC 3261 §10.3 step 7: 423. */
  | { readonly type: 'too_brief' }
  /** An old request that was overtaken (§10.3 steps 6 and 7). */
  | { readonly type: 'out_of_order' };

export type BindingsOutput =
  /** What is kept over a restart has changed. */
  { readonly type: 'changed' } | { readonly type: 'expired'; readonly user: string };

export interface BindingsOptions {
  readonly minExpiresS: number;
  readonly maxExpiresS: number;
}

/** Who is registered where: a machine of time and REGISTERs. As many bindings as users times their phones, no more. */
export class Bindings implements Machine<BindingsOutput> {
  readonly #options: BindingsOptions;
  readonly #byUser = new Map<string, readonly Binding[]>();
  readonly #outputs: BindingsOutput[] = [];

  constructor(options: BindingsOptions) {
    this.#options = options;
  }

  /** Carries a REGISTER out, whole or not at all. @param maxContacts of this user */
  register(now: number, ask: RegisterAsk, maxContacts: number): RegisterOutcome {
    const current = this.contactsOf(ask.user, now);
    if (ask.contacts === '*') {
      if (current.some((binding) => isOld(binding, ask))) return OUT_OF_ORDER;
      this.#set(ask.user, []);
      return OK;
    }
    let next = [...current];
    for (const contact of ask.contacts) {
      if (contact.expiresS > 0 && contact.expiresS < this.#options.minExpiresS) return TOO_BRIEF;
      const known = next.find((binding) => isSame(binding, contact));
      if (known && isOld(known, ask)) return OUT_OF_ORDER;
      next = next.filter((binding) => binding !== known);
      if (contact.expiresS > 0) next.push(this.#bind(now, ask, contact));
    }
    // A phone that came back by another address without a word leaves its old one behind: the oldest goes, not the new one.
    this.#set(ask.user, next.slice(-maxContacts));
    return OK;
  }

  /** What stands for this user, the latest one last. */
  contactsOf(user: string, now: number): readonly Binding[] {
    const all = this.#byUser.get(user) ?? [];
    return all.every(({ expiresAt }) => expiresAt > now) ? all : all.filter(({ expiresAt }) => expiresAt > now);
  }

  /** The user whose phone sends from there; by a connection, if it came by one. */
  userAt({ address, port, transport }: SipSource, now: number): string | undefined {
    for (const [user, bindings] of this.#byUser) {
      for (const { source, expiresAt } of bindings) {
        if (expiresAt > now && source.port === port && source.address === address && source.transport === transport) return user;
      }
    }
    return undefined;
  }

  /** Does a phone of anybody send from this address? */
  isAt(address: string, now: number): boolean {
    for (const bindings of this.#byUser.values()) {
      for (const { source, expiresAt } of bindings) if (source.address === address && expiresAt > now) return true;
    }
    return false;
  }

  /** Everything, for the journal and for people. */
  all(now: number): ReadonlyMap<string, readonly Binding[]> {
    return new Map([...this.#byUser.keys()].map((user) => [user, this.contactsOf(user, now)]));
  }

  get size(): number {
    let size = 0;
    for (const bindings of this.#byUser.values()) size += bindings.length;
    return size;
  }

  /** Takes over what an earlier process has kept. */
  restore(user: string, bindings: readonly Binding[]): void {
    if (bindings.length > 0) this.#byUser.set(user, bindings);
  }

  /** These users are no more. */
  keep(isUser: (name: string) => boolean): void {
    for (const user of this.#byUser.keys()) if (!isUser(user)) this.#set(user, []);
  }

  /** A phone's connection is gone for good: a flow that failed takes its binding with it (RFC 5626 §7). */
  forget(user: string, binding: Binding): void {
    this.#set(
      user,
      (this.#byUser.get(user) ?? []).filter((each) => each !== binding),
    );
  }

  pollOutput(): BindingsOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    let next: number | undefined;
    for (const bindings of this.#byUser.values()) {
      for (const { expiresAt } of bindings) if (next === undefined || expiresAt < next) next = expiresAt;
    }
    return next;
  }

  handleTimeout(now: number): void {
    for (const [user, bindings] of this.#byUser) {
      const left = bindings.filter(({ expiresAt }) => expiresAt > now);
      if (left.length === bindings.length) continue;
      this.#set(user, left);
      this.#outputs.push({ type: 'expired', user });
    }
  }

  #bind(now: number, { callId, cseq, source, path, flow }: RegisterAsk, { expiresS, ...contact }: BindingAsk): Binding {
    const expiresAt = now + Math.min(expiresS, this.#options.maxExpiresS) * 1000;
    return { ...contact, callId, cseq, source, path, expiresAt, ...(flow ? { flow } : {}) };
  }

  #set(user: string, bindings: readonly Binding[]): void {
    if (bindings.length === 0) this.#byUser.delete(user);
    else this.#byUser.set(user, bindings);
    this.#outputs.push({ type: 'changed' });
  }
}

const OK: RegisterOutcome = { type: 'ok' };
const TOO_BRIEF: RegisterOutcome = { type: 'too_brief' };
const OUT_OF_ORDER: RegisterOutcome = { type: 'out_of_order' };

function isOld(binding: Binding, ask: RegisterAsk): boolean {
  return binding.callId === ask.callId && ask.cseq <= binding.cseq;
}

/** One flow of a device has one binding, whatever its address is by now (RFC 5626 §6); else the URI tells. */
function isSame(binding: Binding, contact: BindingAsk): boolean {
  if (contact.instance !== undefined && binding.instance === contact.instance) {
    return contact.regId !== undefined && binding.regId !== undefined ? binding.regId === contact.regId : binding.uri === contact.uri;
  }
  return binding.uri === contact.uri;
}
