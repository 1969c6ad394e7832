import type { Clock, Timer } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { LegDialler } from '../leg/leg.ts';
import type { PlacementCandidate } from '../ownership/placement.ts';
import { RemoteLegs } from '../ownership/remote-legs.ts';
import { RemoteSessions } from '../ownership/remote-sessions.ts';
import type { Child } from './child.ts';
import { type FromWorker, fromWorker, isCallNews, MAX_REASON, type ToWorker, type WorkerStart } from './messages.ts';
import { RemoteCalls } from './remote-calls.ts';

/** How often a worker says how it is, and how often the front looks whether it has. */
export const BEAT_MS = 250;

/**
 * One that has missed more of these carries nobody's voice any more: it is noticed within 1.75 s. The longest thing a worker does at one go (a
 * handshake, a collection of garbage) takes a tenth of that.
 */
const MISSED_BEATS = 6;

/**
 * A worker that stood in the queue for a core is silent through no fault of its own, and a look of ours that comes later than this says that the
 * machine has no time for us either. Such looks count less, by the share of the time that it had to wait, but never nothing: after 4.25 s no
 * caller waits any longer.
 */
const LATE_MS = 100;
const LEAST_COUNT = 0.375;

/** Of a candidate that is passed over (ownership/placement.ts). */
const FULL = 1;

/** From the start to its first word, 30 s: modules are loaded and Opus is warmed up, on a machine that may be busy. */
const START_WITHIN_LOOKS = 120;

/** Before a worker that died is started again; doubled each time, until one lives for a minute. */
const FIRST_RESTART_MS = 100;
const LAST_RESTART_MS = 10_000;
const LIVED_MS = 60_000;

/** How long a worker may take to say what it measured; whoever reads the metrics waits for it. */
const MEASURE_WITHIN_MS = 500;
/** Readers of metrics at one moment. */
const MAX_MEASURES = 16;

export interface WorkerDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly spawn: () => Child;
  /** Calls somebody for a session of a worker. */
  readonly dialler: LegDialler;
  /** Its transceiver listens at this port of the loopback address, or no more at any. */
  readonly onInner: (innerPort: number | undefined) => void;
  /** It takes calls now. */
  readonly onReady: () => void;
  readonly onDied: () => void;
  /** Its first life ended before it had begun: starting it again would end the same way. */
  readonly onStillborn: (how: string) => void;
}

interface Measure {
  readonly timer: Timer;
  readonly done: (text: string | undefined) => void;
}

/** One worker through all its lives: started, watched, and started again when it dies. */
export class Worker {
  readonly calls: RemoteCalls;
  /** Of browsers: their media goes to the worker by the relay and meets nobody here. */
  readonly legs: RemoteLegs;
  /** Of programs. */
  readonly sessions: RemoteSessions;
  readonly #deps: WorkerDeps;
  readonly #log: Logger;
  #start: WorkerStart;
  readonly #measures = new Map<number, Measure>();
  #child: Child | undefined;
  #status: { ready: boolean; draining: boolean; overloaded: boolean; otherSessions: number } | undefined;
  #innerPort: number | undefined;
  #timer: Timer | undefined;
  #unheard = 0;
  #bornAt = 0;
  #restartMs = FIRST_RESTART_MS;
  #everListened = false;
  #draining = false;
  #stopped = false;
  #lastMeasure = 0;

