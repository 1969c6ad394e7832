import type { Path } from '../path.ts';
import { parseStun } from '../stun/parse-stun.ts';
import type { StunMessage } from '../stun/stun-message.ts';
import { judgeRequest, writeRoleConflict, writeSuccess, writeUnknownAttributes } from './answer-check.ts';
import { type IceAgent, type IceCredentials, type IceOutput, type IceSnapshot, noDrops, type StunDrop } from './ice-agent.ts';
import { SeenTransactions } from './seen-transactions.ts';

/** RFC 7675 §5.1: consent ends 30 s after the last verified check. */
const CONSENT_MS = 30_000;

/** A browser with Wi-Fi, cellular and VPN over two relays makes fewer; one more evicts the quietest. */
const MAX_PATHS = 8;

interface VerifiedPath {
  path: Path;
  lastCheckAt: number;
}

/** What a pair of descriptions says of ICE (RFC 8839 §4.4.1.1.1: a restart changes both sides'). */
export interface IceGeneration {
  readonly local: IceCredentials;
  /** The far side's ufrag, when its description is known; checks by another name are then ignored. */
  readonly remoteUfrag?: string;
}

export interface IceLiteOptions extends IceGeneration {
  readonly consentMs?: number;
  /** The owner answers checks, and has something to say in the answers. */
  readonly ownerAnswers?: boolean;
}

/**
 * The server side of ICE (RFC 8445 §2.5, "lite"): it never checks, it answers. A datagram without our credentials causes no reply and no
 * state. Media goes to the first verified path until a verified check nominates one, and moves only by another such check.
 */
export class IceLiteAgent implements IceAgent {
  #current: IceGeneration;
  /** The generation that was proven last, for as long as the one that follows it is not. */
  #before: IceGeneration | undefined;
  #isProven = false;
  readonly #consentMs: number;
  readonly #ownerAnswers: boolean;
  readonly #paths = new Map<string, VerifiedPath>();
  readonly #seen = new SeenTransactions();
  readonly #dropped = noDrops();
  #outputs: IceOutput[] = [];
  #selected: VerifiedPath | undefined;
  #lost = false;
  #checks = 0;
  #lastCheckAt: number | undefined;
  #wakeAt: number | undefined;

  constructor(options: IceLiteOptions) {
    this.#current = options;
    this.#consentMs = options.consentMs ?? CONSENT_MS;
    this.#ownerAnswers = options.ownerAnswers ?? false;
  }

  get selected(): Path | undefined {
    return this.#selected?.path;
  }

