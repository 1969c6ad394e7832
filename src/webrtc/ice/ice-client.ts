import { randomBytes } from 'node:crypto';
import type { Path } from '../path.ts';
import { verifyIntegrity } from '../stun/integrity.ts';
import { parseStun } from '../stun/parse-stun.ts';
import { BINDING_METHOD, type StunMessage } from '../stun/stun-message.ts';
import { writeStun } from '../stun/write-stun.ts';
import { judgeRequest, writeRoleConflict, writeSuccess, writeUnknownAttributes } from './answer-check.ts';
import { type IceAgent, type IceCredentials, type IceOutput, type IceSnapshot, noDrops } from './ice-agent.ts';

/** Gaps between the first checks: quick at once, because a lost check delays the whole set-up; then at most 2 a second. */
const FIRST_GAPS_MS = [20, 40, 80, 160, 320];
const SLOW_GAP_MS = 500;

/** Without an answer for so long, the next candidate is tried as well. */
const NEXT_CANDIDATE_MS = 300;

/** RFC 7675 §5.1 asks for 5 s ± 20 %; 2.5 s is what browsers do. Callers that must notice a death sooner set it lower. */
const CHECK_INTERVAL_MS = 2500;
const LOST_AFTER_MS = 30_000;

/** Answers later than this many checks ago are of no use; also the bound of the memory for them. */
const MAX_OUTSTANDING = 32;

/** More candidates than any answer of ours has (one a relay). */
const MAX_CANDIDATES = 8;

/** RFC 8445 §5.1.2.1 for a peer reflexive candidate: what a check carries as PRIORITY. */
const PRIORITY = 110 * 2 ** 24 + 65535 * 2 ** 8 + 255;

export interface IceClientOptions {
  readonly local: IceCredentials;
  readonly remote: IceCredentials;
  /** Ways to the far side's candidates, best first. */
  readonly candidates: readonly Path[];
  /** Between checks once connected (± 20 %, RFC 7675). */
  readonly checkIntervalMs?: number;
  /** Consent is lost after this long without an answer. */
  readonly lostAfterMs?: number;
  /** 0..1; spreads the checks of many clients. */
  readonly random?: () => number;
}

interface Outstanding {
  readonly candidate: Path;
  readonly sentAt: number;
}

/**
 * A light controlling agent: it checks a list of candidates, takes the first that answers, and nominates with every check. When that one falls
 * silent for two checks it asks the others too and moves to whichever answers. Full agents at the far side are answered as well.
 */
export class IceClient implements IceAgent {
  readonly #options: IceClientOptions;
  readonly #candidates: readonly Path[];
  readonly #checkIntervalMs: number;
  readonly #lostAfterMs: number;
  readonly #tieBreaker = randomBytes(8).readBigUInt64BE(0);
  readonly #outstanding = new Map<string, Outstanding>();
  readonly #verified = new Set<string>();
  readonly #dropped = noDrops();
  #outputs: IceOutput[] = [];
  #state: IceSnapshot['state'] = 'new';
  #controlling = true;
  #selected: Path | undefined;
  #startedAt = 0;
  #attempts = 0;
  #checks = 0;
  #lastAnswerAt: number | undefined;
  #nextCheckAt: number | undefined;
  #rttMs: number | undefined;

  constructor(options: IceClientOptions) {
    this.#options = options;
    this.#candidates = options.candidates.slice(0, MAX_CANDIDATES);
    this.#checkIntervalMs = options.checkIntervalMs ?? CHECK_INTERVAL_MS;
    this.#lostAfterMs = options.lostAfterMs ?? LOST_AFTER_MS;
  }

  get selected(): Path | undefined {
    return this.#selected;
  }

  get paths(): readonly Path[] {
    return this.#candidates.filter(({ key }) => this.#verified.has(key));
  }