  constructor(deps: WorkerDeps, start: WorkerStart) {
    this.#deps = deps;
    this.#start = start;
    this.#log = deps.log.child({ worker: start.worker });
    this.calls = new RemoteCalls({ clock: deps.clock, send: (order) => this.#send(order) });
    this.legs = new RemoteLegs(deps.clock, (message) => this.#send({ type: 'leg', message }), { maxLegs: start.maxCalls });
    this.sessions = new RemoteSessions(deps.clock, (message) => this.#send({ type: 'session', message }));
    this.#spawn();
  }

  /** Another model and level of the log: for this life, from the next conversation on, and for those to come. */
  configure({ agent, model, logLevel }: Pick<WorkerStart, 'agent' | 'model' | 'logLevel'>): void {
    this.#start = { ...this.#start, agent, model, logLevel };
    this.#send({ type: 'configure', agent, model, logLevel });
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get ready(): boolean {
    return this.#status?.ready ?? false;
  }

  get candidate(): PlacementCandidate {
    const { maxCalls, worker } = this.#start;
    return {
      nodeId: worker,
      roles: ['transceiver'],
      healthy: this.ready,
      draining: this.#status?.draining ?? false,
      // We know of every call before it does, so a burst is spread as it comes.
      load: this.#status?.overloaded ? FULL : (this.calls.size + (this.#status?.otherSessions ?? 0)) / maxCalls,
      pending: 0,
    };
  }

  /** Does anybody still talk here? Of a worker that has not said that it drains, nobody knows. */
  get busy(): boolean {
    if (!this.#child) return false;
    return !this.#status?.draining || this.calls.size + this.#status.otherSessions > 0;
  }

  /** It takes nothing new; should it die, it is not started again. */
  drain(): void {
    this.#draining = true;
    this.#send({ type: 'drain' });
  }

  /** What it has measured, as Prometheus reads it; undefined when it does not answer. */
  measure(): Promise<string | undefined> {
    if (!this.#status || this.#measures.size >= MAX_MEASURES) return Promise.resolve(undefined);
    this.#lastMeasure += 1;
    const request = this.#lastMeasure;
    return new Promise((resolve) => {
      const timer = this.#deps.clock.setTimer(MEASURE_WITHIN_MS, () => this.#measured(request, undefined));
      this.#measures.set(request, { timer, done: resolve });
      this.#send({ type: 'measure', request });
    });
  }

  /** It ends by itself, and its calls with it; `kill` does not wait for that. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#child?.release();
  }

  kill(): void {
    this.#child?.kill();
  }

  #spawn(): void {
    const { clock, spawn } = this.#deps;
    const child = spawn();
    this.#child = child;
    this.#bornAt = clock.now();
    this.#unheard = MISSED_BEATS - START_WITHIN_LOOKS;
    child.onMessage = (message) => {
      if (this.#child === child) this.#receive(message);
    };
    child.onExit = (how) => {
      if (this.#child === child) this.#died(how);
    };
    child.send(this.#start);
    this.#watch();
  }

  /** False when there is no worker to hear it. */
  #send(message: ToWorker): boolean {
    this.#child?.send(message);
    return this.#child !== undefined;
  }

  #receive(given: unknown): void {
    if (this.#status) this.#unheard = 0;
    const read = fromWorker.safeParse(given);
    if (!read.success) {
      this.#log.error({ issues: read.error.issues.slice(0, 3) }, 'a message of a worker does not fit');
      return;
    }
    const message = read.data;
    if (isCallNews(message)) this.calls.handle(message);
    else if (message.type === 'leg') this.legs.handle(message.message);
    else if (message.type === 'session') this.sessions.handle(message.message);
    else if (message.type === 'listening') {
      this.#everListened = true;
      this.#innerPort = message.innerPort;
      this.#deps.onInner(message.innerPort);
    } else if (message.type === 'status') {
      const { ready, draining, overloaded, otherSessions } = message;
      const wasReady = this.ready;
      this.#status = { ready, draining, overloaded, otherSessions };
      this.#unheard = 0;
      if (ready && !wasReady) this.#becameReady();
    } else if (message.type === 'dial') void this.#dial(message);
    else this.#measured(message.request, message.text);
  }

  async #dial({ request, to }: Extract<FromWorker, { type: 'dial' }>): Promise<void> {
    try {
      await this.#deps.dialler.dial(to);
      this.#send({ type: 'dialled', request });
    } catch (thrown) {
      const { code, message } = GatewayError.from(thrown);
      this.#send({ type: 'dialled', request, refusal: { code, message: message.slice(0, MAX_REASON) } });
    }
  }

  #becameReady(): void {
    const { clock, onReady } = this.#deps;
    this.#log.info({ pid: this.pid, tookMs: Math.round(clock.now() - this.#bornAt) }, 'worker ready');
    onReady();
  }

  /** Looks are counted, not milliseconds: after a machine slept, or we did, what the worker said meanwhile is read before it is judged. */
  #watch(): void {
    const { clock } = this.#deps;
    const lookedAt = clock.now();
    const waitedMs = this.#child?.waitedMs ?? 0;
    this.#timer = clock.setTimer(BEAT_MS, () => {
      const passedMs = clock.now() - lookedAt;
      const ownShare = 1 - ((this.#child?.waitedMs ?? 0) - waitedMs) / passedMs;
      this.#unheard += passedMs > BEAT_MS + LATE_MS ? LEAST_COUNT : Math.max(LEAST_COUNT, ownShare);
      if (this.#unheard > MISSED_BEATS) {
        this.#log.error({ pid: this.pid }, 'a worker does not answer');
        this.#child?.kill();
      } else this.#watch();
    });
  }

  #died(how: string): void {
    const { clock, onInner, onDied, onStillborn } = this.#deps;
    this.#child = undefined;
    this.#status = undefined;
    this.#timer?.cancel();
    for (const request of [...this.#measures.keys()]) this.#measured(request, undefined);
    if (this.#innerPort !== undefined) onInner(undefined);
    this.#innerPort = undefined;
    const { size } = this.calls;
    this.calls.lost();
    this.legs.lost();
    this.sessions.lost();
    if (this.#stopped) return;
    onDied();
    this.#log.error({ how, calls: size }, 'worker died');
    if (!this.#everListened) {
      onStillborn(how);
      return;
    }
    if (this.#draining) return;
    if (clock.now() - this.#bornAt >= LIVED_MS) this.#restartMs = FIRST_RESTART_MS;
    this.#timer = clock.setTimer(this.#restartMs, () => this.#spawn());
    this.#restartMs = Math.min(2 * this.#restartMs, LAST_RESTART_MS);
  }

  #measured(request: number, text: string | undefined): void {
    const measure = this.#measures.get(request);
    this.#measures.delete(request);
    measure?.timer.cancel();
    measure?.done(text);
  }
}
