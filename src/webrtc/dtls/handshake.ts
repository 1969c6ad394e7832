import type { SrtpProfile } from '../srtp/profile.ts';
import type { Fingerprint } from './fingerprint.ts';
import type { FlightPart } from './flight.ts';
import type { HandshakeFragment, HandshakeMessage } from './handshake-message.ts';
import type { Identity } from './identity.ts';
import type { Exporter } from './key-schedule.ts';
import type { Group } from './key-share.ts';
import type { RecordNumber, RecordProtection } from './record-protection.ts';

/**
 * Why a handshake failed. `timeout`: the peer said nothing usable. `fingerprint`: a certificate that the SDP does not name.
 * `signature`: the peer does not hold the key of the certificate it shows. `certificate`: none, or of a key that we do not
 * take. `parameters`: no common suite, group, signature, SRTP profile or extended master secret. `finished`: the peer saw
 * another handshake than we did. `alert`: the peer gave up, and proved that it was the peer.
 */
export type DtlsFailure = 'timeout' | 'fingerprint' | 'signature' | 'certificate' | 'parameters' | 'finished' | 'alert';

export type DtlsVersion = '1.2' | '1.3';

export interface HandshakeSettings {
  /** What is spoken; of several, 1.3 where the peer speaks it too. */
  readonly versions: readonly DtlsVersion[];
  /** That keys are agreed in, the preferred one first. */
  readonly groups: readonly Group[];
  readonly identity: Identity;
  readonly remoteFingerprints: readonly Fingerprint[];
  /** In order of preference. */
  readonly srtpProfiles: readonly SrtpProfile[];
  readonly randomBytes: (length: number) => Buffer;
}

/** What a handshake ends with. */
export interface HandshakeResult {
  readonly version: DtlsVersion;
  readonly schedule: Exporter;
  readonly srtpProfile: SrtpProfile;
  /** The one of the SDP's that the peer's certificate matched. */
  readonly remoteFingerprint: Fingerprint;
  /** Takes the handshake's place: the rest of it is not needed any more. Absent in 1.2, where a server answers repetitions itself. */
  readonly afterwards?: Handshake;
}

/** What a handshake, of whatever version, may do to its connection. */
export interface HandshakeLink {
  /** Sends a new flight; `isRepeated`: again and again, until the next flight or the end of the handshake. */
  send(flight: readonly FlightPart[], isRepeated: boolean): void;
  /** Sends one plaintext message that is never repeated; the flight before it stays the one that is. */
  sendOnce(message: HandshakeMessage): void;
  /** The peer repeated itself: it did not get our last flight. */
  resend(): void;
  /** The only keys of an epoch, in both directions. */
  install(epoch: number, local: RecordProtection, remote: RecordProtection): void;
  /** What has no epoch of its own is sent with these keys from now on. */
  writeWith(epoch: number, protection: RecordProtection): void;
  /** Records that open with these keys are handed in as well, next to those of other keys that claim the epoch. */
  readWith(epoch: number, protection: RecordProtection): void;
  forget(protection: RecordProtection): void;
  /** Nothing is sent or read in this epoch any more. */
  retire(epoch: number): void;
  /** Tells the peer which records came (1.3). */
  acknowledge(numbers: readonly RecordNumber[]): void;
  /** A part of the peer's flight is here. If the rest does not follow soon, `acknowledge` of the handshake is called. */
  awaitRest(): void;
  /** The peer has our flight: it is not repeated any more. */
  settle(): void;
  connected(result: HandshakeResult): void;
  /** Something came that does not fit. It may be forged, so it changes nothing. */
  drop(): void;
  /**
   * The peer seems to be a wrong one. `isLive`: who sent this has seen our random numbers, so it is no stranger's forgery;
   * unless the right peer speaks up soon, the handshake fails.
   */
  suspect(reason: DtlsFailure, isLive: boolean): void;
  /** The peer proved to be the right one. */
  trust(): void;
  /** Only on what the peer's own keys protect. */
  fail(reason: DtlsFailure): void;
}

/** The record that a fragment came in. Everything but epoch 0 was authentic under its keys. */
export interface FragmentSource extends RecordNumber {
  readonly protection?: RecordProtection;
  /** Number of the datagram, greater for later ones. */
  readonly datagram: number;
}

/** One side of a handshake, of one version or of both. */
export interface Handshake {
  start(): void;
  handleFragment(fragment: HandshakeFragment, source: FragmentSource): void;
  /** All of a datagram's fragments were handed in. Decisions fall here, so that messages that came together are judged together. */
  endOfDatagram(): void;
  /** The last flight got no answer in time. @returns true when another was sent in its place */
  handleSilence(): boolean;
  /** The rest of the peer's flight did not follow: says what came, so that only the rest is sent again (1.3). */
  acknowledge(): void;
  /** The peer acknowledged all of our flight (1.3). */
  handleAcknowledged(): void;
  /** New keys for what we send, when the peer agrees (1.3). */
  updateKeys(): void;
}