  get paths(): readonly Path[] {
    return Array.from(this.#paths.values(), ({ path }) => path);
  }

  /** Our ufrags that checks may name now. */
  get ufrags(): readonly string[] {
    return [this.#current, ...(this.#before ? [this.#before] : [])].map(({ local }) => local.ufrag);
  }

  start(): void {
    // Nothing to do: the other side checks.
  }

  /**
   * New credentials on both sides. Paths and selection stay: until the first check under the new ones, those from before hold too, for a client
   * that never saw the answer; from then on they are void. A generation that was never used gives way to the next.
   */
  restart(next: IceGeneration): void {
    if (this.#isProven) this.#before = this.#current;
    this.#current = next;
    this.#isProven = false;
  }

  isVerified(path: Path): boolean {
    return this.#paths.has(path.key);
  }

  handleStun(datagram: Buffer, path: Path, now: number): void {
    if (this.#lost) return;
    const message = parseStun(datagram);
    const judged = message ? this.#judge(datagram, message) : 'malformed';
    if (!message || typeof judged === 'string') {
      this.#dropped[typeof judged === 'string' ? judged : 'malformed'] += 1;
      return;
    }
    if (!this.#seen.accept(message.transactionId, path.key)) {
      this.#dropped.replayed += 1;
      return;
    }
    const { local } = judged;
    const refusal = this.#refusal(message, local);
    if (refusal || !this.#ownerAnswers) this.#outputs.push({ type: 'send', datagram: refusal ?? writeSuccess(message, path, local), path });
    if (refusal) return;
    if (judged === this.#current) {
      this.#isProven = true;
      this.#before = undefined;
    }
    this.#accept(path, message, local, now);
  }

  pollOutput(): IceOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    return this.#wakeAt;
  }

  handleTimeout(now: number): void {
    if (this.#wakeAt === undefined || now < this.#wakeAt) return;
    this.#wakeAt = undefined;
    for (const [key, entry] of this.#paths) {
      if (now - entry.lastCheckAt >= this.#consentMs) this.#forget(key, entry);
    }
    if (this.#paths.size === 0) {
      this.#lost = true;
      this.#selected = undefined;
      this.#outputs.push({ type: 'lost' });
      return;
    }
    // Consent for the selected path ended while another is alive: that one is where the far side can still be reached.
    if (!this.#selected) this.#select(this.#latest());
    this.#arm();
  }

  snapshot(): IceSnapshot {
    return {
      state: this.#lost ? 'lost' : this.#selected ? 'connected' : 'new',
      checks: this.#checks,
      lastCheckAt: this.#lastCheckAt,
      rttMs: undefined,
      paths: this.#paths.size,
      selected: this.#selected?.path.key,
      dropped: { ...this.#dropped },
    };
  }

  /** The generation under which the check is authentic, or why it is under none. */
  #judge(datagram: Buffer, message: StunMessage): IceGeneration | StunDrop {
    const drop = judgeRequest(datagram, message, this.#current.local, this.#current.remoteUfrag);
    if (drop !== 'username' || !this.#before) return drop ?? this.#current;
    return judgeRequest(datagram, message, this.#before.local, this.#before.remoteUfrag) ?? this.#before;
  }

  /** The error response to a check that is authentic but cannot succeed. */
  #refusal(message: StunMessage, local: IceCredentials): Buffer | undefined {
    if (message.unknownRequired.length > 0) return writeUnknownAttributes(message, local);
    // A lite agent is always controlled: whoever claims that role too has to change (RFC 8445 §6.1.1).
    if (message.iceControlled !== undefined) return writeRoleConflict(message, local);
    return undefined;
  }

  /** An owner that answers does so when it knows the path and has nothing selected yet. */
  #accept(path: Path, message: StunMessage, local: IceCredentials, now: number): void {
    this.#checks += 1;
    this.#lastCheckAt = now;
    let entry = this.#paths.get(path.key);
    if (entry) {
      entry.path = path; // a restarted relay may bring another object for the same way
      entry.lastCheckAt = now;
    } else {
      entry = { path, lastCheckAt: now };
      this.#makeRoom();
      this.#paths.set(path.key, entry);
      this.#outputs.push({ type: 'verified', path });
    }
    if (this.#ownerAnswers) this.#outputs.push({ type: 'check', message, path, local });
    if (message.useCandidate ? entry !== this.#selected : !this.#selected) this.#select(entry);
    if (this.#wakeAt === undefined) this.#arm();
  }

  #select(entry: VerifiedPath | undefined): void {
    this.#selected = entry;
    if (entry) this.#outputs.push({ type: 'selected', path: entry.path });
  }

  #latest(): VerifiedPath | undefined {
    let latest: VerifiedPath | undefined;
    for (const entry of this.#paths.values()) if (!latest || entry.lastCheckAt > latest.lastCheckAt) latest = entry;
    return latest;
  }

  #makeRoom(): void {
    if (this.#paths.size < MAX_PATHS) return;
    let quietest: [string, VerifiedPath] | undefined;
    for (const each of this.#paths) {
      if (each[1] !== this.#selected && (!quietest || each[1].lastCheckAt < quietest[1].lastCheckAt)) quietest = each;
    }
    if (quietest) this.#forget(...quietest);
  }

  #forget(key: string, entry: VerifiedPath): void {
    this.#paths.delete(key);
    if (this.#selected === entry) this.#selected = undefined;
    this.#outputs.push({ type: 'dropped', path: entry.path });
  }

  // Re-armed when it fires, not at each check: a check must cost no timer.
  #arm(): void {
    let oldest: number | undefined;
    for (const { lastCheckAt } of this.#paths.values()) oldest = Math.min(oldest ?? lastCheckAt, lastCheckAt);
    this.#wakeAt = oldest === undefined ? undefined : oldest + this.#consentMs;
  }
}
