import type { OpusProfile } from '../audio/opus.ts';
import type { Clock } from '../base/clock.ts';
import { randomUint32 } from '../base/ids.ts';
import type { Logger } from '../base/log.ts';
import type { Ticker } from '../base/ticker.ts';
import type { WebRtcAudio, WebRtcDescription } from '../sdp/webrtc.ts';
import type { Identity } from '../webrtc/dtls/identity.ts';
import type { IceCredentials } from '../webrtc/ice/ice-agent.ts';
import type { Path } from '../webrtc/path.ts';
import { Peer } from '../webrtc/peer.ts';
import type { SetUp } from '../webrtc/set-up.ts';
import { ChannelDoor, type ChannelOwner } from './channel-door.ts';
import { Media, type MediaSession, type MediaSnapshot } from './media.ts';

export interface PeerMediaDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly ticker: Ticker;
  readonly identity: Identity;
}

export interface PeerMediaOptions {
  /** Ours, of the first answer. */
  readonly credentials: IceCredentials;
  readonly offer: WebRtcDescription;
  readonly audio: WebRtcAudio;
  /** The offer is ours in truth: who is at the other end its answer says. */
  readonly awaitsAnswer?: boolean;
  /** How the offer is taken up, as the answer says it. */
  readonly setUp: SetUp['peer'];
  /** How the audio towards the person is coded. */
  readonly profile: OpusProfile;
  /** From start() to connected; that of a peer in the same data centre when absent. */
  readonly setupTimeoutMs?: number;
  readonly onPathVerified: (path: Path) => void;
  readonly onPathDropped: (path: Path) => void;
}

export interface PeerMediaOwner {
  readonly session: MediaSession;
  /** Who takes the peer's data channel for events; nobody when absent. */
  readonly events?: ChannelOwner;
  /** Once; the peer is gone. `remote_closed`: it said goodbye. */
  readonly onClosed: (reason: string) => void;
  /** There is a way for audio. */
  readonly onConnected?: () => void;
  /** Once; all of it is freed. */
  readonly onGone?: () => void;
}

/** A WebRTC peer with the audio of a session, and the data channel for its events. */
export class PeerMedia {
  readonly peer: Peer;
  readonly ssrc = randomUint32();
  readonly #deps: PeerMediaDeps;
  readonly #onPathDropped: PeerMediaOptions['onPathDropped'];
  readonly #owner: PeerMediaOwner;
  readonly #channels: ChannelDoor | undefined;
  #media: Media | undefined;
  #answered = false;
  #closed = false;

  constructor(deps: PeerMediaDeps, options: PeerMediaOptions, owner: PeerMediaOwner) {
    this.#deps = deps;
    this.#onPathDropped = options.onPathDropped;
    this.#owner = owner;
    this.peer = this.#makePeer(options);
    const { application } = options.offer;
    this.#channels = application && owner.events && new ChannelDoor(this.peer, owner.events, { maxEventBytes: application.maxMessageSize });
  }

  /** Makes the codecs. @throws GatewayError; nothing is left open then */
  async open({ audio, profile }: Pick<PeerMediaOptions, 'audio' | 'profile'>): Promise<void> {
    const { clock, ticker } = this.#deps;
    const media = await Media.create(
      { clock, ticker, session: this.#owner.session, peer: this.peer },
      { audio, ssrc: this.ssrc, profile, narrowband: audio.maxPlaybackRateHz === 8000 },
    );
    if (this.#closed) media.close();
    else this.#media = media;
  }

  /** Begins to wait for the peer. */
  start(): void {
    this.peer.start();
  }

  /** The leg is answered: audio flows as soon as there is a way for it. */
  answered(): void {
    this.#answered = true;
    this.#maybeStart();
  }

  /** Says goodbye to the peer and frees everything. @returns what is known of the audio */
  close(): MediaSnapshot | undefined {
    const snapshot = this.#media?.snapshot();
    if (this.#closed) return snapshot;
    this.#closed = true;
    const { paths } = this.peer;
    this.#media?.close();
    this.peer.close();
    for (const path of paths) this.#onPathDropped(path);
    this.#owner.onGone?.();
    return snapshot;
  }

  /** Round trip to the peer in milliseconds, once RTCP has told it. */
  get rttMs(): number | undefined {
    return this.#media?.rttMs;
  }

  snapshot(): { readonly peer: ReturnType<Peer['snapshot']>; readonly media: MediaSnapshot | undefined } {
    return { peer: this.peer.snapshot(), media: this.#media?.snapshot() };
  }

  #makePeer({ credentials, offer, awaitsAnswer, setUp, setupTimeoutMs, onPathVerified, onPathDropped }: PeerMediaOptions): Peer {
    return new Peer(this.#deps, {
      ice: { type: 'lite', local: credentials, ...(!awaitsAnswer && { remoteUfrag: offer.ice.ufrag }) },
      ...setUp,
      remoteFingerprints: awaitsAnswer ? undefined : offer.fingerprints,
      ...(setupTimeoutMs === undefined ? {} : { setupTimeoutMs }),
      handlers: {
        onConnected: () => {
          this.#maybeStart();
          this.#owner.onConnected?.();
        },
        onRtp: (packet, now) => this.#media?.handleRtp(packet, now),
        onRtcp: (packet, now) => this.#media?.handleRtcp(packet, now),
        onChannel: (channel) => this.#channels?.opened(channel),
        onChannelClosed: (channel) => this.#channels?.closed(channel),
        onMessage: (channel, message) => this.#channels?.receive(channel, message),
        onPathVerified,
        onPathDropped,
        onClosed: (reason) => {
          if (!this.#closed) this.#owner.onClosed(reason);
        },
      },
    });
  }

  #maybeStart(): void {
    if (this.#answered && this.peer.state === 'connected') this.#media?.start();
  }
}
