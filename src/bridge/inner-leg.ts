import { isIPv6 } from 'node:net';
import { type Endpoint, formatEndpoint } from '../base/addresses.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { GatewayError } from '../base/errors.ts';
import { randomText, randomUint32 } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Loopback } from '../base/loopback.ts';
import { bindUdp, type DatagramSocket } from '../base/udp.ts';
import { writeRtcp } from '../rtp/rtcp.ts';
import type { IceCandidate } from '../sdp/ice-candidate.ts';
import { parseWebRtcAnswer, writeWebRtcOffer } from '../sdp/webrtc.ts';
import type { Identity } from '../webrtc/dtls/identity.ts';
import type { Path } from '../webrtc/path.ts';
import { Peer } from '../webrtc/peer.ts';
import type { PeerSnapshot } from '../webrtc/peer-options.ts';
import { rtpSsrc } from '../webrtc/srtp/rtp-header.ts';
import type { InnerConnection, InnerEnd } from './inner-connection.ts';
import type { InnerVoice } from './inner-voice.ts';

/** Payload type of Opus on the inner leg: what browsers use. */
const OPUS_PAYLOAD_TYPE = 111;

const NOTHING_ELSE = { cumulativeLost: 0, highestSequence: 0, jitter: 0, lastSenderReport: 0, delaySinceLastSenderReport: 0 } as const;

/** Consent checks: somebody who died is noticed within four of these. */
const CHECK_INTERVAL_MS = 500;
const SILENT_MS = 2000;

/**
 * An owner that answers at its door while no check comes through: the relay is down. A supervisor starts it again within
 * seconds, and the call goes on where it was; after this nobody waits in silence any more.
 */
const LOST_AFTER_MS = 10_000;

export interface InnerLegDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly identity: Identity;
  /** Where the client's sockets are bound: must reach the relays. */
  readonly bind: string;
  /** Opens the socket; a real one when absent. */
  readonly openSocket?: (at: Endpoint) => Promise<DatagramSocket>;
  /** The short way to a relay in this process. */
  readonly loopback?: Loopback;
  /** A relay that is nearer than those an owner names: the only one gone to. */
  readonly nearRelay?: Endpoint;
}

/** The phone's side of the WebRTC leg: a light client that goes to the transceiver through the relay, as a browser does. */
export class InnerLeg implements InnerConnection {
  readonly offer: string;
  readonly ssrc = randomUint32();
  readonly payloadType = OPUS_PAYLOAD_TYPE;
  readonly voice: InnerVoice;
  /** Of what the owner sends. */
  #remoteSsrc: number | undefined;
  onConnected: (() => void) | undefined;
  onClosed: ((reason: InnerEnd) => void) | undefined;
  onRtp: ((packet: Buffer, now: number) => void) | undefined;
  readonly #deps: InnerLegDeps;
  readonly #socket: DatagramSocket;
  // RFC 8839 §5.4: 4 and 22 characters of 6 bits at least; ice-chars, of which letters and digits are enough.
  readonly #local = { ufrag: iceText(8), pwd: iceText(24) };
  readonly #paths = new Map<string, Path>();
  /** The one that the last datagram came by: saves writing its key for every packet. */
  #lastPath: Path | undefined;
  #peer: Peer | undefined;
  #watch: Timer | undefined;
  #dead = false;
  #closed = false;

  /** @param voice what the phone can use: nobody need send more */
  static async create(deps: InnerLegDeps, voice: InnerVoice): Promise<InnerLeg> {
    const socket = await (deps.openSocket ?? bindUdp)({ address: deps.bind, port: 0 });
    return new InnerLeg(deps, deps.loopback?.join(socket) ?? socket, voice);
  }

  private constructor(deps: InnerLegDeps, socket: DatagramSocket, voice: InnerVoice) {
    this.#deps = deps;
    this.#socket = socket;
    this.voice = voice;
    const { fec, ...wishes } = voice;
    this.offer = writeWebRtcOffer({
      ...this.#local,
      fingerprint: deps.identity.fingerprint,
      setup: 'actpass',
      ssrc: this.ssrc,
      dataChannel: false,
      ...wishes,
      ...(fec && { inbandFec: true }),
    });
  }

