import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Endpoint } from '../base/addresses.ts';
import type { Clock } from '../base/clock.ts';
import { ConnectionLimit } from '../base/connection-limit.ts';
import { Driver } from '../base/driver.ts';
import { GatewayError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import { portError } from '../base/udp.ts';
import { decode, envelopeFromBridge } from '../leg/door-envelope.ts';
import type { DialRequest, LegDialler, LegHost } from '../leg/leg.ts';
import type { BridgeMessage, HostMessage } from '../leg/messages.ts';
import type { SessionHost } from '../leg/session-host.ts';
import type { SessionReply, SessionRequest } from '../leg/session-messages.ts';
import type { DoorKeys } from './cluster-keys.ts';
import type { DoorIdentity } from './door-handshake.ts';
import { DoorLink, type LinkOutput } from './door-link.ts';
import { acceptDoor, DOOR_PATH, type DoorSocket, MAX_DOOR_MESSAGE_BYTES } from './door-socket.ts';
import { formatNodeId, type NodeId } from './node-id.ts';
import type { NodeStatus } from './placement.ts';
import { ServedLegs } from './served-legs.ts';
import { ServedSessions } from './served-sessions.ts';

export interface NodeDoorDeps {
  readonly keys: DoorKeys;
  /** Where the sessions live, and whether programs may speak to them from other nodes. */
  readonly host: LegHost | SessionHost;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface NodeDoorOptions {
  readonly self: DoorIdentity;
  /** What bridges are told of this node. */
  readonly status: () => NodeStatus;
  /** Legs from any one bridge node. */
  readonly maxLegs?: number;
}

const MAX_LEGS = 10_000;
/** Nodes of one deployment, twice over. */
const MAX_SOCKETS = 512;
/** Connections that have not proven themselves: enough for all bridges to come back at once after a restart. */
const MAX_STRANGERS = 64;
/** A node has one connection; as many come from one address as it has processes. Half of the strangers' places are left to others. */
const MAX_SOCKETS_AN_ADDRESS = 32;
/** A peer on the inner network sends its request at once. */
const REQUEST_MS = 2000;

type Refusal = 'path' | 'strangers' | 'unproven';

type Output = LinkOutput<HostMessage, BridgeMessage, SessionReply, SessionRequest>;

interface Bridge {
  readonly link: DoorLink<HostMessage, BridgeMessage, SessionReply, SessionRequest>;
  readonly driver: Driver<Output>;
  readonly legs: ServedLegs;
  readonly sessions: ServedSessions | undefined;
  socket: DoorSocket | undefined;
}

/**
 * The door of a node that has sessions: a WebSocket for each bridge node, on the TCP side of the inner port. Whoever does not hold the
 * cluster key learns nothing but that something listens.
 */
export class NodeDoor implements LegDialler {
  readonly #deps: NodeDoorDeps;
  readonly #options: NodeDoorOptions;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #refused: Counter<'reason'>;
  /** By node; bounded by the sockets and, for those without one, by the links' gap. */
  readonly #bridges = new Map<NodeId, Bridge>();
  readonly #strangers = new Set<WebSocket>();
  #closed = false;

  constructor(deps: NodeDoorDeps, options: NodeDoorOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#refused = deps.metrics.counter('door_refused_total', 'Connections to the node door that were refused', ['reason']);
    deps.metrics.observe('door_bridges', 'Bridge nodes that are connected', () => this.#connected);
    this.#sockets = new WebSocketServer({
      noServer: true,
      maxPayload: MAX_DOOR_MESSAGE_BYTES,
      perMessageDeflate: false,
      clientTracking: false,
    });
    const timeouts = { headersTimeout: REQUEST_MS, requestTimeout: REQUEST_MS, connectionsCheckingInterval: 500 };
    this.#server = createServer({ ...timeouts, maxHeaderSize: 8192 }, (_request, response) => {
      response.writeHead(404, { connection: 'close' }).end();
    });
    this.#server.maxConnections = MAX_SOCKETS;
    const limit = new ConnectionLimit(MAX_SOCKETS_AN_ADDRESS);
    this.#server.on('connection', (socket) => limit.admit(socket));
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /**
   * Opens the door.
   * @returns where it is (port 0 takes any free one)
   * @throws GatewayError ERR_PORT_IN_USE
   */
  listen(at: Endpoint): Promise<Endpoint> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      server.once('error', (error) => reject(portError(error, at, 'TCP', '--inner-port')));
      server.listen({ host: at.address, port: at.port, exclusive: true }, () => {
        server.removeAllListeners('error');
        const bound = server.address();
        resolve(typeof bound === 'object' && bound ? { address: bound.address, port: bound.port } : at);
      });
    });
  }

  /** Our status is another one now (draining): bridges are told without waiting for the next beat. */
  statusChanged(): void {
    for (const { driver, link } of this.#bridges.values()) driver.run((now) => link.statusChanged(now));
  }

  /** Has one of the bridges call somebody; a bridge without the trunk leaves it to the next. @throws GatewayError as LegDialler.dial() */
  async dial(request: DialRequest): Promise<void> {
    let failure = new GatewayError('ERR_NODE_UNREACHABLE', 'no bridge is connected');
    for (const { legs, link } of [...this.#bridges.values()]) {
      if (!link.up) continue;
      try {
        await legs.dial(request);
        return;
      } catch (thrown) {
        failure = GatewayError.from(thrown);
        if (failure.code !== 'ERR_NOT_FOUND' && failure.code !== 'ERR_NODE_UNREACHABLE') throw failure;
      }
    }
    throw failure;
  }

  /** Shuts the door and ends every leg that came through it. Takes 300 ms at the most, for bridges that are slow to read what was said before. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const stranger of this.#strangers) stranger.terminate();
    const goodbyes = [...this.#bridges.values()].map((bridge) => {
      bridge.driver.stop();
      bridge.sessions?.lost();
      bridge.legs.lost();
      return bridge.socket?.leave(this.#deps.clock);
    });
    this.#bridges.clear();
    await Promise.all(goodbyes);
    this.#sockets.close();
    this.#server.closeAllConnections();
    await closed;
  }

  get #connected(): number {
    return [...this.#bridges.values()].filter(({ link }) => link.up).length;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const fault: Refusal | undefined = request.url !== DOOR_PATH ? 'path' : this.#strangers.size >= MAX_STRANGERS ? 'strangers' : undefined;
    if (fault || this.#closed) {
      this.#refuse(fault ?? 'strangers');
      socket.end(
        `HTTP/1.1 ${fault === 'path' ? '404 Not Found' : '503 Service Unavailable'}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
      );
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#admit(webSocket));
  }

  #admit(webSocket: WebSocket): void {
    this.#strangers.add(webSocket);
    acceptDoor(this.#deps, this.#options.self, webSocket, (outcome) => {
      this.#strangers.delete(webSocket);
      if (outcome instanceof GatewayError) this.#refuse('unproven');
      else if (this.#closed) outcome.close();
      else this.#connect(outcome);
    });
  }

  #refuse(reason: Refusal): void {
    this.#refused.inc({ reason });
  }

  #connect(socket: DoorSocket): void {
    const { nodeId, incarnation } = socket.peer;
    const bridge = this.#bridges.get(nodeId) ?? this.#makeBridge(nodeId);
    const old = bridge.socket;
    bridge.socket = socket;
    // The bridge dials again when its connection is dead, which it may know before we do.
    if (old) {
      old.close();
      bridge.sessions?.lost();
      bridge.driver.run((now) => bridge.link.handleDisconnected(now));
    }
    socket.onClose = () => {
      if (bridge.socket !== socket) return;
      bridge.socket = undefined;
      bridge.sessions?.lost();
      bridge.driver.run((now) => bridge.link.handleDisconnected(now));
      this.#forgetIfOver(nodeId, bridge);
    };
    socket.onText = (text) => {
      if (bridge.socket !== socket) return;
      const envelope = text === undefined ? undefined : decode(envelopeFromBridge, text);
      bridge.driver.run((now) => (envelope ? bridge.link.handleEnvelope(now, envelope) : bridge.link.handleGarbage(now)));
    };
    bridge.driver.run((now) => bridge.link.handleConnected(now, incarnation));
  }

  #makeBridge(nodeId: NodeId): Bridge {
    const { clock, host } = this.#deps;
    const link = new DoorLink<HostMessage, BridgeMessage, SessionReply, SessionRequest>({ side: 'listener', status: this.#options.status });
    const bridge: Bridge = {
      link,
      driver: new Driver(clock, link, (output) => this.#carryOut(nodeId, bridge, output)),
      legs: new ServedLegs(host, (message) => bridge.driver.run((now) => void link.send(now, message)), {
        maxLegs: this.#options.maxLegs ?? MAX_LEGS,
      }),
      sessions: 'attach' in host ? new ServedSessions(host, (message) => this.#sendAside(bridge, message)) : undefined,
      socket: undefined,
    };
    this.#bridges.set(nodeId, bridge);
    return bridge;
  }

  #sendAside({ socket, driver, link }: Bridge, message: SessionReply): boolean {
    if (socket?.full) return false;
    let sent = false;
    driver.run(() => {
      sent = link.sendAside(message);
    });
    return sent;
  }

  #carryOut(nodeId: NodeId, bridge: Bridge, output: Output): void {
    const { log } = this.#deps;
    const node = formatNodeId(nodeId);
    switch (output.type) {
      case 'transmit':
        bridge.socket?.send(JSON.stringify(output.envelope));
        break;
      case 'deliver':
        bridge.legs.handle(output.message);
        break;
      case 'aside':
        bridge.sessions?.handle(output.aside);
        break;
      case 'status':
        break; // nothing is placed at a bridge
      case 'up':
        log.info({ node }, 'bridge node connected');
        break;
      case 'disconnect':
        log.warn({ node, reason: output.reason }, 'connection of bridge node given up');
        bridge.socket?.close();
        break;
      case 'lost':
        log.warn({ node, reason: output.reason, legs: bridge.legs.size }, 'bridge node lost');
        bridge.legs.lost();
        this.#forgetIfOver(nodeId, bridge);
        break;
    }
  }

  #forgetIfOver(nodeId: NodeId, bridge: Bridge): void {
    if (bridge.socket || bridge.link.alive || this.#bridges.get(nodeId) !== bridge) return;
    this.#bridges.delete(nodeId);
    bridge.driver.stop();
  }
}
