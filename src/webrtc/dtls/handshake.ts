import type { SrtpProfile } from '../srtp/profile.ts';
import type { Fingerprint } from './fingerprint.ts';
import type { FlightPart } from './flight.ts';
import type { HandshakeFragment, HandshakeMessage } from './handshake-message.ts';
import type { Identity } from './identity.ts';
import type { KeySchedule } from './key-schedule.ts';
import type { RecordProtection } from './record-protection.ts';

/**
 * Why a handshake failed. `timeout`: the peer said nothing usable. `fingerprint`: a certificate that the SDP does not name.
 * `signature`: the peer does not hold the key of the certificate it shows. `certificate`: none, or of a key that we do not
 * take. `parameters`: no common suite, group, signature, SRTP profile or extended master secret. `finished`: the peer saw
 * another handshake than we did. `alert`: the peer gave up, and proved that it was the peer.
 */
export type DtlsFailure = 'timeout' | 'fingerprint' | 'signature' | 'certificate' | 'parameters' | 'finished' | 'alert';

export interface HandshakeSettings {
  readonly identity: Identity;
  readonly remoteFingerprints: readonly Fingerprint[];
  /** In order of preference. */
  readonly srtpProfiles: readonly SrtpProfile[];
  readonly randomBytes: (length: number) => Buffer;
}

/** What a handshake ends with. */
export interface HandshakeResult {
  readonly schedule: KeySchedule;
  readonly srtpProfile: SrtpProfile;
  /** The one of the SDP's that the peer's certificate matched. */
  readonly remoteFingerprint: Fingerprint;
}

/** What a handshake, of whatever version, may do to its connection. */
export interface HandshakeLink {
  /** Sends a new flight; `isRepeated`: again and again, until the next flight or the end of the handshake. */
  send(flight: readonly FlightPart[], isRepeated: boolean): void;
  /** Sends one plaintext message that is never repeated; the flight before it stays the one that is. */
  sendOnce(message: HandshakeMessage): void;
  /** The peer repeated itself: it did not get our last flight. */
  resend(): void;
  /** Keys for the epoch that follows the one in use. */
  install(epoch: number, local: RecordProtection, remote: RecordProtection): void;
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

/** One side of one version's handshake. */
export interface Handshake {
  start(): void;
  /** @param epoch that the record came in; everything but 0 was authentic @param datagram its number, greater for later ones */
  handleFragment(fragment: HandshakeFragment, epoch: number, datagram: number): void;
  /** All of a datagram's fragments were handed in. Decisions fall here, so that messages that came together are judged together. */
  endOfDatagram(): void;
  /** The last flight got no answer in time. @returns true when another was sent in its place */
  handleSilence(): boolean;
}
