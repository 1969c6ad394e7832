import type { SecureContext } from 'node:tls';
import { type Endpoint, formatEndpoint } from '../../base/addresses.ts';
import type { CertificateFiles } from '../../base/certificate-files.ts';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { MessageSocket } from '../../base/message-socket.ts';
import { connectTcp, listenTcp, type StreamListener, type StreamSocket } from '../../base/tcp.ts';
import { connectTls, listenTls } from '../../base/tls.ts';
import { bindUdp, type DatagramSocket } from '../../base/udp.ts';
import type { SipSource } from '../engine.ts';
import type { Flow, TlsName } from './flow.ts';
import type { Fault, SipMessage } from './message.ts';
import { Occasion } from './occasion.ts';
import type { SipMetrics } from './sip-metrics.ts';
import { SocketConnections } from './socket-connections.ts';
import { type RefusedConnection, StreamTransport, type StreamTransportDeps } from './stream-transport.ts';
import { certificateMismatch } from './tls-identity.ts';
import { Transports } from './transports.ts';
import { UdpTransport } from './udp-transport.ts';
import { SIPS_PORT } from './via.ts';

/** TLS of one engine. */
export interface EngineTls {
  /** What we show to those who connect; without it nobody can. */
  readonly server?: {
    readonly certificate: CertificateFiles;
    /** Those who connect must show a certificate of the authorities among the files. */
    readonly clients: boolean;
    /** 0 takes any free one. */
    readonly port: number;
  };
  /** What is used towards a trunk, or towards anybody else for ''. */
  contextOf(profile: string): SecureContext;
}

/** Sees whole messages as they go and come. */
export type OnTraffic = (direction: 'in' | 'out', message: Uint8Array, remote: Endpoint) => void;

/** What an engine sends by. */
export interface Doors {
  readonly transports: Transports;
  readonly connections: { readonly tcp: number; readonly tls: number; readonly sockets: number };
  /** A WebSocket that another door has let in. */
  accept?(socket: MessageSocket): void;
  /** The way of responses to what came by a connection. */
  replyFlow?(flow: Flow, sentBy: Endpoint): Flow;
  close(): void;
}

/** Who hears of what came by doors that have read it themselves. */
export interface DoorHandlers {
  /** @param source and flow of a request */
  readonly onRead: (message: SipMessage, source: SipSource | undefined, flow: Flow | undefined) => void;
}

export interface EngineDoorsDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: SipMetrics;
  readonly tls?: EngineTls | undefined;
  readonly onTraffic?: OnTraffic | undefined;
  /** Whether this source may send another message now. */
  readonly admit: (address: string) => boolean;
  /** A source that is not listened to. */
  readonly isBanned?: (address: string) => boolean;
  readonly onDatagram: (datagram: Buffer, source: SipSource) => void;
  /** @param fault what the framing found wrong; the sender is told if it sent a request */
  readonly onMessage: (bytes: Buffer, flow: Flow, fault?: Fault) => void;
  /** base/udp.ts, base/tcp.ts unless a test plays the network. */
  readonly bind?: typeof bindUdp | undefined;
  readonly listen?: typeof listenTcp | undefined;
  readonly connect?: ((to: Endpoint) => StreamSocket) | undefined;
}

/** A number free for UDP and taken for TCP is rare; ten in a row are a machine without ports. */
const PORT_TRIES = 10;

/** All that one engine listens on and sends by. */
export class EngineDoors implements Doors {
  readonly transports: Transports;
  readonly #deps: EngineDoorsDeps;
  readonly #tcp: StreamTransport;
  readonly #tls: StreamTransport;
  readonly #sockets: SocketConnections;
  readonly #occasion: Occasion;