  connect(answerText: string, ownerAnswers: () => boolean): void {
    const parsed = parseWebRtcAnswer(answerText);
    if ('fault' in parsed) throw new GatewayError('ERR_MEDIA_FAILED', `the owner's answer is of no use: ${parsed.fault.detail}`);
    const { ice, fingerprints, setup } = parsed;
    const { nearRelay } = this.#deps;
    const relays = nearRelay ? [nearRelay] : ice.candidates.filter((each) => this.#reaches(each));
    const candidates = relays.map((each) => this.#path(each));
    if (candidates.length === 0) throw new GatewayError('ERR_MEDIA_FAILED', 'the owner names no relay that we can reach');
    const peer = new Peer(this.#deps, {
      ice: {
        type: 'client',
        local: this.#local,
        remote: { ufrag: ice.ufrag, pwd: ice.pwd },
        candidates,
        checkIntervalMs: CHECK_INTERVAL_MS,
        lostAfterMs: LOST_AFTER_MS,
      },
      dtlsRole: setup === 'active' ? 'server' : 'client',
      remoteFingerprints: fingerprints,
      handlers: {
        onConnected: () => {
          this.#watchOwner(peer, ownerAnswers);
          this.onConnected?.();
        },
        onRtp: (packet, now) => {
          this.#remoteSsrc ??= rtpSsrc(packet);
          this.onRtp?.(packet, now);
        },
        onClosed: (reason) => this.#died(reason),
      },
    });
    this.#peer = peer;
    this.#socket.onDatagram = (datagram, from) => peer.handleDatagram(datagram, this.#path(from), this.#deps.clock.now());
    peer.start();
  }

  sendRtp(packet: Uint8Array): void {
    this.#peer?.sendRtp(packet);
  }

  reportLoss(percent: number): void {
    if (this.#remoteSsrc === undefined) return;
    const fractionLost = Math.max(0, Math.min(255, Math.round((percent * 256) / 100)));
    // Of all that a report says, this alone is known here of the phone's side.
    const report = { ssrc: this.#remoteSsrc, fractionLost, ...NOTHING_ELSE };
    this.#peer?.sendRtcp(writeRtcp([{ type: 'receiver_report', ssrc: this.ssrc, reports: [report] }]));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch?.cancel();
    this.#peer?.close();
    this.#socket.close();
  }

  snapshot(): PeerSnapshot | undefined {
    return this.#peer?.snapshot();
  }

  /** The relay's silence and the owner's death look the same from here; the owner's door tells them apart. */
  #watchOwner(peer: Peer, ownerAnswers: () => boolean): void {
    const { clock } = this.#deps;
    const connectedAt = clock.now();
    const look = () => {
      const silentMs = clock.now() - (peer.snapshot().ice.lastCheckAt ?? connectedAt);
      if (silentMs >= SILENT_MS && !ownerAnswers()) this.#died('owner_lost');
      else this.#watch = clock.setTimer(CHECK_INTERVAL_MS, look);
    };
    this.#watch = clock.setTimer(CHECK_INTERVAL_MS, look);
  }

  #died(reason: InnerEnd): void {
    this.#watch?.cancel();
    if (this.#closed || this.#dead) return;
    this.#dead = true;
    this.onClosed?.(reason);
  }

  /** Over UDP, and of a family our socket speaks: one bound to all of IPv6 speaks both. */
  #reaches({ transport, address }: IceCandidate): boolean {
    const { bind } = this.#deps;
    return transport === 'udp' && (bind === '::' || isIPv6(address) === isIPv6(bind));
  }

  /** One path object a remote address. Strangers get one too, for as long as it takes to see that they are strangers. */
  #path({ address, port }: Endpoint): Path {
    const last = this.#lastPath;
    if (last && last.port === port && last.address === address) return last;
    const to = { address, port };
    const key = formatEndpoint(to);
    const known = this.#paths.get(key);
    if (known) {
      this.#lastPath = known;
      return known;
    }
    const path: Path = { key, address, port, send: (datagram) => this.#socket.send(datagram, to) };
    // Only the relays named in the answer are kept: a spray from many addresses leaves nothing behind.
    if (!this.#peer) this.#paths.set(key, path);
    return path;
  }
}

function iceText(characters: number): string {
  return randomText(characters).replaceAll('-', '+').replaceAll('_', '/');
}
