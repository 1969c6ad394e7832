import type { Clock, Timer } from '../base/clock.ts';
import { Driver } from '../base/driver.ts';
import { GatewayError } from '../base/errors.ts';
import { randomHex } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import { decode, envelopeFromHost } from '../leg/door-envelope.ts';
import type { Leg, LegDialler, LegOpening, LegWish, OfferedLeg, OpenedLeg } from '../leg/leg.ts';
import type { BridgeMessage, HostMessage } from '../leg/messages.ts';
import type { SessionReply, SessionRequest } from '../leg/session-messages.ts';
import type { DoorKeys } from './cluster-keys.ts';
import type { NodeRecord } from './directory.ts';
import type { DoorIdentity } from './door-handshake.ts';
import { DoorLink, type LinkOutput } from './door-link.ts';
import { type DoorSocket, dialDoor } from './door-socket.ts';
import { formatNodeId } from './node-id.ts';
import type { NodeStatus, PlacementCandidate } from './placement.ts';
import { RemoteLegs } from './remote-legs.ts';
import { RemoteSessions } from './remote-sessions.ts';

export interface NodeDialDeps {
  /** Who calls somebody for the sessions at other nodes; without it nobody is called. */
  readonly dialler?: LegDialler | undefined;
  readonly keys: DoorKeys;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface NodeDialOptions {
  readonly self: DoorIdentity;
  /** What we tell the other node of ourselves. */
  readonly status: () => NodeStatus;
  /** Legs at this one node. */
  readonly maxLegs: number;
}

/** A short break heals unheard; a node that is down is asked once a second, which costs neither side anything. */
const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 1000;

/** 52 bits of chance in a safe integer. */
function makeLinkId(): number {
  return Number.parseInt(randomHex(13), 16);
}

type Output = LinkOutput<BridgeMessage, HostMessage, SessionRequest, SessionReply>;

/** One node we open legs at: dials it for as long as we live. */
export class NodeDial {
  readonly #deps: NodeDialDeps;
  readonly #options: NodeDialOptions;
  readonly #record: NodeRecord;
  readonly #link: DoorLink<BridgeMessage, HostMessage, SessionRequest, SessionReply>;
  readonly #driver: Driver<Output>;
  readonly #legs: RemoteLegs;
  /** For the programs that come to our door. */
  readonly sessions: RemoteSessions;
  #socket: DoorSocket | undefined;
  #status: NodeStatus | undefined;
  #pending = 0;
  #retryMs = FIRST_RETRY_MS;
  #retry: Timer | undefined;
  #stopped = false;

  constructor(deps: NodeDialDeps, options: NodeDialOptions, record: NodeRecord) {
    this.#deps = deps;
    this.#options = options;
    this.#record = record;
    this.#link = new DoorLink({ side: 'dialler', makeLinkId, status: options.status });
    this.#driver = new Driver(deps.clock, this.#link, (output) => this.#carryOut(output));
    this.#legs = new RemoteLegs(deps.clock, (message) => this.#send(message), { maxLegs: options.maxLegs, dialler: deps.dialler });
    this.sessions = new RemoteSessions(deps.clock, (message) => this.#sendAside(message));
    this.#dial();
  }

  get up(): boolean {
    return this.#link.up;
  }

  /** How placement sees this node; undefined until it has said something. */
  get candidate(): PlacementCandidate | undefined {
    const { nodeId } = this.#record;
    return this.#status && { ...this.#status, nodeId, healthy: this.#link.up && !this.#link.congested, pending: this.#pending };
  }

  /**
   * Opens a leg at this node.
   * @throws GatewayError as LegHost.open
   */
  async open(opening: LegOpening, leg: Leg, timeoutMs: number): Promise<OpenedLeg> {
    this.#admit();
    return this.#legs.open(opening, leg, timeoutMs);
  }

  /** The same with an offer of the node's. @throws GatewayError as LegHost.open */
  async offer(opening: LegWish, leg: Leg, timeoutMs: number): Promise<OfferedLeg> {
    this.#admit();
    return this.#legs.offer(opening, leg, timeoutMs);
  }

  statusChanged(): void {
    this.#driver.run((now) => this.#link.statusChanged(now));
  }

  /** Cuts the connection. Legs that still live have lost their owner. */
  stop(): void {
    this.#stopped = true;
    this.#retry?.cancel();
    this.#driver.stop();
    this.#socket?.close();
    this.#legs.lost();
    this.sessions.lost();
  }

  /** @throws GatewayError ERR_OVERLOADED */
  #admit(): void {
    if (this.#link.congested) throw new GatewayError('ERR_OVERLOADED', 'the node is slow to take messages');
    this.#pending += 1;
  }

  #sendAside(message: SessionRequest): boolean {
    if (this.#socket?.full) return false;
    let sent = false;
    this.#driver.run(() => {
      sent = this.#link.sendAside(message);
    });
    return sent;
  }

  #send(message: BridgeMessage): boolean {
    let sent = false;
    this.#driver.run((now) => {
      sent = this.#link.send(now, message);
    });
    return sent;
  }

  #dial(): void {
    dialDoor(this.#deps, this.#options.self, this.#record, (outcome) => {
      if (!(outcome instanceof GatewayError)) {
        this.#connected(outcome);
        return;
      }
      this.#deps.log.debug({ node: formatNodeId(this.#record.nodeId), reason: outcome.message }, 'node not reached');
      this.#dialLater();
    });
  }

  #connected(socket: DoorSocket): void {
    if (this.#stopped) {
      socket.close();
      return;
    }
    this.#socket = socket;
    socket.onClose = () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.sessions.lost();
      this.#driver.run((now) => this.#link.handleDisconnected(now));
      this.#dialLater();
    };
    socket.onText = (text) => {
      if (this.#socket !== socket) return;
      const envelope = text === undefined ? undefined : decode(envelopeFromHost, text);
      this.#driver.run((now) => (envelope ? this.#link.handleEnvelope(now, envelope) : this.#link.handleGarbage(now)));
    };
    this.#driver.run((now) => this.#link.handleConnected(now, socket.peer.incarnation));
  }

  #dialLater(): void {
    if (this.#stopped) return;
    this.#retry = this.#deps.clock.setTimer(this.#retryMs, () => this.#dial());
    this.#retryMs = Math.min(2 * this.#retryMs, MAX_RETRY_MS);
  }

  #carryOut(output: Output): void {
    const node = formatNodeId(this.#record.nodeId);
    switch (output.type) {
      case 'transmit':
        this.#socket?.send(JSON.stringify(output.envelope));
        break;
      case 'deliver':
        this.#legs.handle(output.message);
        break;
      case 'aside':
        this.sessions.handle(output.aside);
        break;
      case 'status':
        this.#status = output.status;
        this.#pending = 0;
        break;
      case 'up':
        this.#retryMs = FIRST_RETRY_MS;
        this.#deps.log.info({ node }, 'node reached');
        break;
      case 'disconnect':
        this.#deps.log.warn({ node, reason: output.reason }, 'connection to node given up');
        this.#socket?.close();
        break;
      case 'lost':
        this.#deps.log.warn({ node, reason: output.reason, legs: this.#legs.size }, 'node lost');
        this.#legs.lost();
        break;
    }
  }
}