  private constructor(deps: EngineDoorsDeps, socket: DatagramSocket, tcp: StreamListener, tls: StreamListener | undefined) {
    this.#deps = deps;
    this.#occasion = new Occasion(deps.clock);
    const udp = new UdpTransport({ socket, onDatagram: deps.onDatagram, onSent: (...all) => this.#sent(...all) });
    this.#tcp = new StreamTransport({ ...this.#streams(), listener: tcp, connect: deps.connect ?? connectTcp }, { transport: 'tcp' });
    const local = { address: socket.local.address, port: SIPS_PORT };
    this.#tls = new StreamTransport(
      { ...this.#streams(), listener: tls, connect: (to, name) => this.#connectTls(to, name) },
      { transport: 'tls', ...(tls ? {} : { local }) },
    );
    this.#sockets = new SocketConnections(this.#streams());
    this.transports = new Transports(udp, this.#tcp, this.#tls);
  }

  /**
   * UDP and TCP on one number, where any will do on one that is free for both, and TLS.
   * @throws GatewayError ERR_PORT_IN_USE
   */
  static async open(deps: EngineDoorsDeps, { address, port }: Endpoint): Promise<EngineDoors> {
    const { socket, listener } = await bindBoth(deps, address, port);
    const server = deps.tls?.server;
    if (!server) return new EngineDoors(deps, socket, listener, undefined);
    const { certificate, clients } = server;
    try {
      const at = { address, port: server.port };
      const secure = await listenTls(at, { material: certificate.material, requestCert: clients }, '--sip-tls-port');
      certificate.onChange(() => secure.setMaterial(certificate.material));
      return new EngineDoors(deps, socket, listener, secure);
    } catch (thrown) {
      socket.close();
      listener.close();
      throw thrown;
    }
  }

  get connections(): { readonly tcp: number; readonly tls: number; readonly sockets: number } {
    return { tcp: this.#tcp.connections, tls: this.#tls.connections, sockets: this.#sockets.size };
  }

  /** A WebSocket that another door has let in. */
  accept(socket: MessageSocket): void {
    this.#sockets.accept(socket);
  }

  /** The way of responses to what came by a connection. */
  replyFlow(flow: Flow, sentBy: Endpoint): Flow {
    if (flow.transport === 'tcp') return this.#tcp.replyFlow(flow, sentBy);
    return flow.transport === 'tls' ? this.#tls.replyFlow(flow, sentBy) : flow;
  }

  close(): void {
    this.transports.close();
    this.#sockets.close();
  }

  #sent(message: Uint8Array, remote: Endpoint): void {
    this.#deps.metrics.sent();
    this.#deps.onTraffic?.('out', message, remote);
  }

  #streams(): Omit<StreamTransportDeps, 'listener' | 'connect'> {
    const { clock, metrics, admit, isBanned, onMessage } = this.#deps;
    return {
      clock,
      admit,
      isBanned,
      onMessage,
      onFault: (head, fault, flow) => onMessage(head, flow, fault),
      onSent: (message, remote) => this.#sent(message, remote),
      onRefused: (why, connection) => {
        metrics.dropped(why === 'too_many' ? 'too_many_connections' : why);
        if (why === 'no_tls' && connection) this.#notSecured(connection);
      },
      materialOf: ({ profile }) => this.#deps.tls?.contextOf(profile),
      onUnreached: (to, tls, why) => this.#unreached(to, tls, why),
    };
  }

  /** Scanners try it by the thousand: one line a reason and minute. */
  #notSecured({ remote, failure = 'it went away' }: RefusedConnection): void {
    if (this.#occasion.first(`in ${failure}`)) this.#deps.log.info({ from: remote.address, reason: failure }, 'tls handshake failed');
  }

  #unreached(to: Endpoint, tls: TlsName | undefined, reason: string): void {
    const fields = { to: formatEndpoint(to), ...(tls ? { name: tls.name } : {}), reason };
    if (this.#occasion.first(`out ${fields.to} ${reason}`)) this.#deps.log.warn(fields, 'sip connection could not be opened');
  }

  #connectTls(to: Endpoint, { profile, name }: TlsName = { profile: '', name: to.address }): StreamSocket {
    const { tls } = this.#deps;
    if (!tls || !(to.port > 0 && to.port <= 65_535)) return connectTcp({ ...to, port: 0 });
    return connectTls(to, { context: tls.contextOf(profile), name, mismatch: (shown) => certificateMismatch(name, shown) });
  }
}

async function bindBoth(
  { bind = bindUdp, listen = listenTcp }: EngineDoorsDeps,
  address: string,
  port: number,
): Promise<{ socket: DatagramSocket; listener: StreamListener }> {
  for (let tries = port === 0 ? PORT_TRIES : 1; ; tries -= 1) {
    const socket = await bind({ address, port }, '--sip-port');
    try {
      return { socket, listener: await listen({ address, port: socket.local.port }, '--sip-port') };
    } catch (thrown) {
      socket.close();
      if (tries <= 1) throw thrown;
    }
  }
}
