import { formatEndpoint, isLoopback } from '../../src/base/addresses.ts';
import { systemClock } from '../../src/base/clock.ts';
import { bindUdp, type DatagramSocket } from '../../src/base/udp.ts';
import { answerWebRtcOffer, parseWebRtcOffer } from '../../src/sdp/webrtc.ts';
import type { Fingerprint } from '../../src/webrtc/dtls/fingerprint.ts';
import { createIdentity } from '../../src/webrtc/dtls/identity.ts';
import type { IceCredentials } from '../../src/webrtc/ice/ice-agent.ts';
import type { Path } from '../../src/webrtc/path.ts';
import { Peer } from '../../src/webrtc/peer.ts';
import type { PeerHandlers, PeerOptions } from '../../src/webrtc/peer-options.ts';
import { chooseSetUp, type SetUpOptions } from '../../src/webrtc/set-up.ts';
import { mustBeLoopback } from './endpoint.ts';
import { type ObservedPeer, observe } from './peer-pair.ts';

const local: IceCredentials = { ufrag: 'ringdownUfragOf22chars', pwd: 'ringdown-ice-password22' };

/** What a description says that a peer needs. */
export interface RemoteDescription extends IceCredentials {
  readonly fingerprint: Fingerprint;
  readonly setup: string;
  /** UDP host candidates on IPv4. */
  readonly candidates: readonly { readonly address: string; readonly port: number }[];
}

export function readDescription(sdp: string): RemoteDescription {
  const value = (name: string) => new RegExp(`^a=${name}:(.*)$`, 'm').exec(sdp)?.[1]?.trim() ?? '';
  const [algorithm = '', fingerprint = ''] = value('fingerprint').split(' ');
  const candidates = [...sdp.matchAll(/^a=candidate:\S+ 1 udp \d+ ([\d.]+) (\d+) typ host/gim)];
  return {
    ufrag: value('ice-ufrag'),
    pwd: value('ice-pwd'),
    fingerprint: { algorithm, value: fingerprint },
    setup: value('setup'),
    candidates: candidates.map(([, address = '', port]) => ({ address, port: Number(port) })),
  };
}

/** A peer of ours on a socket of its own on loopback. */
export class LoopbackPeer {
  readonly #socket: DatagramSocket;
  readonly identity = createIdentity(Date.now());
  #observed: ObservedPeer | undefined;

  private constructor(socket: DatagramSocket) {
    this.#socket = socket;
    socket.onDatagram = (datagram, from) => {
      // Chromium also checks from the machine's other addresses: these get no answer.
      if (isLoopback(from.address)) this.#observed?.peer.handleDatagram(datagram, this.#path(from), systemClock.now());
    };
  }

  static async bind(): Promise<LoopbackPeer> {
    return new LoopbackPeer(await bindUdp({ address: '127.0.0.1', port: 0 }));
  }

  get seen(): ObservedPeer {
    if (!this.#observed) throw new Error('not started');
    return this.#observed;
  }

  /** Takes up an offer as the transceiver does, and waits for the far side's checks. @returns the answer */
  takeUp(offer: string, options?: SetUpOptions, handlers: PeerHandlers = {}): string {
    const parsed = parseWebRtcOffer(offer);
    if ('fault' in parsed) throw new Error(parsed.fault.detail);
    const setUp = chooseSetUp(parsed, options);
    this.#start({
      ice: { type: 'lite', local, remoteUfrag: parsed.ice.ufrag },
      remoteFingerprints: parsed.fingerprints,
      ...setUp.peer,
      handlers,
    });
    return answerWebRtcOffer(parsed, {
      ...local,
      fingerprint: this.identity.fingerprint,
      candidates: [{ ...this.#socket.local, transport: 'udp' }],
      ssrc: 0x1234_5678,
      ...setUp.answer,
    });
  }

  /** Waits for the far side's checks. */
  startLite(remote: RemoteDescription, dtlsRole: 'client' | 'server'): void {
    this.#start({
      ice: { type: 'lite', local, remoteUfrag: remote.ufrag },
      dtlsRole,
      remoteFingerprints: [remote.fingerprint],
      handlers: {},
    });
  }

  /** Checks the far side's candidates. */
  startClient(remote: RemoteDescription, dtlsRole: 'client' | 'server'): void {
    const candidates = remote.candidates.map((candidate) => this.#path(candidate));
    const ice = { type: 'client' as const, local, remote, candidates, checkIntervalMs: 500 };
    this.#start({ ice, dtlsRole, remoteFingerprints: [remote.fingerprint], handlers: {} });
  }

  /** The lines of our description: an audio line and a data channel line, bundled. */
  description({ setup, lite }: { setup: 'active' | 'passive' | 'actpass'; lite: boolean }, mids = ['0', '1']): string {
    const { algorithm, value } = this.identity.fingerprint;
    const { address, port } = this.#socket.local;
    const transport = [
      'c=IN IP4 127.0.0.1',
      `a=ice-ufrag:${local.ufrag}`,
      `a=ice-pwd:${local.pwd}`,
      `a=fingerprint:${algorithm} ${value}`,
      `a=setup:${setup}`,
      `a=candidate:1 1 udp 2130706431 ${address} ${port} typ host`,
      'a=end-of-candidates',
    ];
    return [
      'v=0',
      'o=- 1 1 IN IP4 127.0.0.1',
      's=-',
      't=0 0',
      ...(lite ? ['a=ice-lite'] : []),
      `a=group:BUNDLE ${mids.join(' ')}`,
      'm=audio 9 UDP/TLS/RTP/SAVPF 111',
      ...transport,
      `a=mid:${mids[0]}`,
      'a=sendrecv',
      'a=rtcp-mux',
      'a=rtpmap:111 opus/48000/2',
      'a=ssrc:305419896 cname:ringdown',
      'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
      ...transport,
      `a=mid:${mids[1]}`,
      'a=sctp-port:5000',
      'a=max-message-size:262144',
      '',
    ].join('\r\n');
  }

  close(): void {
    this.#observed?.peer.close();
    this.#socket.close();
  }

  #start(options: PeerOptions): void {
    this.#observed = observe(
      (handlers) =>
        new Peer({ clock: systemClock, identity: this.identity }, { ...options, handlers: { ...handlers, ...options.handlers } }),
    );
    this.#observed.peer.start();
  }

  #path(to: { readonly address: string; readonly port: number }): Path {
    mustBeLoopback(to);
    return { key: formatEndpoint(to), ...to, send: (datagram) => this.#socket.send(datagram, to) };
  }
}
