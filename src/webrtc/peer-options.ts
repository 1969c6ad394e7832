import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { DtlsSnapshot } from './dtls/dtls-connection.ts';
import type { Fingerprint } from './dtls/fingerprint.ts';
import type { DtlsVersion } from './dtls/handshake.ts';
import type { Identity } from './dtls/identity.ts';
import type { IceSnapshot } from './ice/ice-agent.ts';
import type { IceClientOptions } from './ice/ice-client.ts';
import type { IceLiteOptions } from './ice/ice-lite-agent.ts';
import type { Path } from './path.ts';
import type { NegotiatedChannel, PeerChannel } from './sctp/data-channels.ts';
import type { DataSnapshot } from './sctp/data-transport.ts';
import type { SctpInits } from './sctp/sctp-init.ts';
import type { SrtpProfile } from './srtp/profile.ts';
import type { SrtpReceiver } from './srtp/srtp-receiver.ts';

export interface PeerDeps {
  readonly clock: Clock;
  readonly identity: Identity;
  /** For what must not happen: an owner's handler that throws among SCTP's promises. */
  readonly log?: Logger;
}

export interface PeerOptions {
  readonly ice: ({ readonly type: 'lite' } & IceLiteOptions) | ({ readonly type: 'client' } & IceClientOptions);
  /** Ours. The client sends its hello right after the first verified check. */
  readonly dtlsRole: 'client' | 'server';
  /** a=fingerprint of the far side; its certificate must match. Absent until it has answered: Peer.identify(). */
  readonly remoteFingerprints?: readonly Fingerprint[] | undefined;
  /** In order of preference. Default: AES128_CM_HMAC_SHA1_80, and as DTLS server also AEAD_AES_128_GCM. */
  readonly srtpProfiles?: readonly SrtpProfile[];
  /** Default: 1.3 where the far side speaks it, and 1.2. */
  readonly dtlsVersions?: readonly DtlsVersion[];
  /** From start() to connected, else the peer closes with `setup_timeout`. */
  readonly setupTimeoutMs?: number;
  /** a=sctp-port and a=max-message-size of the far side. */
  readonly remoteSctpPort?: number;
  readonly remoteMaxMessageBytes?: number;
  /** SCTP is begun as soon as DTLS is done, not with our first channel. Both sides may. Default false. */
  readonly startsSctp?: boolean;
  /** Both sides' INIT, of the descriptions (SNAP, draft-hancke-tsvwg-snap): SCTP is up as soon as DTLS is. */
  readonly sctpInits?: SctpInits;
  /** Channels that both sides make without asking; each can be written as soon as SCTP is up. */
  readonly negotiatedChannels?: readonly NegotiatedChannel[];
  /** The far side may put DTLS into its checks, and we into the answers (SPED, draft-hancke-webrtc-sped). Of a lite agent. */
  readonly takesDtlsInStun?: boolean;
  readonly handlers: PeerHandlers;
}

export type PeerCloseReason =
  /** close() was called. */
  | 'closed'
  /** The far side said goodbye (DTLS close_notify, or SCTP SHUTDOWN or ABORT). */
  | 'remote_closed'
  /** No verified check, or no answer to ours, for too long. */
  | 'consent_lost'
  /** Not connected in time. */
  | 'setup_timeout'
  /** The handshake failed: whose fault and why. */
  | `dtls_failed: ${string}`;

export interface PeerHandlers {
  /** DTLS is done: RTP flows both ways from now on. */
  onConnected?(): void;
  /** A decrypted packet; the buffer is the receiver's to keep. */
  onRtp?(packet: Buffer, now: number): void;
  /** A decrypted compound packet. */
  onRtcp?(packet: Buffer, now: number): void;
  /** A channel can be written: opened by the far side, or ours was acknowledged. */
  onChannel?(channel: PeerChannel): void;
  onChannelClosed?(channel: PeerChannel): void;
  onMessage?(channel: PeerChannel, message: string | Buffer): void;
  /** The first authentic check on this path: datagrams that come by `path.key` belong to this peer. */
  onPathVerified?(path: Path): void;
  onPathDropped?(path: Path): void;
  /** Once. Nothing is sent or called after it. */
  onClosed?(reason: PeerCloseReason): void;
}

export interface PeerSnapshot {
  readonly state: 'new' | 'checking' | 'securing' | 'connected' | 'closed';
  readonly closeReason: PeerCloseReason | undefined;
  /** Milliseconds from start(). */
  readonly firstCheckMs: number | undefined;
  readonly connectedMs: number | undefined;
  readonly srtpProfile: SrtpProfile | undefined;
  readonly rtpReceived: number;
  readonly rtpSent: number;
  readonly ice: IceSnapshot;
  readonly dtls: DtlsSnapshot | undefined;
  readonly srtp: ReturnType<SrtpReceiver['snapshot']> | undefined;
  readonly data: DataSnapshot | undefined;
  /** Datagrams of DTLS that came in checks. */
  readonly dtlsInStun: number;
  readonly dropped: Readonly<Record<PeerDrop, number>>;
}

export type PeerDrop =
  /** Neither STUN, DTLS, RTP nor RTCP by its first byte (RFC 7983). */
  | 'unknown_kind'
  /** DTLS or SRTP by a path whose check was never verified. */
  | 'unverified_path'
  /** SRTP before the keys, beyond what is kept for a moment. */
  | 'early_srtp'
  /** SRTP that is malformed, replayed or not authentic. */
  | 'srtp'
  /** Ours: before connected, or after consent was lost. */
  | 'not_sendable';
