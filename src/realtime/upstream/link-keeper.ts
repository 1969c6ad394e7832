/** Connections are told apart by number: what comes late from an old one is not taken for the new one's. */
export type LinkId = number;

export type LinkOutput =
  | { readonly type: 'connect'; readonly link: LinkId }
  | { readonly type: 'disconnect'; readonly link: LinkId }
  | { readonly type: 'ping'; readonly link: LinkId }
  /** This connection carries the conversation from now on: tell it everything. */
  | { readonly type: 'adopted'; readonly link: LinkId; readonly refreshed: boolean }
  /** The connection that carried the conversation is gone; another is tried. */
  | { readonly type: 'lost'; readonly reason: string }
  /** No more tries. */
  | { readonly type: 'gave_up'; readonly reason: string };

export interface LinkOptions {
  /** From the dial to the server's first word. */
  readonly connectTimeoutMs: number;
  /** Failures in a row after which the conversation is given up. */
  readonly tries: number;
  /** However many tries are left: after so long without a server it is given up. */
  readonly giveUpMs: number;
  /** Nothing heard for so long: a ping; nothing for as long again: lost. */
  readonly pingMs: number;
  /** Sessions of this server end after so long; undefined: never. */
  readonly capMs: number | undefined;
}

/** Measured on no vendor: dead air of 5 s is what the fault model allows a lost model, and a connection takes three round trips. */
export const DEFAULT_LINK_OPTIONS: LinkOptions = { connectTimeoutMs: 3000, tries: 3, giveUpMs: 5000, pingMs: 5000, capMs: undefined };

/** A connection that held for so long was good: failures before it do not count any more. */
const PROVEN_MS = 10_000;

/** Deadlines of silence are rounded up to this, or every message would move a timer. */
const SILENCE_STEP_MS = 500;

const FIRST_BACKOFF_MS = 150;

/** A new session is opened this long before the old one's end, so that a quiet moment can be waited for; of a short session, at three quarters. */
const REFRESH_BEFORE_MS = 300_000;

/** The old one is left so long before its end, quiet or not; of a short session, after nine tenths. */
const LEAVE_BEFORE_MS = 15_000;

/** A refresh that failed is tried again after this. */
const REFRESH_AGAIN_MS = 20_000;

interface Link {
  readonly id: LinkId;
  readonly dialedAt: number;
  greetedAt: number | undefined;
  heardAt: number;
  /** Our ping has no answer yet. Counted from when it was sent: a process that stood still must not take that for the server's silence. */
  pingedAt: number | undefined;
  /** When the next session is to be opened. */
  refreshAt: number;
  /** Its session ends soon after this. */
  leaveAt: number;
}

/**
 * Which connection carries the conversation: dials, tries again with pauses that grow, pings, and opens the next session
 * before the server ends this one. Knows nothing of what is said.
 */
export class LinkKeeper {
  readonly #options: LinkOptions;
  readonly #random: () => number;
  readonly #outputs: LinkOutput[] = [];
  #links = 0;
  #current: Link | undefined;
  /** The next session, opened before the current one ends. */
  #standby: Link | undefined;
  #failures = 0;
  #dialAt: number | undefined;
  #giveUpAt: number | undefined;
  #refreshAt = Number.POSITIVE_INFINITY;
  #paused = false;
  #closed = false;

  constructor(options: LinkOptions, random: () => number) {
    this.#options = options;
    this.#random = random;
  }

  /** The connection to speak to, when there is one that listens. */
  get ready(): LinkId | undefined {
    return this.#current?.greetedAt === undefined ? undefined : this.#current.id;
  }

  /** Is a fresh session waiting for a quiet moment? */
  get wantsQuiet(): boolean {
    return this.#standby?.greetedAt !== undefined;
  }

  /** Is this one of ours, and not given up? */
  knows(link: LinkId): boolean {
    return this.#find(link) !== undefined;
  }

  isCurrent(link: LinkId): boolean {
    return this.#current?.id === link;
  }

  pollOutput(): LinkOutput | undefined {
    return this.#outputs.shift();
  }

  start(now: number): void {
    this.#giveUpAt = now + this.#options.giveUpMs;
    this.#current = this.#dial(now);
  }

