import WebSocket from 'ws';
import { formatEndpoint } from '../base/addresses.ts';
import type { Clock } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import type { DoorKeys } from './cluster-keys.ts';
import type { NodeRecord } from './directory.ts';
import { type Admitted, DialHandshake, type DoorIdentity, ListenHandshake } from './door-handshake.ts';

export const DOOR_PATH = '/node-door';

/** An offer of 64 kB that JSON has to escape in full, with a session object of 256 thousand characters. */
export const MAX_DOOR_MESSAGE_BYTES = 1024 * 1024;

/** Both sides are on one inner network: whoever needs longer to say three short messages is not there. */
const HANDSHAKE_MS = 2000;

/** RFC 6455 §7.4.1: the endpoint goes down. */
const GOING_AWAY = 1001;

/** What the kernel does not take off us any more: 4 MB of the link, which gives up then, and what programs have not read. */
const MAX_BUFFERED_BYTES = 24 * 1024 * 1024;

/** Programs' events may take so much of it: the rest is for the calls, which must go on whoever does not read. */
const MAX_ASIDE_BYTES = 16 * 1024 * 1024;

/** How long the other side may take to read what was said before a goodbye. A stop of the whole process has twice as long. */
const GOODBYE_MS = 300;

/** An authenticated WebSocket between two nodes. */
export class DoorSocket {
  readonly peer: DoorIdentity;
  /** A message, or undefined when what came is none: the connection is then of no more use. */
  onText: ((text: string | undefined) => void) | undefined;
  /** Called once, also after close(). */
  onClose: (() => void) | undefined;
  readonly #socket: WebSocket;
  readonly #channel: Admitted['channel'];

  constructor(socket: WebSocket, { peer, channel }: Admitted) {
    this.#socket = socket;
    this.#channel = channel;
    this.peer = peer;
    socket.on('message', (data: Buffer, isBinary) => this.onText?.(isBinary ? channel.open(data) : undefined));
    socket.on('close', () => {
      this.onClose?.();
      this.onClose = this.onText = undefined;
    });
  }

  /** Is so much on its way that programs' events should not be added to it? */
  get full(): boolean {
    return this.#socket.bufferedAmount > MAX_ASIDE_BYTES;
  }

  send(text: string): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#socket.bufferedAmount > MAX_BUFFERED_BYTES) this.#socket.terminate();
    else this.#socket.send(this.#channel.seal(text));
  }

  /** Ends it when the other side has read all that was sent, or has had its time; to cut it at once would take that away from it. */
  leave(clock: Clock): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return Promise.resolve();
    return new Promise((resolve) => {
      const bound = clock.setTimer(GOODBYE_MS, () => this.#socket.terminate());
      this.#socket.once('close', () => {
        bound.cancel();
        resolve();
      });
      this.#socket.close(GOING_AWAY);
    });
  }

  /** At once and without a word: the link above knows what to do about it. */
  close(): void {
    this.#socket.terminate();
  }
}

export interface DoorSocketDeps {
  readonly keys: DoorKeys;
  readonly clock: Clock;
}

/**
 * Told once. Not a promise: the first message may stand right behind the proof, in the same read of the socket, and must find a listener.
 */
export type DoorOutcome = (outcome: DoorSocket | GatewayError) => void;

/** Opens and authenticates a connection to one node. ERR_NODE_UNREACHABLE when nobody answers, or another node, or one without the key. */
export function dialDoor(deps: DoorSocketDeps, self: DoorIdentity, wanted: NodeRecord, outcome: DoorOutcome): void {
  const socket = new WebSocket(`ws://${formatEndpoint(wanted.inner)}${DOOR_PATH}`, {
    maxPayload: MAX_DOOR_MESSAGE_BYTES,
    perMessageDeflate: false,
    handshakeTimeout: HANDSHAKE_MS,
  });
  const handshake = new DialHandshake(self, wanted.nodeId, deps.keys);
  socket.on('open', () => socket.send(handshake.hello()));
  authenticate(deps.clock, socket, (text) => handshake.handle(text), outcome);
}

/** Authenticates a connection that was opened to us. ERR_NODE_UNREACHABLE when it does not prove itself in time. */
export function acceptDoor(deps: DoorSocketDeps, self: DoorIdentity, socket: WebSocket, outcome: DoorOutcome): void {
  const handshake = new ListenHandshake(self, deps.keys);
  authenticate(deps.clock, socket, (text) => handshake.handle(text), outcome);
}

type Step = { readonly reply?: string } & Partial<Admitted>;

function authenticate(clock: Clock, socket: WebSocket, handle: (text: string) => Step | undefined, outcome: DoorOutcome): void {
  let settled = false;
  const settle = (result: DoorSocket | GatewayError): void => {
    if (settled) return;
    settled = true;
    timer.cancel();
    socket.off('message', onMessage);
    outcome(result);
  };
  const fail = (message: string, cause?: unknown): void => {
    socket.terminate();
    settle(new GatewayError('ERR_NODE_UNREACHABLE', message, { cause }));
  };
  const timer = clock.setTimer(HANDSHAKE_MS, () => fail('the other node did not prove itself in time'));
  const onMessage = (data: Buffer, isBinary: boolean): void => {
    const step = isBinary ? undefined : handle(data.toString('utf8'));
    if (!step) {
      fail('the other node is not the one we want, or does not hold the cluster key');
      return;
    }
    if (step.reply !== undefined) socket.send(step.reply);
    if (step.peer && step.channel) settle(new DoorSocket(socket, { peer: step.peer, channel: step.channel }));
  };
  socket.on('message', onMessage);
  socket.on('error', (error) => fail('the connection to the other node failed', error));
  socket.on('close', () => fail('the other node closed the connection'));
}
