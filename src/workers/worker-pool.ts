import type { Clock } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import type { CallMedia, CallMediaEvents, MediaHost } from '../bridge/call-media.ts';
import type { InnerVoice } from '../bridge/inner-voice.ts';
import type { JoinedSession, LegDialler } from '../leg/leg.ts';
import type { MemoryDirectory } from '../ownership/memory-directory.ts';
import { nearFirst } from '../ownership/place.ts';
import { placementOrder } from '../ownership/placement.ts';
import { sessionNode } from '../ownership/session-id.ts';
import type { Child } from './child.ts';
import type { WorkerStart } from './messages.ts';
import { SessionPool } from './session-pool.ts';
import { slicePorts } from './slice-ports.ts';
import { Worker } from './worker.ts';

/** Where workers and the front meet: nobody outside this machine has anything to say there. */
export const INNER_ADDRESS = '127.0.0.1';

/** After one worker that was full or gone, one other is asked; then the caller is told. */
const TRIES = 2;

/** A relay is heard within a second; whoever calls before that is told to try again. */
const READY_WITHIN_MS = 5000;

/** How often a draining pool looks whether the last one has hung up. */
const QUIET_LOOK_MS = 50;

/** A worker ends within milliseconds of its pipe; one that does not is killed. */
const STOP_MS = 300;
const STOP_LOOK_MS = 10;

/** Another one may do where these came from. */
const ELSEWHERE: ReadonlySet<string> = new Set(['ERR_NODE_UNREACHABLE', 'ERR_OVERLOADED', 'ERR_NO_PORT']);

export interface WorkerPoolDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly spawn: () => Child;
  /** Calls somebody for a session of a worker. */
  readonly dialler: LegDialler;
  /** Of the relay: holds the workers that listen, by their numbers. */
  readonly directory: MemoryDirectory;
}

export interface WorkerPoolOptions extends Omit<WorkerStart, 'type' | 'worker'> {
  readonly workers: number;
}

/** The workers of this process: carries each call in the one with the most room. */
export class WorkerPool implements MediaHost {
  readonly #deps: WorkerPoolDeps;
  readonly #options: WorkerPoolOptions;
  /** For browsers and programs. */
  readonly sessions: SessionPool;
  readonly #deaths: Counter<'number'>;
  #workers: readonly Worker[] = [];
  #whenListening: (() => void) | undefined;
  #whenReady: (() => void) | undefined;

  constructor(deps: WorkerPoolDeps, options: WorkerPoolOptions) {
    this.#deps = deps;
    this.#options = options;
    this.sessions = new SessionPool({
      order: () => placementOrder(this.#candidates()),
      nobody: () => this.#nobody(),
      worker: (number) => this.#workers[number - 1],
      all: () => this.#workers,
    });
    deps.metrics.observe('workers_ready', 'Worker processes that take calls.', () => this.#workers.filter((each) => each.ready).length);
    this.#deaths = deps.metrics.counter('worker_deaths_total', 'Times that a worker process has died.', ['number']);
    deps.metrics.join(async () => (await Promise.all(this.#workers.map((each) => each.measure()))).filter((text) => text !== undefined));
  }

  /**
   * Starts all workers and waits until each listens for the relay.
   * @throws GatewayError ERR_INTERNAL when one dies before that
   */
  start(): Promise<void> {
    const { workers, rtpPorts, ...shared } = this.#options;
    const slices = slicePorts(rtpPorts, workers);
    return new Promise((resolve, reject) => {
      this.#whenListening = resolve;
      const onStillborn = (how: string): void => reject(new GatewayError('ERR_INTERNAL', `a worker process could not start: ${how}`));
      this.#workers = slices.map((slice, n) => {
        const worker = n + 1;
        const deps = {
          ...this.#deps,
          onStillborn,
          onDied: () => this.#deaths.inc({ number: worker }),
          onReady: () => this.#tellIfReady(),
          onInner: (innerPort?: number) => this.#atInner(worker, innerPort),
        };
        return new Worker(deps, { ...shared, type: 'start', worker, rtpPorts: slice });
      });
    });
  }

  /** Resolves when all workers have heard the relay, at the latest after five seconds. */
  allReady(): Promise<void> {
    return new Promise((resolve) => {
      const bound = this.#deps.clock.setTimer(READY_WITHIN_MS, resolve);
      this.#whenReady = () => {
        bound.cancel();
        resolve();
      };
      this.#tellIfReady();
    });
  }

  /** Is there a worker that takes calls? */
  get ready(): boolean {
    return placementOrder(this.#candidates()).length > 0;
  }

  async open(voice: InnerVoice, events: CallMediaEvents, joins?: JoinedSession, near?: string): Promise<CallMedia> {
    if (joins) {
      const owner = this.#workers[(sessionNode(joins.sessionId) ?? 0) - 1];
      if (!owner?.ready) throw new GatewayError('ERR_NODE_UNREACHABLE', 'the owner of the session is gone');
      return owner.calls.open(voice, events);
    }
    let failure = this.#nobody();
    for (const worker of nearFirst(placementOrder(this.#candidates()), near).slice(0, TRIES)) {
      try {
        return await this.#workers[worker - 1]!.calls.open(voice, events);
      } catch (thrown) {
        failure = GatewayError.from(thrown);
        if (!ELSEWHERE.has(failure.code)) throw failure;
      }
    }
    throw failure;
  }

  /** Another model and level of the log, from the next conversation on. */
  configure(options: Pick<WorkerPoolOptions, 'agent' | 'model' | 'logLevel'>): void {
    for (const worker of this.#workers) worker.configure(options);
  }

  /** They take no more calls; resolves when the ones they have are over, and every session that is nobody's phone call. */
  async drain(): Promise<void> {
    for (const worker of this.#workers) worker.drain();
    while (this.#workers.some(({ busy }) => busy)) await this.#after(QUIET_LOOK_MS);
  }

  /** Lets the workers end, and kills those that do not. */
  async stop(): Promise<void> {
    for (const worker of this.#workers) worker.stop();
    const endAt = this.#deps.clock.now() + STOP_MS;
    while (this.#workers.some(({ pid }) => pid !== undefined) && this.#deps.clock.now() < endAt) {
      await this.#after(STOP_LOOK_MS);
    }
    for (const worker of this.#workers) worker.kill();
  }

  #after(ms: number): Promise<void> {
    return new Promise((resolve) => this.#deps.clock.setTimer(ms, resolve));
  }

  #candidates() {
    return this.#workers.map((each) => each.candidate);
  }

  #nobody(): GatewayError {
    if (this.#workers.some((each) => each.ready)) return new GatewayError('ERR_OVERLOADED', 'every worker is full or draining');
    return new GatewayError('ERR_NODE_UNREACHABLE', 'no worker is ready');
  }

  #tellIfReady(): void {
    if (this.#workers.every((each) => each.ready)) this.#whenReady?.();
  }

  #atInner(worker: number, port: number | undefined): void {
    const { directory } = this.#deps;
    if (port === undefined) directory.delete(worker);
    else directory.set({ nodeId: worker, inner: { address: INNER_ADDRESS, port } });
    if (directory.all().length === this.#options.workers) this.#whenListening?.();
  }
}