  /** The server has spoken: its session is there. @param leftMs until it ends, when the server says so */
  handleGreeting(id: LinkId, leftMs: number | undefined, now: number): void {
    const link = this.#find(id);
    if (!link || link.greetedAt !== undefined) return;
    link.greetedAt = now;
    const lastsMs = Math.min(leftMs ?? Number.POSITIVE_INFINITY, this.#options.capMs ?? Number.POSITIVE_INFINITY);
    link.leaveAt = now + Math.max(lastsMs * 0.9, lastsMs - LEAVE_BEFORE_MS);
    link.refreshAt = now + Math.max(lastsMs * 0.75, lastsMs - REFRESH_BEFORE_MS);
    if (link === this.#standby) return; // at the next quiet moment
    this.#adopt(link, false);
  }

  /** Anything came. */
  handleHeard(id: LinkId, now: number): void {
    const link = this.#find(id);
    if (!link) return;
    link.heardAt = now;
    link.pingedAt = undefined;
  }

  /** The connection failed, or shall: `permanent` when another try would fail the same way. */
  handleFailure(id: LinkId, reason: string, permanent: boolean, now: number): void {
    const link = this.#find(id);
    if (!link) return;
    this.#outputs.push({ type: 'disconnect', link: id });
    if (link === this.#standby) {
      this.#standby = undefined;
      this.#refreshAt = now + REFRESH_AGAIN_MS;
      return;
    }
    this.#current = undefined;
    const proven = link.greetedAt !== undefined && now - link.greetedAt >= PROVEN_MS;
    this.#failures = proven ? 1 : this.#failures + 1;
    if (link.greetedAt !== undefined) {
      this.#outputs.push({ type: 'lost', reason });
      this.#giveUpAt = now + this.#options.giveUpMs;
    }
    if (this.#standby) this.#takeStandby();
    else if (permanent || (this.#failures >= this.#options.tries && !proven)) this.#giveUp(reason);
    else this.#dialAt = now + this.#backoffMs();
  }

  /** Nobody speaks and nothing is owed: the fresh session takes over, if there is one. */
  handleQuiet(): void {
    if (this.#standby?.greetedAt === undefined) return;
    const old = this.#current;
    this.#takeStandby();
    if (old) this.#outputs.push({ type: 'disconnect', link: old.id });
  }

  /** Nobody needs a server for a while: its connections are given up, which costs nothing then, whoever counts minutes. */
  pause(): void {
    if (this.#closed || this.#paused) return;
    this.#paused = true;
    this.#drop();
  }

  /** Another session, that is told everything. */
  resume(now: number): void {
    if (this.#closed || !this.#paused) return;
    this.#paused = false;
    this.#failures = 0;
    this.start(now);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#drop();
  }

  #drop(): void {
    for (const link of [this.#current, this.#standby]) if (link) this.#outputs.push({ type: 'disconnect', link: link.id });
    this.#current = undefined;
    this.#standby = undefined;
    this.#dialAt = undefined;
    this.#giveUpAt = undefined;
    this.#refreshAt = Number.POSITIVE_INFINITY;
  }

  nextTimeout(): number | undefined {
    if (this.#closed) return undefined;
    let at = Math.min(this.#dialAt ?? Number.POSITIVE_INFINITY, this.#giveUpAt ?? Number.POSITIVE_INFINITY, this.#refreshAt);
    for (const link of [this.#current, this.#standby]) if (link) at = Math.min(at, this.#deadlineOf(link));
    return at === Number.POSITIVE_INFINITY ? undefined : at;
  }

  handleTimeout(now: number): void {
    if (this.#closed) return;
    if (this.#giveUpAt !== undefined && now >= this.#giveUpAt) {
      this.#giveUp('connect_timeout');
      return;
    }
    if (this.#dialAt !== undefined && now >= this.#dialAt) {
      this.#dialAt = undefined;
      this.#current = this.#dial(now);
    }
    if (now >= this.#refreshAt) {
      this.#refreshAt = Number.POSITIVE_INFINITY;
      if (!this.#standby) this.#standby = this.#dial(now);
    }
    for (const link of [this.#current, this.#standby]) if (link && now >= this.#deadlineOf(link)) this.#expire(link, now);
  }

  #deadlineOf(link: Link): number {
    if (link.greetedAt === undefined) return link.dialedAt + this.#options.connectTimeoutMs;
    const silentAt = (link.pingedAt ?? link.heardAt) + this.#options.pingMs;
    const silent = Math.ceil(silentAt / SILENCE_STEP_MS) * SILENCE_STEP_MS;
    return link === this.#current ? Math.min(silent, link.leaveAt) : silent;
  }

  #expire(link: Link, now: number): void {
    if (link.greetedAt === undefined) this.handleFailure(link.id, 'connect_timeout', false, now);
    else if (link === this.#current && now >= link.leaveAt) this.handleFailure(link.id, 'session_cap', false, now);
    else if (link.pingedAt !== undefined) this.handleFailure(link.id, 'silent', false, now);
    else {
      link.pingedAt = now;
      this.#outputs.push({ type: 'ping', link: link.id });
    }
  }

  #dial(now: number): Link {
    this.#links += 1;
    this.#outputs.push({ type: 'connect', link: this.#links });
    return {
      id: this.#links,
      dialedAt: now,
      greetedAt: undefined,
      heardAt: now,
      pingedAt: undefined,
      refreshAt: Number.POSITIVE_INFINITY,
      leaveAt: Number.POSITIVE_INFINITY,
    };
  }

  #takeStandby(): void {
    const link = this.#standby;
    this.#standby = undefined;
    if (!link) return;
    this.#current = link;
    if (link.greetedAt !== undefined) this.#adopt(link, true);
  }

  #adopt(link: Link, refreshed: boolean): void {
    this.#giveUpAt = undefined;
    this.#refreshAt = link.refreshAt;
    this.#outputs.push({ type: 'adopted', link: link.id, refreshed });
  }

  #giveUp(reason: string): void {
    this.#outputs.push({ type: 'gave_up', reason });
    this.close();
  }

  /** 0, then 150 ms, 300 ms, 600 ms, each and up to half as much again: a fleet must not come back all at once. */
  #backoffMs(): number {
    if (this.#failures <= 1) return this.#random() * FIRST_BACKOFF_MS;
    return FIRST_BACKOFF_MS * 2 ** (this.#failures - 2) * (1 + this.#random() / 2);
  }

  #find(id: LinkId): Link | undefined {
    if (this.#current?.id === id) return this.#current;
    return this.#standby?.id === id ? this.#standby : undefined;
  }
}
