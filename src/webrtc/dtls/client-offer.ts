import { SRTP_PROFILES } from '../srtp/profile.ts';
import { uint16, vector8, vector16 } from './byte-writer.ts';
import type { DtlsVersion, HandshakeSettings } from './handshake.ts';
import { type HandshakeMessage, HandshakeType } from './handshake-message.ts';
import { CipherSuite, ExtensionType, RANDOM_BYTES, writeClientHello, writeUseSrtp } from './hello.ts';
import { createKeyShare, Group, type KeyShare } from './key-share.ts';
import { DTLS_1_2, DTLS_1_3 } from './record.ts';
import { SIGNATURE_SCHEMES } from './signature.ts';
import { writeCookie, writeKeyShare } from './tls13-messages.ts';

/** ServerHellos that are tried with one share: anybody can send one, and it costs an agreement of 60 µs to see whose it is. */
export const MAX_AGREEMENTS = 64;

const NONE = Buffer.alloc(0);

/** What one hello differs in from the one before. */
export interface OfferChange {
  /** From a HelloVerifyRequest of 1.2. */
  readonly verifyCookie?: Buffer;
  /** From a HelloRetryRequest of 1.3. */
  readonly retryCookie?: Buffer | undefined;
  readonly share?: KeyShare;
}

/** The ClientHello, one for both versions (RFC 9147 §5.3, RFC 6347 §4.2.1): a server of either can take it. */
export class ClientOffer {
  readonly random: Buffer;
  /** The share for 1.3; X25519, which every stack has that speaks it. */
  readonly share: KeyShare | undefined;
  readonly #settings: HandshakeSettings;
  #sent = 0;

  constructor(settings: HandshakeSettings) {
    this.#settings = settings;
    this.random = settings.randomBytes(RANDOM_BYTES);
    const [group = Group.x25519] = this.#tls13Groups();
    this.share = this.speaks('1.3') ? createKeyShare(group, MAX_AGREEMENTS) : undefined;
  }

  /** How many hellos there were: the number of the next one. */
  get sent(): number {
    return this.#sent;
  }

  speaks(version: DtlsVersion): boolean {
    return this.#settings.versions.includes(version);
  }

  /** The next hello. All are alike but for what the server asked for. */
  next({ verifyCookie = NONE, retryCookie, share = this.share }: OfferChange = {}): HandshakeMessage {
    const body = writeClientHello({
      version: DTLS_1_2,
      random: this.random,
      sessionId: NONE,
      cookie: verifyCookie,
      cipherSuites: [
        ...(share ? [CipherSuite.aes128GcmSha256] : []),
        ...(this.speaks('1.2') ? [CipherSuite.ecdheEcdsaAes128Gcm, CipherSuite.ecdheRsaAes128Gcm] : []),
      ],
      compressions: Buffer.of(0),
      extensions: new Map([
        ...(this.speaks('1.2') ? TLS12_EXTENSIONS : []),
        [ExtensionType.supportedGroups, vector16(uint16(...(share ? this.#tls13Groups() : this.#settings.groups)))],
        [ExtensionType.signatureAlgorithms, vector16(uint16(...SIGNATURE_SCHEMES))],
        [ExtensionType.useSrtp, writeUseSrtp(this.#settings.srtpProfiles.map((profile) => SRTP_PROFILES[profile].id))],
        ...(share ? this.#tls13Extensions(share) : []),
        ...(retryCookie ? [[ExtensionType.cookie, writeCookie(retryCookie)] as const] : []),
      ]),
    });
    return { type: HandshakeType.clientHello, sequence: this.#sent++, body };
  }

  /** The group of the share first: a server that asks for another one costs a round trip. */
  #tls13Groups(): readonly Group[] {
    return this.#settings.groups.toSorted((one, other) => Number(other === Group.x25519) - Number(one === Group.x25519));
  }

  #tls13Extensions(share: KeyShare): readonly (readonly [number, Buffer])[] {
    const versions = this.speaks('1.2') ? [DTLS_1_3, DTLS_1_2] : [DTLS_1_3];
    return [
      [ExtensionType.supportedVersions, vector8(uint16(...versions))],
      [ExtensionType.keyShare, vector16(writeKeyShare(share))],
    ];
  }
}

const TLS12_EXTENSIONS: readonly (readonly [number, Buffer])[] = [
  [ExtensionType.extendedMasterSecret, NONE],
  [ExtensionType.renegotiationInfo, Buffer.of(0)],
  [ExtensionType.pointFormats, Buffer.of(1, 0)],
];