  start(now: number): void {
    if (this.#state !== 'new') return;
    this.#state = 'checking';
    this.#startedAt = now;
    this.#checkAll(now);
  }

  isVerified(path: Path): boolean {
    return this.#verified.has(path.key);
  }

  handleStun(datagram: Buffer, path: Path, now: number): void {
    if (this.#state === 'lost') return;
    const message = parseStun(datagram);
    if (!message) this.#dropped.malformed += 1;
    else if (message.class === 'request') this.#handleRequest(datagram, message, path);
    else this.#handleResponse(datagram, message, path, now);
  }

  pollOutput(): IceOutput | undefined {
    return this.#outputs.shift();
  }

  nextTimeout(): number | undefined {
    if (this.#state === 'checking') return this.#nextCheckAt;
    if (this.#state !== 'connected') return undefined;
    return Math.min(this.#nextCheckAt ?? Infinity, this.#lostAt());
  }

  handleTimeout(now: number): void {
    if (this.#state === 'connected' && now >= this.#lostAt()) {
      this.#state = 'lost';
      this.#selected = undefined;
      this.#outstanding.clear();
      this.#outputs.push({ type: 'lost' });
      return;
    }
    if (this.#state === 'lost' || this.#nextCheckAt === undefined || now < this.#nextCheckAt) return;
    this.#checkAll(now);
  }

  snapshot(): IceSnapshot {
    return {
      state: this.#state,
      checks: this.#checks,
      lastCheckAt: this.#lastAnswerAt,
      rttMs: this.#rttMs,
      paths: this.#verified.size,
      selected: this.#selected?.key,
      dropped: { ...this.#dropped },
    };
  }

  #lostAt(): number {
    return (this.#lastAnswerAt ?? this.#startedAt) + this.#lostAfterMs;
  }

  /** Sends the checks that are due and decides when the next ones are. */
  #checkAll(now: number): void {
    for (const candidate of this.#candidatesToCheck(now)) this.#check(candidate, now);
    const gap =
      this.#state === 'connected'
        ? this.#checkIntervalMs * (0.8 + 0.4 * (this.#options.random ?? Math.random)())
        : (FIRST_GAPS_MS[this.#attempts] ?? SLOW_GAP_MS);
    this.#attempts += 1;
    this.#nextCheckAt = now + gap;
  }

  #candidatesToCheck(now: number): readonly Path[] {
    if (this.#selected) {
      // Two intervals of silence: ask the others as well, this one may be dead.
      const silentMs = now - (this.#lastAnswerAt ?? now);
      return silentMs < 2 * this.#checkIntervalMs ? [this.#selected] : this.#candidates;
    }
    return this.#candidates.slice(0, 1 + Math.floor((now - this.#startedAt) / NEXT_CANDIDATE_MS));
  }

  // Each check is a transaction of its own, so that a round-trip time always belongs to one sending (RFC 8445 §14 would repeat it).
  #check(candidate: Path, now: number): void {
    const { local, remote } = this.#options;
    const transactionId = randomBytes(12);
    const [oldest] = this.#outstanding.size >= MAX_OUTSTANDING ? this.#outstanding.keys() : [];
    if (oldest !== undefined) this.#outstanding.delete(oldest);
    this.#outstanding.set(transactionId.toString('latin1'), { candidate, sentAt: now });
    const role = this.#controlling ? { iceControlling: this.#tieBreaker, useCandidate: true } : { iceControlled: this.#tieBreaker };
    const username = `${remote.ufrag}:${local.ufrag}`;
    const datagram = writeStun({ class: 'request', transactionId, username, priority: PRIORITY, ...role }, remote.pwd);
    this.#outputs.push({ type: 'send', datagram, path: candidate });
  }

  #handleResponse(datagram: Buffer, message: StunMessage, path: Path, now: number): void {
    const id = message.transactionId.toString('latin1');
    const asked = this.#outstanding.get(id);
    // An answer comes from where the question went (RFC 8445 §7.2.5.2.1).
    if (!asked || message.method !== BINDING_METHOD || asked.candidate.key !== path.key) {
      this.#dropped.unexpected += 1;
      return;
    }
    if (!verifyIntegrity(datagram, message, this.#options.remote.pwd)) {
      this.#dropped.integrity += 1;
      return;
    }
    this.#outstanding.delete(id);
    if (message.class === 'success') this.#handleSuccess(asked, now);
    else if (message.errorCode === 487) this.#switchRole(now);
  }

  #handleSuccess({ candidate, sentAt }: Outstanding, now: number): void {
    this.#checks += 1;
    this.#rttMs = now - sentAt;
    const silent = this.#selected !== undefined && now - (this.#lastAnswerAt ?? now) >= 2 * this.#checkIntervalMs;
    this.#verify(candidate);
    if (!this.#selected || (silent && this.#selected !== candidate)) {
      this.#selected = candidate;
      this.#outputs.push({ type: 'selected', path: candidate });
    }
    // Only the selected path's answers are consent to send there.
    if (candidate !== this.#selected) return;
    this.#lastAnswerAt = now;
    if (this.#state === 'connected') return;
    this.#state = 'connected';
    this.#nextCheckAt = now + this.#checkIntervalMs;
  }

  #verify(path: Path): void {
    if (this.#verified.has(path.key)) return;
    this.#verified.add(path.key);
    this.#outputs.push({ type: 'verified', path });
  }

  #switchRole(now: number): void {
    this.#controlling = !this.#controlling;
    this.#attempts = 0;
    this.#checkAll(now);
  }

  /** A full agent checks us too; without our answer it would not send. */
  #handleRequest(datagram: Buffer, message: StunMessage, path: Path): void {
    const { local, remote } = this.#options;
    const candidate = this.#candidates.find(({ key }) => key === path.key);
    const drop = candidate ? judgeRequest(datagram, message, local, remote.ufrag) : 'unexpected';
    if (!candidate || drop) {
      this.#dropped[drop ?? 'unexpected'] += 1;
      return;
    }
    const answer = (reply: Buffer) => this.#outputs.push({ type: 'send', datagram: reply, path: candidate });
    if (message.unknownRequired.length > 0) return void answer(writeUnknownAttributes(message, local));
    const theirs = this.#controlling ? message.iceControlling : message.iceControlled;
    if (theirs !== undefined) {
      // Both claim one role: the larger tie-breaker controls (RFC 8445 §7.3.1.1).
      if (this.#tieBreaker >= theirs === this.#controlling) return void answer(writeRoleConflict(message, local));
      this.#controlling = !this.#controlling;
    }
    answer(writeSuccess(message, candidate, local));
    this.#verify(candidate);
  }
}
